"""Near-duplicates: candidates from two kinds of neighbours, confirmed on aligned pixels, scored against the crowd.

1. Candidates are the nearest neighbours by centred cosine of the embeddings, united with those by correlation of
   16 x 16 pixels: a weak backbone loses re-encoded copies, correlation loses shifted ones, both lose few pairs.
2. Each is aligned (`alignment`). A pair's evidence is -log10(1 - correlation) - log10(1 - detail correlation)
   + 2 cosine.
3. Plain product shots all agree with each other, so the evidence is held against the crowd: half of the mean evidence
   of the ten next-best pairs of either image (the larger of the two) is subtracted. It is the idea of score
   normalisation in copy detection (Pizzi et al. 2022, arXiv:2202.10261), applied to our evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..progress import Progress, silent
from .alignment import SIDE, align_coarsely, align_finely
from .neighbors import nearest_neighbors, unit_rows

_CANDIDATES = 8
_FINE_PER_IMAGE = 8
_SMALLEST_COARSE = 0.5
_CROWD = 10
_CROWD_SHARE = 0.5
# Where evidence over the crowd turns from look-alike to copy, and how sharply: read off synthetic copies (JPEG, crop,
# shift) of Fashion-MNIST images, where 2.9 parts them from the other candidates.
_MIDDLE = 2.9
_WIDTH = 0.2
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class DuplicatePairs:
    """Candidate pairs of near-duplicates among n images, best first; ties by rows.

    Attributes:
        rows: (m, 2) int64. The two images; the smaller row first.
        score: (m,) float32 in [0, 1], rounded to 1e-4. 0.5 is where copies and look-alikes part; not yet a probability.
        threshold: Smallest score that counts as a near-duplicate.
    """

    rows: np.ndarray
    score: np.ndarray
    threshold: float

    def __post_init__(self) -> None:
        if self.rows.shape != (len(self.score), 2):
            raise ValueError(f"rows must have shape ({len(self.score)}, 2), got {self.rows.shape}")

    @property
    def flagged(self) -> np.ndarray:
        """(m,) bool. The pairs at or above the threshold."""
        return self.score >= self.threshold


def find_duplicates(
    embeddings: np.ndarray,
    thumbnails: np.ndarray,
    splits: np.ndarray | None = None,
    *,
    threshold: float | None = None,
    progress: Progress = silent,
) -> DuplicatePairs:
    """Score the pairs of images that may be near-duplicates.

    Args:
        embeddings: (n, d) float32, finite.
        thumbnails: (n, 32, 32) uint8, grey: the whole image, squashed.
        splits: (n,) split names, "" = none. Where given, each image's neighbours in other splits are candidates too,
            so that a crowd of copies inside its own split cannot hide a leak.
        threshold: Score that counts as a near-duplicate; None = 0.5.
        progress: Told after each block.

    Raises:
        ValueError: Shapes that do not fit each other, or embeddings that are not finite.
    """
    if thumbnails.shape != (len(embeddings), SIDE, SIDE):
        raise ValueError(f"thumbnails must have shape ({len(embeddings)}, {SIDE}, {SIDE}), got {thumbnails.shape}")
    cosine_rows = unit_rows(embeddings)
    pixel_rows = unit_rows(_reduced(thumbnails) - _reduced(thumbnails).mean(axis=1, keepdims=True), centered=False)
    found = [
        _neighbor_pairs(rows, splits, step, progress)
        for rows, step in ((cosine_rows, "nearest embeddings"), (pixel_rows, "nearest thumbnails"))
    ]
    pairs = np.unique(np.concatenate(found), axis=0)
    oriented = _content_first(pairs, thumbnails)
    coarse = align_coarsely(thumbnails, oriented, progress)
    kept = _best(coarse.correlation, _FINE_PER_IMAGE * len(embeddings))
    pairs = pairs[kept]
    agreement = align_finely(thumbnails, *_closer_first(oriented[kept], coarse.placement[kept]), progress)
    evidence = (
        -np.log10(np.maximum(1 - agreement.correlation, 1e-4))
        - np.log10(np.maximum(1 - agreement.detail, 1e-3))
        + 2 * np.einsum("ij,ij->i", cosine_rows[pairs[:, 0]], cosine_rows[pairs[:, 1]])
    )
    margin: np.ndarray = evidence - _CROWD_SHARE * crowd_evidence(evidence, pairs, len(embeddings))
    score = np.round(1 / (1 + np.exp(-(margin - _MIDDLE) / _WIDTH)), 4).astype(np.float32)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -score))
    return DuplicatePairs(pairs[order], score[order], DEFAULT_THRESHOLD if threshold is None else threshold)


def crowd_evidence(evidence: np.ndarray, pairs: np.ndarray, n: int) -> np.ndarray:
    """Return for each pair how alike its surroundings are: (m,).

    An image's crowd is the mean evidence of the ten pairs that follow its best one; a pair takes the larger of its two
    images' crowds. Crowds are capped at their 90 % quantile, so that the members of a large group of copies do not
    count as each other's crowd.
    """
    crowd: np.ndarray = np.full(n, np.nan)
    images = np.concatenate([pairs[:, 0], pairs[:, 1]])
    values = np.concatenate([evidence, evidence])
    order = np.lexsort((-values, images))
    images, values = images[order], values[order]
    starts = np.searchsorted(images, np.arange(n))
    ends = np.searchsorted(images, np.arange(n), side="right")
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first, last = starts + 1, np.minimum(starts + 1 + _CROWD, ends)
    known = last > first
    crowd[known] = (sums[last[known]] - sums[first[known]]) / (last - first)[known]
    if not known.any():
        return np.zeros(len(pairs))
    crowd = np.where(known, np.minimum(crowd, np.nanquantile(crowd, 0.9)), np.nanmedian(crowd))
    return np.maximum(crowd[pairs[:, 0]], crowd[pairs[:, 1]])


def _reduced(thumbnails: np.ndarray) -> np.ndarray:
    """Return (n, 256) float32: the mean of each 2 x 2 pixels."""
    half = SIDE // 2
    return thumbnails.reshape(-1, half, 2, half, 2).mean(axis=(2, 4), dtype=np.float32).reshape(-1, half * half)


def _neighbor_pairs(rows: np.ndarray, splits: np.ndarray | None, step: str, progress: Progress) -> np.ndarray:
    """Return (m, 2) int64 pairs of neighbours, the smaller row first, repeats included."""
    _, neighbors = nearest_neighbors(rows, rows, _CANDIDATES, same_rows=True, step=step, progress=progress)
    found = [_as_pairs(np.arange(len(rows)), neighbors)]
    if splits is not None:
        for name in sorted(set(splits) - {""}):
            own, other = np.flatnonzero(splits == name), np.flatnonzero((splits != name) & (splits != ""))
            _, neighbors = nearest_neighbors(rows[own], rows[other], _CANDIDATES)
            found.append(_as_pairs(own, other[neighbors]))
    return np.concatenate(found)


def _as_pairs(rows: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    pairs = np.stack([np.repeat(rows, neighbors.shape[1]), neighbors.ravel()], axis=1)
    return np.sort(pairs, axis=1)


def _content_first(pairs: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
    """Return the pairs, each turned so that its two pictures, not the order of their rows, decide which is first.

    The second image is laid on the first, and the other way round agrees a little differently.
    """
    order = sorted(range(len(thumbnails)), key=lambda row: thumbnails[row].tobytes())
    rank = np.argsort(order)
    turned = rank[pairs[:, 0]] > rank[pairs[:, 1]]
    return np.where(turned[:, None], pairs[:, ::-1], pairs)


def _closer_first(pairs: np.ndarray, placement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn each pair so that the closer view, such as a crop, is first: all of it then lies on the other image.

    Returns:
        The pairs, and the placement (m, 4) of their now second image.
    """
    scale = np.exp(placement[:, 2:])
    inverse = np.hstack([-placement[:, :2] / scale, -placement[:, 2:]])
    turned = placement[:, 2:3] > 0
    return np.where(turned, pairs[:, ::-1], pairs), np.where(turned, inverse, placement)


def _best(correlation: np.ndarray, most: int) -> np.ndarray:
    """Return, ascending, the at most `most` positions with the largest correlation, none below the smallest allowed."""
    rounded = np.round(correlation, 4)
    order = np.argsort(-rounded, kind="stable")[:most]
    return np.sort(order[rounded[order] >= _SMALLEST_COARSE])
