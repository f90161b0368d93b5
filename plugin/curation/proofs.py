"""Pairs that thumbnails leave undecided, settled by the keypoints of the images themselves.

A texture, or a photo turned by 25 degrees, keeps too little on 32 x 32 pixels. Reading images again is dear, so only
the pairs that the embeddings find closest are compared: three an image, more in a small collection. Where that proves a
pair, eight more of each image within its group of copies are compared, so that the cost grows with the number of
images, and of copies. Two images of a group that both have eight proven pairs tell nothing new.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit

from ..progress import Progress
from .pair_sets import pair_numbers
from .units import join_units

Verify = Callable[[np.ndarray, Progress], np.ndarray]
"""Takes (p, 2) int64 pairs. Returns (p, 2) float32: how many keypoints of the two images follow one placement, and the
share of the overlap whose pixels agree there, in [0, 1]; zeros where an image is too small to have keypoints."""

_TRIED_PER_IMAGE = 3
_FEW_IMAGES = 1000  # of fewer images more pairs are tried: the embeddings of a handful say little
_TRIED_PER_COPY = 8  # further pairs of an image within its group
SETTLED = 0.95  # score
# Of photos, tiles of one photo, pages of text and garments, no two different ones had more than 8 keypoints in agreeing
# pixels; nine in ten copies have 20 or more.
_EVEN = 9.0  # keypoints at which a copy is as likely as not
_SLOPE = 0.6
# A form that was filled in twice agrees with itself in 0.73 of its pixels, rarely in 0.88; nine in ten copies in more.
_EVEN_AGREEMENT = 0.86
_SLOPE_OF_AGREEMENT = 40.0


def tried_per_image(n: int) -> int:
    """Return how many of an image's pairs are compared at first, in a collection of n."""
    return max(_TRIED_PER_IMAGE, _FEW_IMAGES // max(n, 1))


def proof(matched: np.ndarray) -> np.ndarray:
    """Return the (p,) float32 probability of the same shot, given what `Verify` returns; 0 = not proven."""
    by_keypoints = expit(_SLOPE * (matched[:, 0] - _EVEN))
    probability = by_keypoints * expit(_SLOPE_OF_AGREEMENT * (matched[:, 1] - _EVEN_AGREEMENT))
    return np.round(np.where(probability >= 0.5, probability, 0), 4).astype(np.float32)


def add_proofs(
    pairs: np.ndarray,
    score: np.ndarray,
    candidates: np.ndarray,
    cosine: np.ndarray,
    tried: int,
    verify: Verify,
    progress: Progress,
    across: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Raise the score of pairs that keypoints prove, and add those that the thumbnails had given up.

    Args:
        pairs: (m, 2) int64, the smaller row first: pairs that have a score, all of them candidates.
        score: (m,) float32 in [0, 1].
        candidates: (p, 2) int64, the smaller row first, in ascending order.
        cosine: (p,) float32 of the candidates' centred embeddings.
        tried: Pairs of an image that are compared at first.
        verify: Compares pairs.
        progress: Told after each block.
        across: (p,) bool. Candidates of two splits, which do not compete with those inside one.

    Returns:
        (k, 2) pairs, k >= m, and their (k,) scores.
    """
    n = int(candidates.max(initial=0)) + 1
    known = np.searchsorted(pair_numbers(candidates, n), pair_numbers(pairs, n))
    best = np.zeros(len(candidates), np.float32)
    best[known] = score
    listed = np.zeros(len(candidates), bool)
    listed[known] = True

    kind = np.zeros(len(candidates), bool) if across is None else across
    unsettled = best < SETTLED

    def compare_closest(chosen: np.ndarray, most: int) -> None:
        rows = np.flatnonzero(chosen & ~_known_well(candidates, best, kind))
        rows = rows[_closest(candidates[rows], cosine[rows], kind[rows], most)]
        if len(rows):
            best[rows] = np.maximum(best[rows], proof(verify(candidates[rows], progress)))
            unsettled[rows] = False

    compare_closest(unsettled, tried)
    compare_closest(unsettled & _same_group(candidates, best), _TRIED_PER_COPY)
    kept = listed | (best > 0)
    return candidates[kept], best[kept]


def _closest(pairs: np.ndarray, cosine: np.ndarray, kind: np.ndarray, most: int) -> np.ndarray:
    """Return (p,) bool: the pair is among the `most` closest ones of its kind of one of its images; ties by rows."""
    group = 2 * np.concatenate([pairs[:, 0], pairs[:, 1]]) + np.tile(kind, 2)
    order = np.lexsort((np.concatenate([pairs[:, 1], pairs[:, 0]]), -np.tile(np.round(cosine, 4), 2), group))
    place = np.arange(len(order)) - np.searchsorted(group[order], group[order])
    chosen = np.zeros(len(pairs), bool)
    chosen[order[place < most] % max(len(pairs), 1)] = True
    return chosen


def _known_well(pairs: np.ndarray, score: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return (p,) bool: settled pairs join both images, and each has enough of them of this kind."""
    place = 2 * pairs + kind[:, None]
    partners = np.bincount(place[score >= SETTLED].ravel(), minlength=int(place.max(initial=0)) + 1)
    return (partners[place] >= _TRIED_PER_COPY).all(axis=1) & _same_group(pairs, score)


def _same_group(pairs: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return (p,) bool: settled pairs join both images, directly or through others."""
    group = join_units(int(pairs.max(initial=-1)) + 1, pairs[score >= SETTLED])
    return group[pairs[:, 0]] == group[pairs[:, 1]]
