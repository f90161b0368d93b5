"""A few images that show what is new: not ten of one kind."""

from __future__ import annotations

import numpy as np

from .kmeans import cluster

_SHOWN = 12
_MOST, _SHARE = 500, 0.05  # candidates: so many at most, or this share of the images


def most_unlike(scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the rows with the highest scores, the highest first, ties by row.

    Args:
        scores: (n,) float, rounded. How new each is.
        rows: (u,) int64. Those that can be shown.
    """
    order = rows[np.argsort(-scores[rows], kind="stable")]
    return order[: int(np.clip(_SHARE * len(rows), 5 * _SHOWN, _MOST))]


def different_ones(components: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the (e,) int64 places of the first row of each of up to twelve clusters, in ascending order.

    Args:
        components: (c, r) float32 of candidates, the best first.
        rng: Of the clusters' start.
    """
    _, own = cluster(components, _SHOWN, rng)
    return np.sort(np.unique(own, return_index=True)[1])
