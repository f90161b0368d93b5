"""Which objects, such as ids, are among others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def is_among(values: np.ndarray, known: Iterable[object]) -> np.ndarray:
    """Return (n,) bool: which of (n,) objects are among the known ones, in time that grows with their number.

    `numpy.isin` compares each with each where they are objects (numpy 2.2, `lib/_arraysetops_impl.py`): 5 s for 20,000
    ids, and hours for a million.
    """
    held = set(known)
    return np.fromiter((value in held for value in values), bool, count=len(values))
