"""Where the nearest rows to a row come from: this machine's memory, or anything else that can be asked for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np

from ..progress import Progress, silent
from .centred_rows import Rows
from .neighbors import NeighborIndex, nearest_of_some
from .steps import Steps, not_kept


class NearestRows(Protocol):
    """The nearest ones of n rows of length 1, by inner product, best first; a row is never its own neighbour.

    Each answer is (q, k') int64 with k' <= k; -1 = there are no more, or no more were found.
    """

    def of_all(
        self, k: int, *, step: str = "neighbours", progress: Progress = silent, steps: Steps = not_kept
    ) -> np.ndarray:
        """Return the k nearest rows of each of the n rows; parts of the work may be `steps`."""

    def between(self, own: np.ndarray, other: np.ndarray, k: int) -> np.ndarray:
        """Return the k nearest ones among `other` of each of `own`: ascending int64 rows, none of them in both."""

    def of_some(self, some: np.ndarray, k: int, among: np.ndarray | None = None) -> np.ndarray:
        """Return the k nearest rows of a few rows, by (q,) int64 number; `among`: (n,) bool, None = all."""

    def of_queries(self, queries: np.ndarray, embeddings: np.ndarray, k: int) -> np.ndarray:
        """Return the k nearest rows of q other images.

        Args:
            queries: (q, d) float32, of length 1, around the same centre as the rows.
            embeddings: (q, d) float32. The same as the backbone gave them.
            k: Neighbours a query.
        """


MakeNearest: TypeAlias = Callable[[Rows], NearestRows]
"""From (n, d) rows of length 1 to what knows their neighbours."""


class RowsInMemory:
    """The nearest rows by comparing all of them here, see `NeighborIndex`.

    Args:
        rows: (n, d) float32, of length 1.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows[:]

    @cached_property
    def _index(self) -> NeighborIndex:
        return NeighborIndex(self._rows)

    def of_all(
        self, k: int, *, step: str = "neighbours", progress: Progress = silent, steps: Steps = not_kept
    ) -> np.ndarray:
        """See `NearestRows`."""
        return self._index.search_itself(k, step=step, progress=progress)[1]

    def between(self, own: np.ndarray, other: np.ndarray, k: int) -> np.ndarray:
        """See `NearestRows`."""
        _, found = NeighborIndex(self._rows[other]).search(self._rows[own], k)
        return np.where(found < 0, -1, other[found]) if len(other) else found

    def of_some(self, some: np.ndarray, k: int, among: np.ndarray | None = None) -> np.ndarray:
        """See `NearestRows`."""
        return nearest_of_some(self._rows, some, k, among)

    def of_queries(self, queries: np.ndarray, embeddings: np.ndarray, k: int) -> np.ndarray:
        """See `NearestRows`."""
        return self._index.search(queries, k)[1]
