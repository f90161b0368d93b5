"""Units: images that have to stay together, since they show the same shot, patient, product or scene."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def join_units(n: int, pairs: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """Join n images by pairs and by groups; what is joined over several steps is one unit too.

    Args:
        n: Number of images.
        pairs: (m, 2) int. Two images each, such as near-duplicates.
        columns: Each (n,) object or str: images with the same value belong together; None or "" = in no group.

    Returns:
        (n,) int64 unit numbers from 0, in the order of their first image.

    Raises:
        ValueError: A pair names an image that does not exist, or a column has another length than n.
    """
    links = np.asarray(pairs, np.int64).reshape(-1, 2)
    if len(links) and (links.min() < 0 or links.max() >= n):
        raise ValueError(f"pairs must name rows from 0 to {n - 1}, got {links.min()} to {links.max()}")
    links = np.concatenate([links, *(_links_of_column(column, n) for column in columns)])
    graph = coo_array((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    return number_by_first(component)


def number_by_first(values: np.ndarray) -> np.ndarray:
    """Return (n,) int64: equal values get the same number; numbers rise from 0 with the first occurrence."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _links_of_column(column: np.ndarray, n: int) -> np.ndarray:
    """Return (l, 2) int64: each image of a group with the group's first image."""
    if len(column) != n:
        raise ValueError(f"a column of groups must have {n} values, got {len(column)}")
    first: dict[object, int] = {}
    links = [
        (first.setdefault(value, row), row) for row, value in enumerate(column) if value is not None and value != ""
    ]
    return np.array(links, np.int64).reshape(-1, 2)
