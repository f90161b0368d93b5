"""What the duplicate and the leak job share: scored pairs of a collection, and their CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..curation.duplicates import DuplicatePairs, judge
from ..curation.exact import find_exact_copies
from ..curation.made_copies import Copies
from ..curation.nearest_rows import MakeNearest, RowsInMemory
from ..curation.search import search
from ..curation.steps import not_kept
from ..datasets.decisions import read_decisions
from ..datasets.samples import Samples
from ..datasets.similarity_indexes import database_indexes
from ..datasets.views import Collection, view_key
from ..progress import Progress, silent
from ..vision.backbones import Backbone
from ..vision.copies import embed_copies
from ..vision.matching import features_of_files, match_images
from ..vision.pixels import pixel_digests
from ..vision.preprocessing import Preprocessing
from ..vision.scratch import rows_of
from .neighbor_sources import neighbors_from
from .pair_memory import Matched, PairMemory, Remembered, RememberingVerifier
from .vectors import Embedded

_POOR_RECALL = 0.3
_LOW_THRESHOLD = 0.3  # below which hardly a pair is right
_SHOWN_THRESHOLDS = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3)
_COLUMNS = ("path_a", "path_b", "split_a", "split_b", "score", "flagged")


def score_pairs(
    view: Collection,
    embedded: Embedded,
    threshold: float | None,
    progress: Progress = silent,
    *,
    neighbors: str | None = None,
) -> DuplicatePairs:
    """Score a collection's pairs. Duplicates and leaks start from the same pairs, so that they never disagree.

    Args:
        view: The collection; what a person called different images there has the score 0.
        embedded: Its images.
        threshold: Score from which a pair counts; None = automatic.
        progress: Told along the way.
        neighbors: Brain key of the similarity index that proposes near images; None = they are found here.

    Raises:
        DataError, MissingPartError: The index cannot be used, see `datasets.similarity_neighbors`.
    """
    samples = embedded.samples
    splits = samples.splits if samples.split_source is not None else None
    exact = find_exact_copies(
        embedded.digests,
        embedded.thumbnails,
        lambda rows: pixel_digests(samples.paths[rows], embedded.preprocessing),
    )
    rows = exact.stand_ins(splits)
    # What a database has proposed is its own word: it is not to pass for what was found here.
    space = embedded.space
    if neighbors is not None:
        space += f" {neighbors} {database_indexes(view).get(neighbors)}"
    vectors = _at(embedded.vectors, rows)
    pairs = score_images(
        samples.paths[rows],
        vectors,
        _at(embedded.thumbnails, rows),
        None if splits is None else splits[rows],
        backbone=embedded.backbone,
        preprocessing=embedded.preprocessing,
        threshold=threshold,
        memory=PairMemory(view_key(view), space),
        digests=embedded.digests[rows],
        make_nearest=neighbors_from(view, neighbors, samples.ids[rows], vectors),
        progress=progress,
    )
    pairs = exact.hand_on(pairs, splits)
    return pairs.apart(read_decisions(view).apart(*samples.ids[pairs.rows].T))


def _at(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return these rows; the array itself where they are all, since a copy of a million vectors takes gigabytes."""
    return array if len(rows) == len(array) else rows_of(array, rows)


