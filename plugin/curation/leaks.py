"""Leakage: images of different splits that are near-duplicates, or belong together as shots of one patient do.

Every pair of near-duplicates across two splits counts, whatever group of duplicates it is in.
"""

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


def leaks_of_pairs(rows: np.ndarray, splits: np.ndarray) -> set[tuple[int, str]]:
    """Return (image, other split) for (m, 2) pairs with the evaluation side first."""
    return {(int(first), splits[second]) for first, second in rows}


def leaks_of_groups(column: np.ndarray, splits: np.ndarray) -> set[tuple[int, str]]:
    """Return (image, other split) for each image of an evaluation side whose group has images in the other split.

    Args:
        column: (n,) object. Group of each image, None = none.
        splits: (n,) split names, "" = pool.
    """
    holders = _holders(column, splits)
    return {
        (row, other)
        for row, group in enumerate(column)
        if splits[row]
        for other in holders.get(group, ())
        if _rank(splits[row]) < _rank(other)
    }


def straddles(column: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return (n,) bool: the image lies in a split, and its group in another one too."""
    holders = _holders(column, splits)
    return np.array(
        [bool(split) and len(holders.get(group, ())) > 1 for group, split in zip(column, splits, strict=True)], bool
    )


def _holders(column: np.ndarray, splits: np.ndarray) -> dict[str, set[str]]:
    """Return group -> the splits that hold some of it."""
    found: dict[str, set[str]] = {}
    for group, split in zip(column, splits, strict=True):
        if group is not None and split:
            found.setdefault(group, set()).add(split)
    return found


def is_evaluation(splits: np.ndarray) -> np.ndarray:
    """Return (n,) bool: images of a split that judges rather than trains."""
    return (splits != "train") & (splits != "")


def _rank(name: str) -> tuple[int, str]:
    return _EVALUATION_ORDER.get(name, 2), name
