"""The linear layer that training starts from, for one label an image and for several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..curation.probe import FOLDS, Probe, fit_probe
from ..progress import Progress, silent


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A linear classifier on embeddings of length 1, calibrated.

    Attributes:
        weights: (d, k) float64.
        bias: (k,) float64.
        held_out: (n, k) float64. Out-of-fold logits of the rows that it was fitted on.
    """

    weights: np.ndarray
    bias: np.ndarray
    held_out: np.ndarray

    def logits(self, vectors: np.ndarray) -> np.ndarray:
        """Return (m, k) float64 logits of (m, d) embeddings, whose length does not matter."""
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, length, where=length > 0, out=np.zeros(vectors.shape)) @ self.weights + self.bias


def fit_head(
    vectors: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    *,
    groups: np.ndarray,
    seed: int,
    progress: Progress = silent,
) -> LinearHead:
    """Fit a linear classifier.

    Args:
        vectors: (n, d) float32.
        labels: (n,) int in [0, k); or (n, k) float in {0, 1, NaN}, each class by itself, of the images that are known.
        n_classes: k.
        groups: (n,) int: rows with the same number >= 0 are never on both sides of a fold; -1 = alone.
        seed: Of the folds.
        progress: Told along the way.

    Raises:
        DataError: One label an image: fewer than two classes, or too few images.
    """
    if labels.ndim == 1:
        probe = fit_probe(vectors, labels, n_classes, groups=groups, seed=seed, progress=progress)
        return LinearHead(probe.weights, probe.bias, probe.held_out_logits(vectors))
    weights, bias = np.zeros((vectors.shape[1], n_classes)), np.zeros(n_classes)
    held_out = np.zeros((len(labels), n_classes))
    for column in range(n_classes):
        rows = np.flatnonzero(np.isfinite(labels[:, column]))
        present = labels[rows, column].astype(np.int64)
        bias[column] = held_out[:, column] = np.log((present.sum() + 0.5) / (len(present) - present.sum() + 0.5))
        if len(np.unique(present)) == 2 and len(present) >= 2 * FOLDS:
            own = fit_probe(vectors[rows], present, 2, groups=groups[rows], seed=seed)
            weights[:, column], bias[column] = _odds(own)
            held_out[:, column] = LinearHead(weights, bias, held_out).logits(vectors)[:, column]
            two = own.held_out_logits(vectors[rows])
            held_out[rows, column] = two[:, 1] - two[:, 0]
        progress("linear probe", column + 1, n_classes)
    return LinearHead(weights, bias, held_out)


def _odds(probe: Probe) -> tuple[np.ndarray, float]:
    """Return the (d,) weights and the bias of the log odds of the second of two classes."""
    return probe.weights[:, 1] - probe.weights[:, 0], float(probe.bias[1] - probe.bias[0])
