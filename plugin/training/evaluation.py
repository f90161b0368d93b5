"""How good predictions are, coverage told apart from accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap
from sklearn.metrics import f1_score, recall_score


@dataclass(frozen=True)
class Evaluation:
    """Metrics over the images that have both a label and a prediction.

    Attributes:
        images: How many those are.
        without_label: Images left out because they have no label.
        without_prediction: Images left out because they have no prediction.
        accuracy: Share of right predictions; NaN without images, as the other metrics.
        interval: 95 % interval of the accuracy.
        balanced_accuracy: Mean recall of the classes that occur.
        macro_f1: Mean F1 of the classes that occur in labels or predictions.
    """

    images: int
    without_label: int
    without_prediction: int
    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    macro_f1: float


def evaluate(labels: np.ndarray, predicted: np.ndarray, seed: int = 0) -> Evaluation:
    """Compare (n,) int labels with (n,) int predictions; -1 = none in either."""
    both = (labels >= 0) & (predicted >= 0)
    counts = (int(both.sum()), int((labels < 0).sum()), int(((predicted < 0) & (labels >= 0)).sum()))
    if not both.any():
        nan = float("nan")
        return Evaluation(*counts, nan, (nan, nan), nan, nan)
    truth, guess = labels[both], predicted[both]
    right = truth == guess
    return Evaluation(
        *counts,
        accuracy=float(right.mean()),
        interval=_interval(right, seed),
        balanced_accuracy=float(recall_score(truth, guess, labels=np.unique(truth), average="macro")),
        macro_f1=float(f1_score(truth, guess, average="macro")),
    )


def _interval(right: np.ndarray, seed: int) -> tuple[float, float]:
    """Percentile bootstrap (Efron and Tibshirani 1993, chapter 13) of the mean.

    Resampling images that are all right, or all wrong, shows no doubt however few they are; the exact interval of
    Clopper and Pearson (1934) does.
    """
    bound = float(0.025 ** (1 / len(right)))
    if right.all():
        return bound, 1.0
    if not right.any():
        return 0.0, 1 - bound
    rng = np.random.default_rng(seed)
    found = bootstrap((right.astype(float),), np.mean, n_resamples=1000, method="percentile", batch=50, rng=rng)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
