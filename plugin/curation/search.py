"""What a search for near-duplicates looked at, before anything is judged: kept, it serves the next search too.

Neighbours and the alignment of pixels are nearly all the work. They depend on the images alone, so what was found about
a pair stays true while other images come and go, and 1,000 new images among 1,000,000 cost little more than themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..progress import Progress, silent
from .alignment import SIDE
from .candidates import Candidates
from .centred_rows import rows_around
from .crowds import copies_beyond_doubt, crowd_of_look_alikes
from .evidence import Evidence, gather_evidence, inner_products
from .made_copies import Copies, Met, meet_sources
from .nearest_rows import MakeNearest, RowsInMemory
from .neighbors import unit_rows, unit_rows_around
from .pair_sets import first_of_each
from .steps import Steps, not_kept
from .units import join_units

_LARGEST_CHANGE = 0.2  # share of the images that may be new before all is searched anew
_FEWEST_COPIES = 30


@dataclass(frozen=True, eq=False)
class Search:
    """What was found about pairs of n images.

    Attributes:
        centre: (d,) float32. What was subtracted from the embeddings.
        candidates: (p, 2) int64, the smaller row first, in ascending order: pairs that were worth a closer look.
        cosine: (p,) float32. Inner products of their embeddings, centred and of length 1.
        evidence: What speaks for those that agree at all, without the crowd.
        met: How copies made on purpose met their sources; None where none were made.
    """

    centre: np.ndarray
    candidates: np.ndarray
    cosine: np.ndarray
    evidence: Evidence
    met: Met | None

    def renumbered(self, row: np.ndarray) -> Search:
        """Return what is known about the images that are left.

        Args:
            row: (n,) int64. The new row of each image; -1 = it is gone.
        """
        candidates, cosine = _kept_once(np.sort(row[self.candidates], axis=1), self.cosine)
        pairs = np.sort(row[self.evidence.pairs], axis=1)
        (kept,) = np.nonzero(pairs[:, 0] >= 0)
        kept = kept[np.lexsort(pairs[kept].T[::-1])]
        evidence = Evidence(pairs[kept], self.evidence.values[kept])
        return Search(self.centre, candidates, cosine, evidence, self.met)


def search(
    embeddings: np.ndarray,
    thumbnails: np.ndarray,
    splits: np.ndarray | None = None,
    *,
    make_copies: Callable[[], Copies] | None = None,
    make_nearest: MakeNearest = RowsInMemory,
    known: Search | None = None,
    new: np.ndarray | None = None,
    progress: Progress = silent,
    steps: Steps = not_kept,
) -> Search:
    """Look for pairs that may be near-duplicates, and for what speaks for them.

    Args:
        embeddings: (n, d) float32, finite; where they are memory-mapped, only the rows that are needed are read.
        thumbnails: (n, 32, 32) uint8.
        splits: See `duplicates.find_duplicates`.
        make_copies: Makes copies of some of the images, where they are needed; None = there are none.
        make_nearest: What knows the neighbours of the embeddings.
        known: What is known about those images that are not new.
        new: (k,) int64 rows that `known` knows nothing of. More than a fifth of all: everything is searched anew.
        progress: Told after each block.
        steps: Keeps the results of steps, should all be searched anew; by default none are kept.

    Raises:
        ValueError: Shapes that do not fit each other, or embeddings that are not finite.
    """
    if thumbnails.shape != (len(embeddings), SIDE, SIDE):
        raise ValueError(f"thumbnails must have shape ({len(embeddings)}, {SIDE}, {SIDE}), got {thumbnails.shape}")
    if known is None or new is None or len(new) > _LARGEST_CHANGE * len(embeddings):
        return _search_all(embeddings, thumbnails, splits, make_copies, make_nearest, progress, steps)
    if not len(new):
        return known
    rows = rows_around(embeddings, known.centre)
    candidates = Candidates(rows, thumbnails, make_nearest).of_some(new, splits, progress)
    cosine = inner_products(rows, candidates)
    found = gather_evidence(candidates, rows, thumbnails, splits, progress, cosine=cosine)
    pairs = np.concatenate([known.evidence.pairs, found.pairs])
    order = np.lexsort(pairs.T[::-1])
    evidence = Evidence(pairs[order], np.concatenate([known.evidence.values, found.values])[order])
    together = np.concatenate([known.candidates, candidates])
    candidates, cosine = _kept_once(together, np.concatenate([known.cosine, cosine]))
    return Search(known.centre, candidates, cosine, evidence, known.met)


def _search_all(
    embeddings: np.ndarray,
    thumbnails: np.ndarray,
    splits: np.ndarray | None,
    make_copies: Callable[[], Copies] | None,
    make_nearest: MakeNearest,
    progress: Progress,
    steps: Steps,
) -> Search:
    centre = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32) if len(embeddings) else embeddings.sum(axis=0)
    rows = rows_around(embeddings, centre) if isinstance(embeddings, np.memmap) else unit_rows(embeddings)
    index = Candidates(rows, thumbnails, make_nearest)
    candidates = index.among_themselves(splits, progress, steps)
    cosine = inner_products(rows, candidates)
    evidence = gather_evidence(candidates, rows, thumbnails, splits, progress, steps, cosine)
    copies = None if make_copies is None else make_copies()
    met = None
    if copies is not None and len(copies.source) >= _FEWEST_COPIES:
        crowd = crowd_of_look_alikes(evidence, len(rows))
        shot = join_units(len(rows), evidence.pairs[copies_beyond_doubt(evidence, crowd)])
        met = meet_sources(copies, unit_rows_around(copies.embeddings, centre), index, rows, thumbnails, crowd, shot)
    return Search(centre, candidates, cosine, evidence, met)


def _kept_once(pairs: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return those of (p, 2) pairs whose images are all there, once and in ascending order, and their (p,) values."""
    there = pairs[:, 0] >= 0
    pairs, values = pairs[there], values[there]
    first = first_of_each(pairs)
    return pairs[first], values[first]
