"""Leakage: near-duplicates whose images lie in different splits. Every such pair counts, whatever its group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .duplicates import DuplicatePairs

_EVALUATION_ORDER = {"test": 0, "validation": 1, "train": 3}


def cross_split_pairs(pairs: DuplicatePairs, splits: np.ndarray) -> DuplicatePairs:
    """Return the pairs across two splits, the evaluation side first in `rows`.

    Args:
        pairs: Scored pairs.
        splits: (n,) split names; "" = pool: images outside every split cannot leak.

    The evaluation side is test before validation before any other name before train; two other names are ordered
    alphabetically.
    """
    first, second = splits[pairs.rows[:, 0]], splits[pairs.rows[:, 1]]
    across = (first != second) & (first != "") & (second != "")
    found = pairs.where(across)
    return replace(found, rows=evaluation_first(found.rows, splits))


def evaluation_first(rows: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return (m, 2) pairs across two splits with the evaluation side first."""
    names, number = np.unique(splits, return_inverse=True)
    rank = np.empty(len(names), int)
    rank[sorted(range(len(names)), key=lambda index: _rank(names[index]))] = np.arange(len(names))
    first, second = rank[number[rows]].T
    return np.where((first > second)[:, None], rows[:, ::-1], rows)


def is_evaluation(splits: np.ndarray) -> np.ndarray:
    """Return (n,) bool: images of a split that judges rather than trains."""
    return (splits != "train") & (splits != "")


def _rank(name: str) -> tuple[int, str]:
    return _EVALUATION_ORDER.get(name, 2), name
