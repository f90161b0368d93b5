"""Exact quotas for images that stand alone: every class within one image, and every split's size too.

Rounding a table so that each cell and each column sum goes up or down by less than one is controlled rounding (Cox
1987, "A constructive procedure for unbiased controlled rounding", JASA 82). Each class is rounded by largest remainder
first; then sizes are mended along the cheapest paths from a split that is too large to one that is too small, which
is a flow of least cost, so that the classes are no further off than the sizes require.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .dealing import fill, round_to_sum

_EPSILON = 1e-9


def deal_singles(counts: np.ndarray, wanted: np.ndarray, size_wanted: np.ndarray) -> np.ndarray:
    """Deal images of one class each, as near to what is wanted as whole images allow.

    Args:
        counts: (k,) int64 images of each class.
        wanted: (k, s) float64 images that each split wants; negative where it has too many already. Each row sums to
            the class's count.
        size_wanted: (s,) float64 images of any class that each split wants.

    Returns:
        (k, s) int64 images. Each number is the real solution rounded up or down. Where no split has too many already,
        each split's total is within one of what it wants too.
    """
    real = np.array([fill(row, count) for row, count in zip(wanted, counts, strict=True)]).reshape(wanted.shape)
    low = np.floor(real + _EPSILON)
    dealt = np.array([round_to_sum(row, count) for row, count in zip(real, counts, strict=True)]).reshape(wanted.shape)
    loose = real - low > _EPSILON
    _mend_sizes(dealt, dealt > low, loose, wanted, size_wanted)
    return dealt


def _mend_sizes(
    dealt: np.ndarray, up: np.ndarray, loose: np.ndarray, wanted: np.ndarray, size_wanted: np.ndarray
) -> None:
    """Shift images between splits within the rounding, until sizes can't be mended."""
    splits = dealt.shape[1]
    cost = np.full((splits, splits, len(dealt)), np.inf)
    for kind in range(len(dealt)):
        cost[:, :, kind] = _shift_costs((dealt - wanted)[kind], up[kind], loose[kind])
    off = dealt.sum(axis=0) - size_wanted
    while len(dealt):
        best = cost.argmin(axis=2)
        reach = _cheapest_paths(np.take_along_axis(cost, best[:, :, None], axis=2)[:, :, 0])
        path = _best_path(reach, off)
        if path is None:
            return
        for a, b in pairwise(path):
            kind = best[a, b]
            dealt[kind, [a, b]] += (-1, 1)
            up[kind, [a, b]] = (False, True)
            off[[a, b]] += (-1, 1)
        for kind in {int(best[a, b]) for a, b in pairwise(path)}:
            cost[:, :, kind] = _shift_costs(dealt[kind] - wanted[kind], up[kind], loose[kind])


def _shift_costs(off: np.ndarray, up: np.ndarray, loose: np.ndarray) -> np.ndarray:
    """Return (s, s) half of what the sum of squares grows by with one image from a to b; inf where rounding forbids."""
    return np.where(up[:, None] & (loose & ~up)[None, :], off[None, :] - off[:, None] + 1, np.inf)


def _cheapest_paths(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (s, s) length and next split of the cheapest path between each two splits (Floyd and Warshall)."""
    length = cost.copy()
    np.fill_diagonal(length, 0)
    step = np.tile(np.arange(len(cost)), (len(cost), 1))
    for middle in range(len(cost)):
        through = length[:, middle, None] + length[None, middle, :]
        shorter = through < length - _EPSILON
        step = np.where(shorter, step[:, middle, None], step)
        length = np.where(shorter, through, length)
    return length, step


def _best_path(reach: tuple[np.ndarray, np.ndarray], off: np.ndarray) -> list[int] | None:
    """Return the path that mends the sizes most, the cheapest among equals; None where no path mends anything."""
    length, step = reach
    change = np.where(np.isfinite(length), off[None, :] - off[:, None] + 1, np.inf)
    if change.min() >= -_EPSILON:
        return None
    equal = np.where(change <= change.min() + _EPSILON, length, np.inf)
    a, b = divmod(int(equal.argmin()), len(off))
    path = [a]
    while path[-1] != b:
        path.append(int(step[path[-1], b]))
    return path
