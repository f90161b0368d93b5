"""The one number that the best epoch, and the better of probe and fine-tuned network, are chosen by."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax
from sklearn.metrics import average_precision_score, f1_score, recall_score

from ..errors import DataError
from .recipe import METRICS

_IMBALANCED = 1.5  # images of the largest class, over the mean of the classes


def chosen_metric(asked: str, labels: np.ndarray) -> str:
    """Return the metric that "auto" stands for with these training labels, or the one that is asked for.

    Args:
        asked: One of `recipe.METRICS`.
        labels: (n,) int, or (n, k) in {0, 1, NaN} where an image may have several.

    Raises:
        DataError: The metric does not suit labels of that kind.
    """
    if labels.ndim == 2:
        if asked not in ("auto", "average_precision"):
            raise DataError(f"metric '{asked}' is for one label an image; use 'auto' or 'average_precision'.")
        return "average_precision"
    if asked == "average_precision":
        raise DataError(f"metric '{asked}' is for several labels an image; use {', '.join(METRICS[:4])}.")
    if asked != "auto":
        return asked
    sizes = np.bincount(labels)
    return "macro_f1" if sizes.max() > _IMBALANCED * sizes[sizes > 0].mean() else "accuracy"


def measure(metric: str, labels: np.ndarray, logits: np.ndarray) -> float:
    """Return a metric of (n, k) logits, higher is better; NaN labels are left out."""
    if metric == "average_precision":
        return _mean_average_precision(labels, logits)
    predicted = logits.argmax(axis=1)
    if metric == "accuracy":
        return float((predicted == labels).mean())
    if metric == "balanced_accuracy":
        return float(recall_score(labels, predicted, labels=np.unique(labels), average="macro"))
    return float(f1_score(labels, predicted, average="macro", zero_division=0))


def likelihood_loss(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the mean negative log-likelihood, in nats an image or, of several labels, a label."""
    if labels.ndim == 1:
        return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())
    known = np.isfinite(labels)
    return float(np.logaddexp(0, np.where(labels == 1, -logits, logits))[known].mean())


def _mean_average_precision(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the mean over the classes of which both kinds of images are known; 0 where there is none."""
    found = []
    for column in range(labels.shape[1]):
        known = np.isfinite(labels[:, column])
        if len(np.unique(labels[known, column])) == 2:
            found.append(average_precision_score(labels[known, column], logits[known, column]))
    return float(np.mean(found)) if found else 0.0
