"""From probabilities to decisions: how far they can be believed, and from which one on a class is decided for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEVER = 2.0  # a threshold above every probability: the class is never decided for

_DECIMALS = 4  # scores are rounded before any cut, so that engines that differ in the last bits decide alike


def decide(probabilities: np.ndarray, thresholds: Sequence[float], *, multilabel: bool = False) -> np.ndarray:
    """Decide for the likeliest class, or for each class by itself, where its probability reaches its threshold.

    Args:
        probabilities: (n, k); NaN = none, as of an image that could not be read.
        thresholds: k numbers; `NEVER`, or any number above 1, keeps a class from being decided for.
        multilabel: Whether the classes are independent.

    Returns:
        (n,) int64, -1 = abstained; or (n, k) bool where the classes are independent.

    Raises:
        ValueError: The numbers of classes differ.
    """
    least = np.asarray(thresholds, np.float64)
    if least.shape != probabilities.shape[1:]:
        raise ValueError(f"{len(least)} thresholds for probabilities of shape {probabilities.shape}")
    rounded = np.round(np.asarray(probabilities, np.float64), _DECIMALS)
    if multilabel:
        return rounded >= least
    known = np.isfinite(probabilities).all(axis=1)
    likeliest = np.where(known[:, None], probabilities, 0).argmax(axis=1)
    reached = rounded[np.arange(len(rounded)), likeliest] >= least[likeliest]
    return np.where(known & reached, likeliest, -1).astype(np.int64)
