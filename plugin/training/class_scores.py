"""How good predictions are class by class, and which classes are taken for which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Metrics of the m classes that occur in labels or predictions.

    Attributes:
        classes: (m,) int64. Their numbers, ascending.
        support: (m,) int64. Images with this label.
        predicted: (m,) int64. Images with this prediction.
        precision: (m,) float64; NaN where the class is never predicted.
        recall: (m,) float64; NaN where no image has the label.
        f1: (m,) float64.
        roc_auc: (m,) float64; NaN without probabilities, or without images of both kinds.
        average_precision: (m,) float64; NaN as `roc_auc`.
    """

    classes: np.ndarray
    support: np.ndarray
    predicted: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    roc_auc: np.ndarray
    average_precision: np.ndarray


def score_classes(labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray | None = None) -> ClassScores:
    """Score each class, over the images that have both a label and a prediction.

    Args:
        labels: (n,) int, -1 = none.
        predicted: (n,) int, -1 = none.
        probabilities: (n, k) of the classes 0 to k - 1, NaN where there are none; None = not known.
    """
    both = (labels >= 0) & (predicted >= 0)
    truth, guess = labels[both], predicted[both]
    classes = np.unique(np.concatenate([truth, guess]))
    nothing: np.ndarray = np.full(len(classes), np.nan)
    if not len(classes):
        return ClassScores(classes, classes, classes, nothing, nothing, nothing, nothing, nothing)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, guess, labels=classes, average=None, zero_division=np.nan
    )
    numbers, counts = np.unique(guess, return_counts=True)
    times = np.zeros(len(classes), np.int64)
    times[np.searchsorted(classes, numbers)] = counts
    roc_auc, average_precision = nothing.copy(), nothing.copy()
    if probabilities is not None:
        known = classes < probabilities.shape[1]
        areas = rank_scores(truth, probabilities[both])
        roc_auc[known], average_precision[known] = (area[classes[known]] for area in areas)
    return ClassScores(classes, support.astype(np.int64), times, precision, recall, f1, roc_auc, average_precision)


def rank_scores(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how well each class's probability ranks its images before the others.

    Args:
        labels: (n,) int >= 0.
        probabilities: (n, k) of the classes 0 to k - 1; rows with NaN are left out.

    Returns:
        (k,) area under the ROC curve and (k,) average precision; NaN where images with or without the class are
        wanting.
    """
    known = np.isfinite(probabilities).all(axis=1)
    found = np.full((2, probabilities.shape[1]), np.nan)
    for column in range(probabilities.shape[1]):
        found[:, column] = rank_score(labels[known] == column, probabilities[known, column])
    return found[0], found[1]


def rank_score(present: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Return area under the ROC curve and average precision of one class; NaN without images of both kinds.

    Args:
        present: (n,) bool. The image is of the class.
        probability: (n,) float.
    """
    if not present.any() or present.all():
        return np.nan, np.nan
    return float(roc_auc_score(present, probability)), float(average_precision_score(present, probability))


def worst_confusions(labels: np.ndarray, predicted: np.ndarray, most: int) -> list[tuple[int, int, int]]:
    """Return (label, prediction, images) of the cells beside the diagonal with the most images, the worst first."""
    wrong = (labels >= 0) & (predicted >= 0) & (labels != predicted)
    cells, counts = np.unique(np.stack([labels[wrong], predicted[wrong]]), axis=1, return_counts=True)
    order = np.lexsort((cells[1], cells[0], -counts))[:most]
    return [(int(cells[0, place]), int(cells[1, place]), int(counts[place])) for place in order]
