"""What the duplicate and the leak job share: scored pairs of a collection, and their CSV file."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from ..curation.duplicates import DuplicatePairs, find_duplicates
from ..datasets.samples import Samples
from ..progress import Progress
from .vectors import Embedded

_COLUMNS = ("path_a", "path_b", "split_a", "split_b", "score", "flagged")


def score_pairs(embedded: Embedded, threshold: float | None, progress: Progress) -> DuplicatePairs:
    """Score a collection's pairs. Duplicates and leaks start from the same pairs, so that they never disagree."""
    samples = embedded.samples
    splits = samples.splits if samples.split_source is not None else None
    return find_duplicates(embedded.vectors, embedded.thumbnails, splits, threshold=threshold, progress=progress)


def best_scores(pairs: DuplicatePairs, n: int) -> np.ndarray:
    """Return (n,) float32: each image's best flagged score, NaN where it has none."""
    best = np.full(n, -1, np.float32)
    flagged = pairs.flagged
    for side in (0, 1):
        np.maximum.at(best, pairs.rows[flagged, side], pairs.score[flagged])
    return np.where(best < 0, np.nan, best)


def write_pairs(path: Path, root: Path | None, samples: Samples, pairs: DuplicatePairs) -> None:
    """Write every candidate pair, best first; paths relative to `root` where they lie below it."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for (a, b), score, flagged in zip(pairs.rows, pairs.score, pairs.flagged, strict=True):
            names = (relative_path(samples.paths[row], root) for row in (a, b))
            writer.writerow([*names, samples.splits[a], samples.splits[b], f"{score:.4f}", int(flagged)])


def relative_path(path: str, root: Path | None) -> str:
    """Return a path relative to `root` where it lies below it, with forward slashes; else as it is."""
    if root is None:
        return path
    relative = os.path.relpath(path, root.resolve())
    return path if relative.startswith("..") else Path(relative).as_posix()
