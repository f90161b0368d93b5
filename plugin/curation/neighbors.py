"""Nearest neighbours by inner product, in bounded memory (FAISS; Douze et al. 2024, arXiv:2401.08281)."""

from __future__ import annotations

from collections.abc import Callable

import faiss
import numpy as np

from ..progress import Progress, silent
from .ivf import InvertedLists

_BLOCK = 4096
_EXACT_UP_TO = 20_000

Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def unit_rows(vectors: np.ndarray, *, centered: bool = True) -> np.ndarray:
    """Return (n, d) float32 rows of length 1, the mean row subtracted first; an all-zero row stays zero.

    Raises:
        ValueError: Not a matrix, or a value that is not finite.
    """
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2:
        raise ValueError(f"vectors must have shape (n, d), got {vectors.shape}")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise ValueError(f"row {bad[0]} (and {len(bad) - 1} more) of the vectors holds NaN or infinity; leave it out")
    if centered and len(vectors):
        vectors = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def nearest_neighbors(
    queries: np.ndarray,
    base: np.ndarray,
    k: int,
    *,
    same_rows: bool = False,
    exact: bool | None = None,
    step: str = "neighbours",
    progress: Progress = silent,
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each query the k rows of `base` with the largest inner product, best first.

    Args:
        queries: (q, d) float32.
        base: (n, d) float32.
        k: Neighbours a query; fewer where `base` has fewer rows.
        same_rows: Queries and base are the same rows: a row is not its own neighbour.
        exact: Compare each query with each row. False = look only where near rows lie (`ivf`), for rows of length 1:
            close neighbours are found with a recall of about .995, at a fraction of the cost. None = exact up to
            20,000 rows.
        step: Name of this step for `progress`.
        progress: Told after each block of queries.

    Returns:
        similarity (q, k') float32 and row (q, k') int64, with k' = min(k, n or, for `same_rows`, n - 1). Where an
        inexact search saw fewer than k' rows, the rest is -inf and -1.
    """
    available = len(base) - same_rows
    k = max(0, min(k, available))
    similarity, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    if k == 0:
        return similarity, rows
    if exact is None:
        exact = len(base) <= _EXACT_UP_TO
    queries, base = np.ascontiguousarray(queries, np.float32), np.ascontiguousarray(base, np.float32)
    search, order = (_exact_search if exact else _cell_search)(queries, base)
    for start in range(0, len(queries), _BLOCK):
        block = order[start : start + _BLOCK]
        found, where = search(block, k + same_rows)
        if same_rows:
            found, where = _without_self(found, where, block)
        similarity[block], rows[block] = np.where(where < 0, -np.inf, found), where
        progress(step, start + len(block), len(queries))
    return similarity, rows


def _exact_search(queries: np.ndarray, base: np.ndarray) -> tuple[Search, np.ndarray]:
    index = faiss.IndexFlatIP(base.shape[1])
    index.add(base)
    return lambda block, k: index.search(queries[block], k), np.arange(len(queries))


def _cell_search(queries: np.ndarray, base: np.ndarray) -> tuple[Search, np.ndarray]:
    """Return a search, and the order that keeps the cells of successive queries in the processor's cache."""
    lists = InvertedLists(base)
    blocks = [lists.cells_of(queries[start : start + _BLOCK]) for start in range(0, len(queries), _BLOCK)]
    cells = np.concatenate(blocks) if blocks else np.empty((0, lists.probes), np.int64)
    return lambda block, k: lists.search(queries[block], cells[block], k), np.argsort(cells[:, 0], kind="stable")


def _without_self(found: np.ndarray, where: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop each row's own number, or the last neighbour where equal rows pushed the own one out."""
    drop = where == own[:, None]
    drop[~drop.any(axis=1), -1] = True
    shape = (len(where), where.shape[1] - 1)
    return found[~drop].reshape(shape), where[~drop].reshape(shape)
