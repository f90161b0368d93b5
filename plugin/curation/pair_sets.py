"""Sets of pairs of rows, each pair as one number: numpy's own sets of rows compare bytes, in sixteen times the time."""

from __future__ import annotations

import numpy as np


def pair_numbers(pairs: np.ndarray, n: int) -> np.ndarray:
    """Return (m,) int64, in the order of (m, 2) int64 pairs of n rows, and different for different pairs."""
    return pairs[:, 0] * max(n, 1) + pairs[:, 1]


def first_of_each(pairs: np.ndarray) -> np.ndarray:
    """Return (k,) int64: where each different one of (m, 2) int64 pairs of rows stands first, in the pairs' order."""
    return np.unique(pair_numbers(pairs, int(pairs.max(initial=0)) + 1), return_index=True)[1]


def each_once(pairs: np.ndarray) -> np.ndarray:
    """Return the different ones of (m, 2) int64 pairs of rows, in ascending order."""
    n = int(pairs.max(initial=0)) + 1
    return np.stack(np.divmod(np.unique(pair_numbers(pairs, n)), n), axis=1)
