"""Parts of the data on which a classifier may be worse than on the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

NONE, OTHERS = "(none)", "(others)"
_MOST = 50
_MOST_NUMBERS = 10  # whole numbers of more values than these are cut into quartiles


def slice_rows(values: Sequence[Any]) -> list[tuple[str, np.ndarray]]:
    """Cut n rows into slices by a value each: text, yes or no, a number, a list of texts, or None.

    Numbers become quartiles, unless they are a few whole ones. Of other values the 50 most frequent ones get a slice
    each, and the rest of them one. A row with a list is in the slice of each element.

    Returns:
        (name, (n,) bool mask), in the order of the values; rows without a value last.
    """
    if _needs_quartiles([value for value in values if not _is_missing(value)]):
        return _quartiles(values)
    held = [
        set() if _is_missing(value) else {str(each) for each in value} if _is_list(value) else {str(value)}
        for value in values
    ]
    counts = Counter(name for names in held for name in names)
    frequent = sorted(sorted(counts, key=lambda name: (-counts[name], name))[:_MOST], key=_natural)
    slices = [(name, np.array([name in names for names in held], bool)) for name in frequent]
    rest = counts.keys() - set(frequent)
    slices.append((OTHERS, np.array([bool(names & rest) for names in held], bool)))
    slices.append((NONE, np.array([not names for names in held], bool)))
    return [(name, rows) for name, rows in slices if rows.any()]


def _needs_quartiles(known: list[Any]) -> bool:
    if not known or any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in known):
        return False
    return len(set(known)) > _MOST_NUMBERS or not all(float(value).is_integer() for value in known)


def _quartiles(values: Sequence[Any]) -> list[tuple[str, np.ndarray]]:
    numbers = np.array([np.nan if _is_missing(value) else float(value) for value in values])
    missing = np.isnan(numbers)
    edges = np.quantile(numbers[~missing], [0.25, 0.5, 0.75])
    place = np.where(missing, -1, np.searchsorted(edges, numbers, side="left"))
    slices = []
    for quarter in range(4):
        rows = place == quarter
        if rows.any():
            slices.append((f"{numbers[rows].min():g} to {numbers[rows].max():g}", rows))
    return [*slices, (NONE, missing)] if missing.any() else slices


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, set))


def _natural(name: str) -> tuple[bool, float, str]:
    """Sort numbers by their value, before other text."""
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name
