"""Leakage: near-duplicates whose images lie in different splits. Every such pair counts, whatever its group."""

from __future__ import annotations

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
    rows = pairs.rows[across].copy()
    swap = np.array([_rank(splits[a]) > _rank(splits[b]) for a, b in rows], bool)
    rows[swap] = rows[swap][:, ::-1]
    return DuplicatePairs(rows, pairs.score[across], pairs.threshold, pairs.recall)


def is_evaluation(splits: np.ndarray) -> np.ndarray:
    """Return (n,) bool: images of a split that judges rather than trains."""
    return (splits != "train") & (splits != "")


def _rank(name: str) -> tuple[int, str]:
    return _EVALUATION_ORDER.get(name, 2), name
