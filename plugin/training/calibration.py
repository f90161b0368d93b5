"""From probabilities to decisions: how far they can be believed, and from which one on a class is decided for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEVER = 2.0  # a threshold above every probability: the class is never decided for

DECIMALS = 4  # scores are rounded before any cut, so that engines that differ in the last bits decide alike


def expected_calibration_error(confidences: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Return how far confidences are from the share of right predictions, on average over bins of equal width.

    Guo et al. 2017, arXiv:1706.04599, equation 5.

    Args:
        confidences: (n,) in 0..1: the probability of what is predicted, or of each class by itself.
        right: (n,) bool. What was predicted is true.
        bins: How many, each without its lower end.

    Returns:
        In 0..1; NaN for n = 0.
    """
    if not len(confidences):
        return float("nan")
    place = np.clip(np.ceil(np.asarray(confidences, np.float64) * bins).astype(int) - 1, 0, bins - 1)
    excess = np.bincount(place, weights=confidences - right.astype(np.float64), minlength=bins)
    return float(np.abs(excess).sum() / len(confidences))


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
    rounded = np.round(np.asarray(probabilities, np.float64), DECIMALS)
    if multilabel:
        return rounded >= least
    known = np.isfinite(probabilities).all(axis=1)
    likeliest = np.where(known[:, None], probabilities, 0).argmax(axis=1)
    reached = rounded[np.arange(len(rounded)), likeliest] >= least[likeliest]
    return np.where(known & reached, likeliest, -1).astype(np.int64)
