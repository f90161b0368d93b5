"""What an earlier classifier knows, for one that is trained from it on new images: nothing is lost for want of them.

New images seldom show every class, and a linear layer that is fitted to them alone has forgotten the others. So it is
drawn back to the earlier layer instead of to zero, which is a Gaussian prior around what was known; and a label takes
nothing from the classes that no image shows: these keep the share of each image that the earlier classifier gives them
(distillation, Li and Hoiem 2016, arXiv:1606.09282, of those classes alone).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from ..curation.probe import unit_length

if TYPE_CHECKING:
    from .classifier import Classifier

_MOST = 0.5  # share of an image that is left to classes which it is known not to show


@dataclass(frozen=True, eq=False)
class EarlierHead:
    """The last layer of a classifier.

    Attributes:
        classes: k names.
        weights: (d, k) float64, for features of length 1.
        bias: (k,) float64.
        multilabel: The classes are independent of each other.
    """

    classes: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    multilabel: bool

    @classmethod
    def of(cls, classifier: Classifier) -> EarlierHead:
        """Return a classifier's."""
        head = classifier.network.head
        weights, bias = (np.asarray(each.detach().cpu().double().numpy()) for each in (head.weight, head.bias))
        return cls(classifier.classes, weights.T, bias, classifier.multilabel)

    def logits(self, vectors: np.ndarray) -> np.ndarray:
        """Return (m, k) float64 logits of (m, d) embeddings, whose length does not matter."""
        return unit_length(vectors) @ self.weights + self.bias

    def prior(self, classes: Sequence[str], labels: np.ndarray) -> Prior | None:
        """Return what is known of some classes, k of them; None where that is nothing.

        Args:
            classes: Names.
            labels: (n,) int in [0, k), or (n, k) in {0, 1, NaN}: of the images to train on.
        """
        places = [self.classes.index(name) if name in self.classes else -1 for name in classes]
        known = np.array(places) >= 0
        if self.multilabel != (labels.ndim == 2) or not known.any():
            return None
        # What is new starts as the mean of the known classes: neither likelier nor less likely than they are.
        weights = np.where(known, self.weights[:, places], self.weights.mean(axis=1, keepdims=True))
        bias = np.where(known, self.bias[places], self.bias.mean())
        shown = (labels == 1).any(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(classes)) > 0
        return Prior(weights, bias, known, known & ~shown)


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known of k classes before the first image.

    Attributes:
        weights: (d, k) float64.
        bias: (k,) float64.
        known: (k,) bool. Classes of the earlier classifier.
        lacking: (k,) bool. Those that no image to train on shows.
    """

    weights: np.ndarray
    bias: np.ndarray
    known: np.ndarray
    lacking: np.ndarray

    def targets(self, vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return (n, k) what to train towards: shares of classes, or of several labels an image the labels.

        Args:
            vectors: (n, d) float32. Embeddings by the earlier classifier's backbone.
            labels: (n,) int in [0, k), or (n, k) in {0, 1, NaN}.
        """
        if labels.ndim == 2:
            return labels
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        # Of a class that it does not know, whatever the earlier classifier says is a mistake.
        kept = softmax(vectors @ self.weights / lengths + self.bias, axis=1) * self.lacking * self.known[labels, None]
        kept *= np.minimum(1, _MOST / np.maximum(kept.sum(axis=1, keepdims=True), _MOST))
        targets = np.eye(len(self.bias))[labels] * (1 - kept.sum(axis=1, keepdims=True))
        return np.asarray(targets + kept)

    def digest(self) -> str:
        """Return a hash of it."""
        return hashlib.sha256(self.weights.tobytes() + self.bias.tobytes() + self.lacking.tobytes()).hexdigest()
