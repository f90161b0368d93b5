"""What speaks for a pair of images showing the same shot: agreement of aligned pixels, of embeddings, and the crowd.

Plain product shots all agree with each other, so each pair also carries how alike its surroundings are. It is the idea
of score normalisation in copy detection (Pizzi et al. 2022, arXiv:2202.10261), applied to our evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from ..progress import Progress, silent
from .alignment import SIDE, Agreement, align_coarsely, align_finely, orientation_agreement
from .centred_rows import Rows
from .orientation import UPRIGHT
from .steps import Steps, not_kept

FEATURES = ("pixels", "detail", "cosine", "crowd", "turned")
_SMALLEST_COARSE = 0.65
_ALIGNED_PER_IMAGE = 6
_SAME_COSINE = 0.9995
_ANGLES = (-18.0, 18.0)
_WELL_ALIGNED = 0.85
_TURNED_PER_IMAGE = 3
_CROWD_SHARE = 0.75
_TURNED_COSTS = 0.2
_AT_ONCE = 8192
_A_STEP = 100_000  # pairs


@dataclass(frozen=True, eq=False)
class Evidence:
    """What speaks for each of m pairs.

    Attributes:
        pairs: (m, 2) int64. The two images.
        values: (m, 5) float32, the columns `FEATURES`: -log10(1 - correlation) of the aligned pixels and of their fine
            detail (at most 4 and 3), cosine of the centred embeddings, crowd, and 1 where the second image had to be
            mirrored or turned. The crowd is 0 until `with_crowd`.
    """

    pairs: np.ndarray
    values: np.ndarray

    @property
    def margin(self) -> np.ndarray:
        """(m,) float32. How far the evidence stands out from the crowd; a mirrored pair has to stand out more."""
        return self.strength - _CROWD_SHARE * self.values[:, 3] - _TURNED_COSTS * self.values[:, 4]

    @property
    def strength(self) -> np.ndarray:
        """(m,) float32. All of it but the crowd."""
        return self.values[:, 0] + self.values[:, 1] + 2 * self.values[:, 2]

    def with_crowd(self, crowd: np.ndarray) -> Evidence:
        """Return the same with the larger of its two images' (n,) crowds."""
        values = self.values.copy()
        values[:, FEATURES.index("crowd")] = crowd[self.pairs].max(axis=1, initial=0)
        return Evidence(self.pairs, values)


def gather_evidence(
    pairs: np.ndarray,
    cosine_rows: Rows,
    thumbnails: np.ndarray,
    splits: np.ndarray | None = None,
    progress: Progress = silent,
    steps: Steps = not_kept,
    cosine: np.ndarray | None = None,
) -> Evidence:
    """Align the images of each promising pair and measure how well they agree.

    Args:
        pairs: (p, 2) int64.
        cosine_rows: (n, d) float32, of length 1.
        thumbnails: (n, 32, 32) uint8, grey.
        splits: (n,) split names; where given, pairs across two splits do not compete with those inside one.
        progress: Told after each block.
        steps: Each 100,000 pairs are one.
        cosine: (p,) float32, the pairs' `inner_products`, where they are known.

    Returns:
        The evidence for those pairs that agree at all, the smaller row first, in ascending order.
    """
    cosine = inner_products(cosine_rows, pairs) if cosine is None else cosine
    chosen = _most_promising(pairs, cosine, cosine_rows, thumbnails, splits)
    closest = _among_best(chosen.pairs, chosen.cosine, chosen.across, _TURNED_PER_IMAGE)
    total = len(chosen.pairs)
    kept, values = [np.empty(0, np.int64)], [np.empty((0, len(FEATURES)), np.float32)]
    for start in range(0, total, _A_STEP):
        rows = np.arange(start, min(start + _A_STEP, total))

        told = _standing_at(start, total, progress)
        part = steps(f"pairs {start}", partial(_agreeing, chosen.at(rows), closest[rows], thumbnails, told))
        kept.append(rows[part[0]])
        values.append(part[1])
    if total:
        progress("aligning pixels", total, total)
    found = np.sort(chosen.pairs[np.concatenate(kept)], axis=1)
    order = np.lexsort(found.T[::-1])
    return Evidence(found[order], np.concatenate(values)[order])


@dataclass(frozen=True, eq=False)
class _Promising:
    """Pairs that are worth aligning.

    Attributes:
        pairs: (m, 2) int64, in the order in which the second is laid on the first.
        cosine: (m,) float32.
        as_they_lie: (m, 8) float32 correlations in each orientation.
        across: (m,) bool: of two splits.
        identical: (m,) bool: the same thumbnails and the same embeddings.
    """

    pairs: np.ndarray
    cosine: np.ndarray
    as_they_lie: np.ndarray
    across: np.ndarray
    identical: np.ndarray

    def at(self, rows: np.ndarray) -> _Promising:
        """Return these pairs of them."""
        return _Promising(*(getattr(self, each.name)[rows] for each in fields(self)))


def _most_promising(
    pairs: np.ndarray, cosine: np.ndarray, cosine_rows: Rows, thumbnails: np.ndarray, splits: np.ndarray | None
) -> _Promising:
    """Choose the pairs that look best before they are aligned: six an image, and all identical ones."""
    content = _content_keys(thumbnails)
    pairs = np.where((content[pairs[:, 0]] > content[pairs[:, 1]])[:, None], pairs[:, ::-1], pairs)
    as_they_lie = orientation_agreement(thumbnails, pairs)
    across = across_splits(pairs, splits)
    identical = (content[pairs[:, 0]] == content[pairs[:, 1]]) & _same_rows(cosine_rows, pairs, cosine)
    found = _Promising(pairs, cosine, as_they_lie, across, identical)
    best = _among_best(pairs, cosine + as_they_lie.max(axis=1, initial=-1), across, _ALIGNED_PER_IMAGE)
    return found.at(identical | best)


