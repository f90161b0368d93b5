"""What a classifier thinks of the images that a choice is made from: stored predictions, or a linear probe's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax

from ..curation.probe import LEAST_LABELS, fit_probe
from ..curation.selection import BY_CLASS, BY_PREDICTION
from ..datasets.model_outputs import read_multi_label_outputs, read_outputs
from ..datasets.views import Collection
from ..errors import DataError, FieldError
from ..training.probes import fit_head
from .select_pool import Candidates
from .wording import listed

PROBE = "a linear probe"
_BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Probabilities:
    """What is thought of m images.

    Attributes:
        values: (m, k) float32 in 0..1, NaN = no prediction; None where nothing can be said yet.
        classes: k names.
        source: Where they are from, in words; "" = there are none.
        notes: Sentences for the user.
    """

    values: np.ndarray | None
    classes: tuple[str, ...]
    source: str = ""
    notes: tuple[str, ...] = ()

    def expected(self, rows: np.ndarray) -> dict[str, int]:
        """Return how many of some images are likeliest to be of each class, or to have it."""
        if self.values is None or not len(self.values):
            return {}
        values = self.values[rows]
        exclusive = bool((np.abs(np.nansum(self.values[:_BLOCK], axis=1) - 1) < 0.02).all())
        chosen = values == values.max(axis=1, keepdims=True) if exclusive else values > 0.5
        return {name: int(count) for name, count in zip(self.classes, chosen.sum(axis=0), strict=True) if count}


def read_probabilities(
    images: Collection,
    found: Candidates,
    strategy: str,
    *,
    predictions_field: str | None,
    target_classes: tuple[str, ...],
    seed: int,
) -> Probabilities:
    """Return probabilities for a strategy that goes by them.

    Args:
        images: The collection that the candidates are of.
        found: The candidates.
        strategy: See `curation.selection`.
        predictions_field: Field with predictions; None = a probe is fitted on the labels.
        target_classes: Classes that the choice is to go for.
        seed: Of the probe's folds.

    Raises:
        DataError: The strategy or the classes need probabilities that cannot be had, or a class is not known.
        FieldError: The field holds no usable predictions.
    """
    if strategy not in BY_CLASS:
        return Probabilities(None, ())
    known = _stored(images, found, predictions_field) if predictions_field else _fitted(found, seed)
    if known.values is None and (strategy in BY_PREDICTION or target_classes):
        what = f"strategy '{strategy}'" if strategy in BY_PREDICTION else "to go for classes"
        raise DataError(
            f"{what} needs predictions, and only {len(found.taught):,} images are labelled. Label {LEAST_LABELS} "
            "images of two classes first (strategy auto begins without labels), or name a field with predictions."
        )
    for name in target_classes:
        if name not in known.classes:
            raise DataError(f"there is no class '{name}' to go for. Classes are: {listed(known.classes, 20)}.")
    return known


def _fitted(found: Candidates, seed: int) -> Probabilities:
    rows, labels = found.taught, found.labels
    values = labels.values[rows]
    enough = len(rows) >= LEAST_LABELS and (labels.several or len(np.unique(values)) > 1)
    if not enough:
        return Probabilities(None, labels.classes)
    vectors, groups = found.vectors[rows], found.groups[rows]
    if labels.several:
        head = fit_head(vectors, values, len(labels.classes), groups=groups, seed=seed)
        return Probabilities(_in_blocks(found.vectors, lambda block: expit(head.logits(block))), labels.classes, PROBE)
    probe = fit_probe(vectors, values, len(labels.classes), groups=groups, seed=seed)
    return Probabilities(
        _in_blocks(found.vectors, lambda block: softmax(probe.logits(block), axis=1)), labels.classes, PROBE
    )


def _stored(images: Collection, found: Candidates, field: str) -> Probabilities:
    if found.labels.several:
        several = read_multi_label_outputs(images, field, found.samples.ids, found.labels.field)
        if several.probabilities is None:
            raise FieldError(_without_probabilities(field, several.notes))
        return Probabilities(several.probabilities, several.classes, f"`{field}`", several.notes)
    outputs = read_outputs(images, field, found.samples, np.ones(len(found.samples), bool))
    if outputs.probabilities is not None:
        width = outputs.probabilities.shape[1]
        return Probabilities(outputs.probabilities, outputs.classes[:width], f"`{field}`", outputs.notes)
    stated = np.flatnonzero((outputs.predicted >= 0) & np.isfinite(outputs.confidences))
    if not len(stated) or len(outputs.classes) < 2:
        raise FieldError(_without_probabilities(field, outputs.notes))
    values = np.full((len(found.samples), len(outputs.classes)), np.nan, np.float32)
    confidence = outputs.confidences[stated]
    values[stated] = ((1 - confidence) / (len(outputs.classes) - 1))[:, None]
    values[stated, outputs.predicted[stated]] = confidence
    return Probabilities(values, outputs.classes, f"the confidences in `{field}`", outputs.notes)


def _without_probabilities(field: str, notes: tuple[str, ...]) -> str:
    more = f" ({'; '.join(notes)})" if notes else ""
    return (
        f"the predictions in '{field}' have neither logits nor confidences{more}. Predict with logits, "
        "`winnow predict --logits`, or leave the field out: a linear probe is fitted then."
    )


def _in_blocks(vectors: np.ndarray, predict: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return (m, k) float32 without a second copy of all vectors."""
    blocks = [predict(vectors[start : start + _BLOCK]) for start in range(0, len(vectors), _BLOCK)]
    return np.concatenate(blocks).astype(np.float32)
