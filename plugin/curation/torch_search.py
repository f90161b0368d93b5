"""Exact neighbours on a GPU: matrix products in blocks, the best of which are kept (Johnson 2017, arXiv:1702.08734).

torch is imported when it is needed, since it takes seconds and everything else in `curation` does without. Only a block
of the rows and a block of the queries lie in the GPU's memory at a time: about 1 GB, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

# Half a million rows, 384 wide, are 2e14 operations among themselves: half a minute where 8e12 are done a second.
EXACT_UP_TO = 500_000
_ROWS = 32_768
_QUERIES = 2048
_PLACES = 1e5  # products closer than 1e-5 are equal: they come out a little different on each device
_LOW_HALF = 2**32 - 1


def find_gpu() -> str | None:
    """Return the name of the device that torch would search on; None where it sees no GPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else None


def search_on(
    device: str,
    base: np.ndarray,
    queries: np.ndarray,
    k: int,
    told: Callable[[int, int], None] = lambda done, total: None,
    *,
    at_once: tuple[int, int] = (_ROWS, _QUERIES),
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each query the k rows with the largest inner product, best first, ties within 1e-5 by row.

    Args:
        device: Where torch computes, as in "cuda".
        base: (n, d) float32 of length 1 at most, n < 2^32.
        queries: (q, d) float32 of length 1 at most.
        k: Neighbours a query, at most n.
        told: Called after each block with how many queries were answered and how many there are, each once a block of
            rows.
        at_once: Rows and queries in memory at a time; the result does not depend on them. A block of queries that does
            not fit the GPU's memory is halved, and so are those after it.

    Returns:
        similarity (q, k) float32 and row (q, k) int64.

    Raises:
        torch.OutOfMemoryError: A single query does not fit.
    """
    import torch

    rows_at_once, queries_at_once = at_once
    similarity = np.full((len(queries), k), -np.inf, np.float32)
    found = np.full((len(queries), k), -1, np.int64)
    done, total = 0, -(-len(base) // rows_at_once) * len(queries)
    for first in range(0, len(base), rows_at_once):
        block = torch.tensor(base[first : first + rows_at_once], device=device)
        start = 0
        while start < len(queries):
            part = slice(start, start + queries_at_once)
            try:
                products, rows = _best_of(block, torch.tensor(queries[part], device=device), k)
            except torch.OutOfMemoryError:
                if queries_at_once == 1:
                    raise
                queries_at_once //= 2
                continue
            similarity[part], found[part] = _merged(similarity[part], found[part], products, rows + first)
            start, done = start + len(rows), done + len(rows)
            told(done, total)
    return similarity, found


def _best_of(block: torch.Tensor, queries: torch.Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return products (q, k') and rows (q, k') of a block, k' = min(k, rows of the block), ties by row.

    `topk` breaks ties as it likes, so it is given whole numbers without ties: the rounded product above the row.
    """
    import torch

    products = queries @ block.T
    keys = (products * _PLACES).round_().to(torch.int64) << 32
    keys += _LOW_HALF - torch.arange(len(block), device=block.device)
    rows = _LOW_HALF - (keys.topk(min(k, len(block)), dim=1).values & _LOW_HALF)
    return products.gather(1, rows).cpu().numpy(), rows.cpu().numpy()


def _merged(
    similarity: np.ndarray, found: np.ndarray, products: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best of the neighbours so far and those of another block; both come best first, lower rows first."""
    values = np.concatenate([similarity, products], axis=1)
    order = np.argsort(-np.round(values * _PLACES), axis=1, kind="stable")[:, : similarity.shape[1]]
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(np.hstack([found, rows]), order, axis=1)
