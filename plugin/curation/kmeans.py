"""Weighted k-means that gives the same clusters whatever the number of threads.

Lloyd's iterations on vectors from a k-means++ start (Arthur and Vassilvitskii 2007). scikit-learn's adds up what its
threads found in the order in which they finish, so a point between two clusters may change sides from run to run.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

_ITERATIONS = 8
_BLOCK = 16_384


def cluster(
    points: np.ndarray, count: int, rng: np.random.Generator, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Put points into clusters.

    Args:
        points: (n, d) float32.
        count: Clusters; fewer where there are fewer different points.
        rng: Of the start.
        weights: (n,) float >= 0. How much each point counts; None = all alike.

    Returns:
        centres (c, d) float32 and the cluster (n,) int64 of each point.
    """
    weights = np.ones(len(points)) if weights is None or not np.any(weights > 0) else weights
    centres = points[_start(points, count, rng, weights)]
    own = nearest(points, centres)
    for _ in range(_ITERATIONS):
        sums = csr_array((weights, (own, np.arange(len(points)))), shape=(len(centres), len(points)))
        total = np.asarray(sums.sum(axis=1))
        moved = np.where(total[:, None] > 0, (sums @ points) / np.maximum(total, 1e-12)[:, None], centres)
        centres = moved.astype(np.float32)
        again = nearest(points, centres)
        if np.array_equal(again, own):
            break
        own = again
    return centres, own


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the (n,) int64 number of each point's nearest centre, ties to the first."""
    own = np.empty(len(points), np.int64)
    half = (centres**2).sum(axis=1) / 2
    for start in range(0, len(points), _BLOCK):
        part = slice(start, start + _BLOCK)
        own[part] = (points[part] @ centres.T - half).argmax(axis=1)
    return own


def _start(points: np.ndarray, count: int, rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """Return the rows of the first centres: each drawn by its weight times its squared distance to those before."""
    squares = (points**2).sum(axis=1)
    left = np.full(len(points), np.inf)
    chosen: list[int] = []
    chance = weights.astype(np.float64)
    while len(chosen) < min(count, len(points)) and chance.sum() > 0:
        reached = np.cumsum(chance)
        row = int(np.searchsorted(reached, rng.random() * reached[-1], side="right"))
        row = min(row, len(points) - 1)
        chosen.append(row)
        distance = squares + squares[row] - 2 * (points @ points[row])
        np.minimum(left, np.maximum(distance, 0), out=left)
        left[left < 1e-6] = 0
        left[row] = 0
        chance = weights * left
    return np.array(chosen, np.int64)
