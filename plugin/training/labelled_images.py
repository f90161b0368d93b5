"""The images that a classifier is trained or validated on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .batches import TrainingSet
from .earlier import Prior
from .probes import labels_as_targets

_TRUSTED = 0.5  # an image that counts for less teaches the fine-tuned network only, since a probe has no weights


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images to train or validate on.

    Attributes:
        paths: (n,) object.
        labels: (n,) int64 in [0, k); or (n, k) float in {0, 1, NaN}: absent, present, not annotated.
        vectors: (n, d) float32. Their embeddings, from the backbone and preprocessing that is trained.
        groups: (n,) int64. Duplicates of each other share a number >= 0.
        weights: (n,) float32. How much each counts in fine-tuning; None = all alike. The probe leaves out those below
            .5.
        boxes: (n, 4) float64: what to look at in each file, see `vision.boxes`; None = the whole image.
    """

    paths: np.ndarray
    labels: np.ndarray
    vectors: np.ndarray
    groups: np.ndarray
    weights: np.ndarray | None = None
    boxes: np.ndarray | None = None

    def __getitem__(self, rows: np.ndarray) -> LabelledImages:
        """Return the images at these rows (numbers or a mask)."""
        weights, boxes = (None if column is None else column[rows] for column in (self.weights, self.boxes))
        return LabelledImages(
            self.paths[rows], self.labels[rows], self.vectors[rows], self.groups[rows], weights, boxes
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several labels."""
        return self.labels.ndim == 2

    def among(self, n_classes: int) -> LabelledImages:
        """Return them with more classes, of which nothing is known: several labels an image get columns of NaN."""
        if not self.multilabel:
            return self
        unknown = np.full((len(self), n_classes - self.labels.shape[1]), np.nan, self.labels.dtype)
        return replace(self, labels=np.hstack([self.labels, unknown]))

    def trusted(self) -> LabelledImages:
        """Return those that a probe is fitted on."""
        return self if self.weights is None else self[self.weights >= _TRUSTED]


def training_set(images: LabelledImages, n_classes: int, prior: Prior | None = None) -> TrainingSet:
    """Return the images with their targets."""
    weights = np.ones(len(images)) if images.weights is None else images.weights
    return TrainingSet(
        images.paths,
        labels_as_targets(images.vectors, images.labels, n_classes, prior),
        weights.astype(np.float32),
        multilabel=images.multilabel,
        boxes=images.boxes,
        lacking=None if prior is None else prior.lacking,
    )


def fingerprint(images: LabelledImages, classes: Sequence[str]) -> str:
    """Hash what was trained on: each image's embedding, its labels and its weight, whatever the order."""
    names = [name.encode() for name in classes]
    weights = [b""] * len(images) if images.weights is None else [weight.tobytes() for weight in images.weights]
    rows = sorted(
        hashlib.sha256(vector.tobytes() + _named(label, names) + weight).digest()
        for vector, label, weight in zip(images.vectors, images.labels, weights, strict=True)
    )
    return hashlib.sha256(b"".join(rows)).hexdigest()[:16]


def _named(label: Any, names: list[bytes]) -> bytes:
    if np.ndim(label) == 0:
        return names[label]
    return b"".join(name + str(value).encode() for name, value in zip(names, label, strict=True))
