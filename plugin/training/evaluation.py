"""How good predictions of one class an image are, coverage told apart from accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, precision_score, recall_score

from .calibration import expected_calibration_error
from .class_scores import rank_scores
from .intervals import Interval, score_intervals

_NAN = math.nan
_NO_INTERVAL = (_NAN, _NAN)


@dataclass(frozen=True)
class Evaluation:
    """Metrics over the images that have both a label and a prediction; NaN where a metric is not defined.

    Attributes:
        images: How many those are.
        without_label: Images left out because they have no label.
        without_prediction: Images left out because they have a label but no prediction.
        coverage: Share of the labelled images that have a prediction.
        accuracy: Share of right predictions.
        interval: 95 % interval of the accuracy.
        balanced_accuracy: Mean recall of the classes that occur in the labels.
        balanced_interval: 95 % interval of the balanced accuracy.
        macro_precision: Mean precision of the classes that occur in labels or predictions, 0 for one never predicted.
        macro_recall: Mean recall of the same classes, 0 for one that is no label.
        macro_f1: Mean F1 of the same classes.
        f1_interval: 95 % interval of the macro F1.
        roc_auc: Mean area under the ROC curve, each class against the rest, over the classes that the model knows and
            that there are images with and without. NaN without probabilities, as the two that follow.
        average_precision: Mean average precision over the same classes.
        top_k: Share of the images whose label is among the `k` likeliest classes.
        k: 5 where the model knows more than five classes, 2 where it knows more than two, else 0.
        calibration_error: Expected calibration error of the predictions' probabilities, or of their confidences.
    """

    images: int
    without_label: int
    without_prediction: int
    coverage: float = _NAN
    accuracy: float = _NAN
    interval: Interval = _NO_INTERVAL
    balanced_accuracy: float = _NAN
    balanced_interval: Interval = _NO_INTERVAL
    macro_precision: float = _NAN
    macro_recall: float = _NAN
    macro_f1: float = _NAN
    f1_interval: Interval = _NO_INTERVAL
    roc_auc: float = _NAN
    average_precision: float = _NAN
    top_k: float = _NAN
    k: int = 0
    calibration_error: float = _NAN


def evaluate(
    labels: np.ndarray,
    predicted: np.ndarray,
    seed: int = 0,
    *,
    probabilities: np.ndarray | None = None,
    confidences: np.ndarray | None = None,
) -> Evaluation:
    """Compare labels with predictions.

    Args:
        labels: (n,) int, -1 = none.
        predicted: (n,) int, -1 = none.
        seed: Of the resampling.
        probabilities: (n, k) of the classes 0 to k - 1; a higher number is a class that the model does not know. The
            metrics of probabilities leave rows with NaN out.
        confidences: (n,) in 0..1 of the predictions, NaN = none; for the calibration error where no probabilities are.
    """
    both = (labels >= 0) & (predicted >= 0)
    counts = (int(both.sum()), int((labels < 0).sum()), int(((predicted < 0) & (labels >= 0)).sum()))
    if not both.any():
        return Evaluation(*counts, coverage=0.0 if counts[2] else _NAN)
    truth, guess = labels[both], predicted[both]
    accuracy_interval, balanced_interval, f1_interval = score_intervals(truth, guess, seed)
    if probabilities is not None:
        more = _of_probabilities(truth, probabilities[both])
    elif confidences is not None:
        stated = np.isfinite(confidences[both])
        right = (truth == guess)[stated]
        more = {"calibration_error": expected_calibration_error(confidences[both][stated], right)}
    else:
        more = {}
    return Evaluation(
        *counts,
        coverage=counts[0] / (counts[0] + counts[2]),
        accuracy=float((truth == guess).mean()),
        interval=accuracy_interval,
        balanced_accuracy=float(recall_score(truth, guess, labels=np.unique(truth), average="macro")),
        balanced_interval=balanced_interval,
        macro_precision=float(precision_score(truth, guess, average="macro", zero_division=0)),
        macro_recall=float(recall_score(truth, guess, average="macro", zero_division=0)),
        macro_f1=float(f1_score(truth, guess, average="macro", zero_division=0)),
        f1_interval=f1_interval,
        **more,
    )


def _of_probabilities(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    known = np.isfinite(probabilities).all(axis=1)
    if not known.any():
        return {}
    labels, probabilities = labels[known], probabilities[known]
    areas = [area[np.isfinite(area)] for area in rank_scores(labels, probabilities)]
    roc_auc, average_precision = (float(area.mean()) if len(area) else _NAN for area in areas)
    classes = probabilities.shape[1]
    k = 5 if classes > 5 else 2 if classes > 2 else 0
    likeliest = probabilities.argmax(axis=1)
    return {
        "roc_auc": roc_auc,
        "average_precision": average_precision,
        "top_k": _top_k(labels, probabilities, k) if k else _NAN,
        "k": k,
        "calibration_error": expected_calibration_error(probabilities.max(axis=1), likeliest == labels),
    }


def _top_k(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """Return the share of labels among the k likeliest classes; of equal ones, that of the lower number goes first.

    scikit-learn's `top_k_accuracy_score` refuses labels that the model does not know.
    """
    known = labels < probabilities.shape[1]
    rows, own = probabilities[known], labels[known][:, None]
    reached = np.take_along_axis(rows, own, axis=1)
    earlier = np.arange(rows.shape[1]) < own
    before = ((rows > reached) | ((rows == reached) & earlier)).sum(axis=1)
    return float((before < k).sum() / len(labels))