def score_images(
    paths: Sequence[str] | np.ndarray,
    vectors: np.ndarray,
    thumbnails: np.ndarray,
    splits: np.ndarray | None = None,
    *,
    backbone: Backbone,
    preprocessing: Preprocessing,
    threshold: float | None = None,
    memory: PairMemory | None = None,
    digests: np.ndarray | None = None,
    make_nearest: MakeNearest = RowsInMemory,
    progress: Progress = silent,
) -> DuplicatePairs:
    """Score the pairs of n files, fitted to copies of some of them, and settled by keypoints where they are large.

    Args:
        paths: n files.
        vectors: (n, d) float32.
        thumbnails: (n, 32, 32) uint8.
        splits: (n,) split names, see `curation.duplicates.find_duplicates`.
        backbone: What made the vectors.
        preprocessing: How files became its input.
        threshold: Score that counts as a near-duplicate; None = the automatic one.
        memory: What earlier searches found, which this one adds to; None = none.
        digests: (n, 32) uint8 of the files' bytes, by which the memory knows them; None = there is no memory.
        make_nearest: What knows the neighbours of the vectors.
        progress: Told after each block.
    """
    features = features_of_files(paths, preprocessing)

    def make_copies() -> Copies:
        progress("making copies", 0, 1)
        made = embed_copies(paths, backbone, preprocessing)
        progress("making copies", 1, 1)

        def verify(chosen: np.ndarray) -> np.ndarray:
            return match_images(
                np.stack([made.source[chosen], len(paths) + chosen], axis=1),
                lambda number: features(number) if number < len(paths) else made.features[number - len(paths)],
            )

        return Copies(made.source, made.vectors, made.thumbnails, verify)

    known, steps = Remembered.nothing(len(paths)), None
    if memory is not None and digests is not None:
        known, steps = memory.load(digests, splits), memory.steps(digests, splits)
    found = search(
        vectors,
        thumbnails,
        splits,
        make_copies=make_copies,
        make_nearest=make_nearest,
        known=known.search,
        new=known.new,
        progress=progress,
        steps=steps or not_kept,
    )

    def keep(matched: Matched) -> None:
        if memory is not None and digests is not None:
            memory.save(digests, splits, found, matched)

    keep(known.matched)
    if steps is not None:
        steps.forget()
    verifier = RememberingVerifier(
        lambda pairs, told: match_images(pairs, features, told), known.matched, len(paths), keep
    )
    pairs = judge(found, vectors, thumbnails, splits, verify=verifier, threshold=threshold, progress=progress)
    keep(verifier.matched)
    return pairs


def best_scores(pairs: DuplicatePairs, n: int) -> np.ndarray:
    """Return (n,) float32: each image's best flagged score, NaN where it has none."""
    best = np.full(n, -1, np.float32)
    flagged = pairs.flagged
    for side in (0, 1):
        np.maximum.at(best, pairs.rows[flagged, side], pairs.score[flagged])
    return np.where(best < 0, np.nan, best)


def expectation(pairs: DuplicatePairs) -> dict[str, Any]:
    """Return what the cut promises, plain JSON: threshold, expected precision and recall (None = not known).

    `pairs_at`: how many pairs other thresholds would flag.
    """
    return {
        "threshold": round(float(pairs.threshold), 4),
        "expected_precision": round(pairs.precision, 3),
        "expected_recall": None if pairs.recall is None else round(pairs.recall, 3),
        "pairs_at": {str(threshold): int((pairs.score >= threshold).sum()) for threshold in _SHOWN_THRESHOLDS},
    }


def expectation_lines(pairs: DuplicatePairs) -> list[str]:
    """Return markdown lines on what the cut promises."""
    lines = []
    if pairs.flagged.any():
        right = "more than 99%" if pairs.precision >= 0.995 else f"about {pairs.precision:.0%}"
        line = f"Of the flagged pairs {right} should be right"
        if pairs.recall is not None:
            line += f"; of copies of your images that were edited on purpose, the same cut finds {pairs.recall:.0%}"
        lines += ["", line + "."]
    if pairs.recall is not None and pairs.recall < _POOR_RECALL:
        line = (
            f"**Copies can hardly be told from look-alikes here**: the cut finds {pairs.recall:.0%} of those made on "
            "purpose."
        )
        shown = int((pairs.score >= _LOW_THRESHOLD).sum())
        if shown > pairs.flagged.sum():
            line += f" Look at the pairs below it too: with a threshold of {_LOW_THRESHOLD} there are {shown:,}."
        lines += ["", line]
    return lines


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
