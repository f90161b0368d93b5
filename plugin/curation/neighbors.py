"""Nearest neighbours by inner product, in bounded memory (FAISS; Douze et al. 2024, arXiv:2401.08281)."""

from __future__ import annotations

import faiss
import numpy as np

from ..progress import Progress, silent
from . import torch_search
from .ivf import InvertedLists

_BLOCK = 4096
_EXACT_UP_TO = 20_000  # without a GPU; fewer rows are not worth the seconds that torch takes to start either
_AGAINST = 16_384  # rows that a block of queries is compared with at a time


def unit_rows(vectors: np.ndarray, *, centered: bool = True) -> np.ndarray:
    """Return (n, d) float32 rows of length 1, the mean row subtracted first; an all-zero row stays zero.

    Raises:
        ValueError: Not a matrix, or a value that is not finite.
    """
    vectors = np.asarray(vectors, np.float32)
    has_centre = centered and vectors.ndim == 2 and len(vectors)
    return unit_rows_around(vectors, vectors.mean(axis=0, dtype=np.float64).astype(np.float32) if has_centre else 0)


def unit_rows_around(vectors: np.ndarray, centre: np.ndarray | float) -> np.ndarray:
    """Return (n, d) float32 rows of length 1 after (d,) `centre` is subtracted; errors are those of `unit_rows`."""
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2:
        raise ValueError(f"vectors must have shape (n, d), got {vectors.shape}")
    unit = np.empty_like(vectors)
    for start in range(0, len(vectors), _BLOCK):  # a copy of all takes gigabytes
        block = slice(start, start + _BLOCK)
        _check_finite(vectors[block], start)
        np.subtract(vectors[block], centre, out=unit[block])
        unit[block] /= _lengths(unit[block])
    return unit


def lengths_around(vectors: np.ndarray, centre: np.ndarray, first: int = 0) -> np.ndarray:
    """Return (m, 1) float32 lengths of (m, d) rows around a (d,) centre, 1 where one is zero.

    Raises:
        ValueError: A value that is not finite; the row is told by its number from `first` on.
    """
    _check_finite(vectors, first)
    return _lengths(np.subtract(vectors, centre))


def _check_finite(vectors: np.ndarray, first: int) -> None:
    if len(bad := np.flatnonzero(~np.isfinite(vectors).all(axis=1))):
        raise ValueError(f"row {first + bad[0]} of the vectors holds NaN or infinity; leave it out")


def _lengths(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(length > 0, length, np.float32(1))


class NeighborIndex:
    """Rows that can be asked for the nearest ones to a query.

    Args:
        base: (n, d) float32.
        exact: Compare each query with each row. False = look only where near rows lie (`ivf`), for rows of length 1:
            close neighbours are found with a recall of about .995, at a fraction of the cost. None = exact up to
            20,000 rows, or up to 500,000 on a GPU.

    An exact search among more than 20,000 rows runs on a GPU where torch sees one (`torch_search`).
    """

    def __init__(self, base: np.ndarray, exact: bool | None = None) -> None:
        self._base = np.ascontiguousarray(base, np.float32)
        self._lists: InvertedLists | None = None
        self._flat = faiss.IndexFlatIP(base.shape[1])
        self._gpu = torch_search.find_gpu() if len(base) > _EXACT_UP_TO and exact is not False else None
        most = _EXACT_UP_TO if self._gpu is None else torch_search.EXACT_UP_TO
        if not (len(base) <= most if exact is None else exact):
            self._lists = InvertedLists(self._base) if len(base) else None
        elif self._gpu is None:
            self._flat.add(self._base)

    def search(
        self, queries: np.ndarray, k: int, *, step: str = "neighbours", progress: Progress = silent
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find for each query the k rows with the largest inner product, best first.

        Args:
            queries: (q, d) float32.
            k: Neighbours a query; fewer where there are fewer rows.
            step: Name of this step for `progress`.
            progress: Told after each block of queries.

        Returns:
            similarity (q, k') float32 and row (q, k') int64, with k' = min(k, n). Where an inexact search saw fewer
            than k' rows, the rest is -inf and -1.
        """
        return self._search(queries, k, False, step, progress)

    def search_itself(
        self, k: int, *, step: str = "neighbours", progress: Progress = silent
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find for each row the k other rows with the largest inner product: as `search`, with k' = min(k, n - 1)."""
        return self._search(self._base, k, True, step, progress)

    def _search(
        self, queries: np.ndarray, k: int, own: bool, step: str, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray]:
        queries = np.ascontiguousarray(queries, np.float32)
        k = max(0, min(k, len(self._base) - own))
        if k == 0 or not len(queries):
            return np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        if self._lists is not None:
            cells = self._lists.own_cells if own else self._lists.cells_of(queries)
            similarity, rows = self._lists.search(queries, cells, k + own, step, progress)
        elif self._gpu is not None:
            similarity, rows = torch_search.search_on(
                self._gpu, self._base, queries, k + own, lambda done, total: progress(step, done, total)
            )
        else:
            similarity, rows = self._compare_all(queries, k + own, step, progress)
        if own:
            similarity, rows = _without_self(similarity, rows)
        return np.where(rows < 0, -np.inf, similarity).astype(np.float32), rows

    def _compare_all(self, queries: np.ndarray, k: int, step: str, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
        similarity, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        for start in range(0, len(queries), _BLOCK):
            block = slice(start, start + _BLOCK)
            similarity[block], rows[block] = self._flat.search(queries[block], k)
            progress(step, min(start + _BLOCK, len(queries)), len(queries))
        return similarity, rows


def _without_self(found: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop each row's own number, or the last neighbour where equal rows pushed the own one out."""
    drop = where == np.arange(len(where))[:, None]
    drop[~drop.any(axis=1), -1] = True
    shape = (len(where), where.shape[1] - 1)
    return found[~drop].reshape(shape), where[~drop].reshape(shape)


def nearest_of_some(rows: np.ndarray, some: np.ndarray, k: int, among: np.ndarray | None = None) -> np.ndarray:
    """Compare some rows with all of them, without an index: for a few against many.

    Args:
        rows: (n, d) float32.
        some: (q,) int64. The rows that are asked for.
        k: Neighbours a row.
        among: (n,) bool. Which rows may be neighbours; None = all.

    Returns:
        (q, k) int64: the other rows with the largest inner product, best first, ties by row; -1 where there are fewer.
    """
    best = np.full((len(some), k), -np.inf, np.float32)
    where = np.full((len(some), k), -1, np.int64)
    for start in range(0, len(rows), _AGAINST):
        block = np.arange(start, min(start + _AGAINST, len(rows)))
        for first in range(0, len(some), _BLOCK):
            part = slice(first, first + _BLOCK)
            found = rows[some[part]] @ rows[block[0] : block[-1] + 1].T
            found[some[part][:, None] == block] = -np.inf
            if among is not None:
                found[:, ~among[block]] = -np.inf
            values = np.concatenate([best[part], found], axis=1)
            number = np.concatenate([where[part], np.broadcast_to(block, found.shape)], axis=1)
            order = _largest(values, k)
            best[part] = np.take_along_axis(values, order, axis=1)
            where[part] = np.take_along_axis(number, order, axis=1)
    return np.where(np.isneginf(best), -1, where)


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Return the columns of the k largest values of each row, the largest first."""
    chosen = np.argpartition(-values, k - 1, axis=1)[:, :k]
    chosen.sort(axis=1)
    order = np.argsort(-np.take_along_axis(values, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)
