"""Reads what two models predict of the same samples, to compare them with the labels and with each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..training.label_outcomes import faults_of, outcomes_of
from .model_outputs import ModelOutputs, read_multi_label_outputs, read_outputs
from .samples import Samples
from .views import Collection


@dataclass(frozen=True, eq=False)
class PredictionPair:
    """Labels and two sets of predictions of n samples, in one numbering of k classes.

    Attributes:
        labels: (n,) int64, -1 = none; or (n, k) in {0, 1, NaN} where an image may have several.
        first: Likewise.
        second: Likewise.
        classes: k names.
    """

    labels: np.ndarray
    first: np.ndarray
    second: np.ndarray
    classes: tuple[str, ...]

    @property
    def labelled(self) -> np.ndarray:
        """(n,) bool."""
        return self.labels >= 0 if self.labels.ndim == 1 else np.isfinite(self.labels).any(axis=1)

    @property
    def predicted(self) -> np.ndarray:
        """(n,) bool: by both."""
        if self.labels.ndim == 1:
            return (self.first >= 0) & (self.second >= 0)
        return np.isfinite(self.first).all(axis=1) & np.isfinite(self.second).all(axis=1)

    def faults(self, predicted: np.ndarray) -> np.ndarray:
        """Return (n,) int: how many labels of each image are predicted wrongly."""
        if self.labels.ndim == 1:
            return (predicted != self.labels).astype(np.int64)
        return faults_of(outcomes_of(self.labels, predicted == 1))


def read_pair(view: Collection, fields: tuple[str, str], samples: Samples) -> PredictionPair:
    """Read two fields of predictions of one label an image.

    Raises:
        FieldError: See `model_outputs.read_outputs`.
    """
    number = {name: index for index, name in enumerate(samples.classes)}
    first, second = (_renumbered(read_outputs(view, field, samples), number) for field in fields)
    return PredictionPair(samples.labels, first, second, tuple(number))


def _renumbered(outputs: ModelOutputs, number: dict[str, int]) -> np.ndarray:
    """Return (n,) predictions by `number`, to which classes are added that it does not know."""
    numbers = [number.setdefault(name, len(number)) for name in outputs.classes]
    return np.where(outputs.predicted >= 0, np.array(numbers, np.int64)[outputs.predicted], -1)


def read_pair_of_several(
    view: Collection, fields: tuple[str, str], ids: np.ndarray, label_field: str
) -> PredictionPair:
    """Read two fields of predictions of several labels an image.

    Raises:
        FieldError: See `model_outputs.read_multi_label_outputs`.
    """
    found = [read_multi_label_outputs(view, field, ids, label_field) for field in fields]
    classes = sorted({*found[0].classes, *found[1].classes})

    def spread(values: np.ndarray, own: tuple[str, ...]) -> np.ndarray:
        """Return (n, k): what is known of the classes by their new numbers; a class nobody names is absent."""
        known = np.isfinite(values)
        whole = np.repeat(np.where(known.any(axis=1), 0, np.nan)[:, None], len(classes), axis=1)
        whole[:, [classes.index(name) for name in own]] = values
        return whole

    labels = spread(found[0].labels, found[0].classes)
    first, second = (spread(each.predicted, each.classes) for each in found)
    return PredictionPair(labels, first, second, tuple(classes))
