"""Drift as a classifier sees it: each class's probabilities compared between two sets of images.

Black-box shift detection with univariate Kolmogorov-Smirnov tests (Rabanser, Guennemann and Lipton 2019, "Failing
Loudly", arXiv:1810.11953), the most powerful of the simple ways there. The distances are read at a few quantiles of
both sets together, which makes those of all shuffles one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .drift_shuffles import Shuffles

_CUTS, _FEWEST_CUTS, _COLUMNS = 32, 4, 2_048


@dataclass(frozen=True, eq=False)
class ClassDrift:
    """How the probabilities of k classes moved.

    Attributes:
        p_value: (k,) float64. Of each class, corrected for there being k (Westfall and Young, single step).
        reference_mean, current_mean: (k,) float32. Mean probability in all usable rows.
        effect: (k,) float32 in 0..1. Kolmogorov-Smirnov distance of the matched rows, at the cuts.
    """

    p_value: np.ndarray
    reference_mean: np.ndarray
    current_mean: np.ndarray
    effect: np.ndarray

    def __post_init__(self) -> None:
        for name in ("reference_mean", "current_mean", "effect"):
            if getattr(self, name).shape != self.p_value.shape:
                raise ValueError(f"{name} must have shape {self.p_value.shape}, got {getattr(self, name).shape}")


def class_distances(probs: np.ndarray, shuffles: Shuffles) -> np.ndarray:
    """Return (k, b + 1) float32 Kolmogorov-Smirnov distances of each class, in truth and after each shuffle.

    Args:
        probs: (2 m, k) of the matched rows, the reference first.
        shuffles: Of as many rows.
    """
    cuts = int(np.clip(_COLUMNS // probs.shape[1], _FEWEST_CUTS, _CUTS))
    inner = np.linspace(0, 1, cuts + 2)[1:-1]
    found = np.empty((probs.shape[1], shuffles.signs.shape[1]), np.float32)
    step = max(_COLUMNS // cuts, 1)
    for start in range(0, probs.shape[1], step):
        part = probs[:, start : start + step]
        # Values that the rows really have: between two of them, a cut would depend on rounding.
        at = np.quantile(part, inner, axis=0, method="lower")
        below = (part[:, :, None] <= at.T[None]).reshape(len(part), -1).astype(np.float32)
        distances = np.abs(shuffles.mean_differences(below)).reshape(part.shape[1], cuts, -1)
        found[start : start + step] = distances.max(axis=1)
    return found


def predicted_distances(predicted: np.ndarray, shuffles: Shuffles) -> tuple[np.ndarray, float]:
    """Compare how often each class is predicted.

    Args:
        predicted: (2 m,) int of the matched rows, the reference first.
        shuffles: Of as many rows.

    Returns:
        (b + 1,) float64 chi-square distances, in truth and after each shuffle; and the effect size in 0..1: the share
        of images whose prediction would have to change to make both sets alike.
    """
    classes, number = np.unique(predicted, return_inverse=True)
    one_hot = (number[:, None] == np.arange(len(classes))).astype(np.float32)
    moved = shuffles.mean_differences(one_hot).astype(np.float64)
    distance = (moved**2 / one_hot.mean(axis=0)[:, None]).sum(axis=0)
    return distance, beyond_chance(np.abs(moved).sum(axis=0) / 2)


def beyond_chance(distances: np.ndarray) -> float:
    """Return the true one of (b + 1,) distances in 0..1, less what chance gives: 0 where the shuffles give as much."""
    squares = np.asarray(distances, np.float64) ** 2
    return float(np.sqrt(np.clip(squares[0] - squares[1:].mean(), 0, 1)))


def class_drift(distances: np.ndarray, reference_mean: np.ndarray, current_mean: np.ndarray) -> ClassDrift:
    """Return what is told of each class.

    Args:
        distances: (k, b + 1) from `class_distances`.
        reference_mean, current_mean: (k,) of all usable rows.
    """
    largest = np.round(distances.max(axis=0), 4)
    own = np.round(distances[:, 0], 4)
    return ClassDrift(
        p_value=(largest[None, :] >= own[:, None]).mean(axis=1),
        reference_mean=reference_mean.astype(np.float32),
        current_mean=current_mean.astype(np.float32),
        effect=own.astype(np.float32),
    )
