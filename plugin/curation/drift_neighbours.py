"""New kinds of images: places where current images have mostly current neighbours.

Among the nearest neighbours of an image, both sets are as frequent if nothing changed (Schilling 1986; Henze 1988). A
new kind of a few per cent hardly moves a mean, but its images are each other's neighbours: raising each count to a
power lets a few places that are all new outweigh the noise of many that are not.
"""

from __future__ import annotations

import faiss
import numpy as np
from scipy.sparse import csr_array

from .drift_shuffles import Shuffles
from .drift_space import blocks

_NEIGHBOURS = 15
_POWER = 3
_ROWS = 1_000  # of each set at most: each is compared with each


class Neighbourhoods:
    """Matched rows, the first 1,000 pairs of them, and who is whose neighbour.

    Args:
        components: (2 m, r) float32 of the matched rows, the reference first.
        shuffles: Of as many rows.
        rng: Of the order in which equally near rows count: by their place, the reference would come first.

    Attributes:
        rows: (q,) int64. Which of the matched rows are looked at.
        distance: (q,) float32. Of each to its 15th nearest other one.
        shares: (q,) float32 in 0..1. Share of current rows among its nearest ones; one of each set is added to both
            counts, so that it never is 0 or 1.
    """

    def __init__(self, components: np.ndarray, shuffles: Shuffles, rng: np.random.Generator) -> None:
        half = len(components) // 2
        self.rows = np.r_[: min(half, _ROWS), half : half + min(half, _ROWS)]
        self._signs = shuffles.signs[self.rows]
        self._count = min(_NEIGHBOURS, len(self.rows) - 1)
        own = np.ascontiguousarray(components[self.rows])
        self._order = rng.permutation(len(own))
        self._index = faiss.IndexFlatL2(own.shape[1])
        self._index.add(own[self._order])
        squares, places = self._index.search(own, self._count + 1)
        found = self._order[places]
        itself = found == np.arange(len(found))[:, None]
        itself[~itself.any(axis=1), -1] = True  # equal rows pushed it out
        nearest = found[~itself].reshape(len(found), self._count)
        self.distance = np.sqrt(np.maximum(squares[:, -1], 0))
        self.shares = self._share(nearest)
        self._joined = _joined(nearest)
        self._among = self._joined @ self._signs

    def statistic(self) -> np.ndarray:
        """Return (b + 1,): how far current rows are among themselves, in truth and after each shuffle."""
        degree = np.sqrt(self._joined.sum(axis=1)).astype(np.float32)
        excess = np.maximum(self._among / degree[:, None], 0)
        return np.where(self._signs > 0, excess**_POWER, 0).sum(axis=0, dtype=np.float64)

    def effect_size(self) -> float:
        """0..1: how much more than by chance rows are among rows of their own set."""
        alike = (self._signs * self._among).sum(axis=0, dtype=np.float64) / self._joined.sum()
        return float(np.clip(alike[0] - alike[1:].mean(), 0, 1))

    def shares_around(self, components: np.ndarray) -> np.ndarray:
        """Return `shares` of other rows, with these (n, r) float32 components."""
        found = np.empty(len(components), np.float32)
        for part in blocks(len(components)):
            places = self._index.search(np.ascontiguousarray(components[part]), self._count)[1]
            found[part] = self._share(self._order[places])
        return found

    def _share(self, nearest: np.ndarray) -> np.ndarray:
        current = self._signs[:, 0] > 0
        return ((current[nearest].sum(axis=1) + 1) / (nearest.shape[1] + 2)).astype(np.float32)


def _joined(nearest: np.ndarray) -> csr_array:
    """Return (q, q): 1 where one of two rows is among the other's (q, k) nearest."""
    count, k = nearest.shape
    places = np.arange(0, count * k + 1, k)
    one_way = csr_array((np.ones(count * k, np.float32), nearest.ravel(), places), shape=(count, count))
    return csr_array(one_way.maximum(one_way.T))