def _standing_at(start: int, total: int, progress: Progress) -> Progress:
    """Return what tells again and again that so many pairs are done: a job may be cancelled within a step."""
    return lambda step, done, of: progress("aligning pixels", start, total)


def _agreeing(
    chosen: _Promising, closest: np.ndarray, thumbnails: np.ndarray, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the m pairs agree at all, (k,) int64, and the (k, 5) float32 columns `FEATURES` of these."""
    placed, orientation, correlation = _placements(chosen.pairs, chosen.as_they_lie, closest, thumbnails, progress)
    (kept,) = np.nonzero(chosen.identical | (np.round(correlation, 4) >= _SMALLEST_COARSE))
    chosen, orientation = chosen.at(kept), orientation[kept]
    agreement = align_finely(thumbnails, chosen.pairs, placed[kept], orientation, progress)
    return kept, _values(chosen, orientation, agreement)


def _values(chosen: _Promising, orientation: np.ndarray, agreement: Agreement) -> np.ndarray:
    """Return the (m, 5) float32 columns `FEATURES`."""
    # Pictures without contrast correlate with nothing, not even with themselves.
    same = chosen.identical
    values = np.zeros((len(same), len(FEATURES)), np.float32)
    values[:, 0] = -np.log10(np.maximum(np.where(same, 0, 1 - agreement.correlation), 1e-4))
    values[:, 1] = -np.log10(np.maximum(np.where(same, 0, 1 - agreement.detail), 1e-3))
    values[:, 2] = chosen.cosine
    values[:, 4] = (orientation != UPRIGHT) & ~same
    return values


def _placements(
    pairs: np.ndarray, as_they_lie: np.ndarray, closest: np.ndarray, thumbnails: np.ndarray, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best placement (p, 6), its orientation (p,) and the coarse correlation there (p,).

    Each pair is tried upright, and mirrored or turned where that looks better as it lies. Those that the embeddings
    find closest are tried at angles too where the pixels do not agree.
    """
    upright = align_coarsely(thumbnails, pairs, progress=progress)
    placement, correlation = upright.placement, upright.correlation
    orientation = np.full(len(pairs), UPRIGHT)

    def try_also(rows: np.ndarray, how: np.ndarray, angles: tuple[float, ...]) -> None:
        found = align_coarsely(thumbnails, pairs[rows], how, angles, progress)
        better = np.round(found.correlation, 4) > np.round(correlation[rows], 4)
        placement[rows[better]], correlation[rows[better]] = found.placement[better], found.correlation[better]
        orientation[rows[better]] = how[better]

    other = 1 + as_they_lie[:, 1:].argmax(axis=1)
    (promising,) = np.nonzero(as_they_lie[:, 1:].max(axis=1, initial=-1) > as_they_lie[:, UPRIGHT])
    try_also(promising, other[promising], (0.0,))
    (misfits,) = np.nonzero((correlation < _WELL_ALIGNED) & closest)
    try_also(misfits, np.full(len(misfits), UPRIGHT), _ANGLES)
    return placement, orientation, correlation


def across_splits(pairs: np.ndarray, splits: np.ndarray | None) -> np.ndarray:
    """Return (p,) bool: the images of a pair are in two splits; never, where (n,) `splits` are not given."""
    return np.zeros(len(pairs), bool) if splits is None else splits[pairs[:, 0]] != splits[pairs[:, 1]]


def _among_best(pairs: np.ndarray, value: np.ndarray, kind: np.ndarray, most: int) -> np.ndarray:
    """Return (p,) bool: the pair is among the `most` best ones of its kind of either image."""
    chosen = np.zeros(len(pairs), bool)
    rounded = np.round(value, 4)
    for side in (0, 1):
        group = 2 * pairs[:, side] + kind
        order = np.lexsort((pairs[:, 1 - side], -rounded, group))
        place = np.arange(len(order)) - np.searchsorted(group[order], group[order])
        chosen[order[place < most]] = True
    return chosen


def _content_keys(thumbnails: np.ndarray) -> np.ndarray:
    """Return (n,) int64 numbers that equal pictures share, and only they (but for one chance in 2^62).

    They decide which image of a pair is first: the second is laid on the first, and the other way round agrees a little
    differently, so the order of the rows must not decide it.
    """
    weights = np.random.default_rng(0).integers(-(2**62), 2**62, SIDE * SIDE)
    keys = np.empty(len(thumbnails), np.int64)
    for start in range(0, len(keys), _AT_ONCE):
        pictures = thumbnails[start : start + _AT_ONCE]
        keys[start : start + _AT_ONCE] = pictures.reshape(len(pictures), -1).astype(np.int64) @ weights  # modulo 2^64
    return keys


def _same_rows(rows: Rows, pairs: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Return (p,) bool: the embeddings are the same; where all images are, the centred ones are zero."""
    zero = np.empty(len(rows), bool)
    for start in range(0, len(rows), _AT_ONCE):
        zero[start : start + _AT_ONCE] = ~rows[start : start + _AT_ONCE].any(axis=1)
    return (cosine >= _SAME_COSINE) | (zero[pairs[:, 0]] & zero[pairs[:, 1]])


def inner_products(rows: Rows, pairs: np.ndarray) -> np.ndarray:
    """Return (p,) inner products, in blocks: both sides of a million pairs would take gigabytes."""
    found = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        found[part] = np.einsum("ij,ij->i", rows[pairs[part, 0]], rows[pairs[part, 1]])
    return found
