"""Writes predictions chunk by chunk: into a field of samples, or into attributes of detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import fiftyone as fo
import numpy as np
from bson import ObjectId

from .fields import add_label_attributes, empty_values, is_own, make_label_field
from .patches import label_path
from .views import Collection, dataset_of, every_image

# A label as the database keeps it: making a `fo.Classification` of each would take more time than all the writing.
Document = dict[str, Any]

_CLASSIFICATION: Document = fo.Classification().to_dict()
_VECTOR = fo.VectorField()
UNCERTAINTY: dict[str, tuple[type[fo.Field], None]] = {
    "entropy": (fo.FloatField, None),
    "margin": (fo.FloatField, None),
    "model_version": (fo.StringField, None),
}


class PredictionField(Protocol):
    """Where predictions go. Making one makes the field, and raises FieldError where it cannot be written to.

    Attributes:
        path: Where the predicted class is found: the field, or the whole path of an attribute.
        fields: All that is written, by whole paths.
    """

    path: str
    fields: tuple[str, ...]

    def write(self, rows: np.ndarray, predictions: Sequence[Document | None]) -> None:
        """Write what is predicted for (m,) rows; None = nothing. See `prediction_document`."""

    def empty_others(self, rows: np.ndarray) -> None:
        """Take away what is left of an earlier run in the view, beside the (m,) rows that were written now."""


class SampleField:
    """A field of the samples of a view; see `PredictionField`.

    Args:
        view: The collection that the job runs on.
        field: Name of the field.
        kind: `fo.Classification` or `fo.Classifications`.
        ids: (n,) object. Sample ids, by row.
        classes: In the order of the logits, for those who read these.
        label_field: Field that the job read labels from; it can't be written to.
    """

    def __init__(
        self,
        view: Collection,
        field: str,
        kind: type[fo.Label],
        ids: np.ndarray,
        classes: Sequence[str],
        label_field: str | None,
    ) -> None:
        self.path, self._view, self._ids = field, view, ids
        self.fields: tuple[str, ...] = (field,)
        dataset = dataset_of(view)
        labels = field if kind is fo.Classification else f"{field}.classifications"
        make_label_field(dataset, field, kind, labels, label_field)
        add_label_attributes(view, field, UNCERTAINTY)
        dataset.classes[field] = list(classes)
        dataset.save()

    def write(self, rows: np.ndarray, predictions: Sequence[Document | None]) -> None:
        values = dict(zip(self._ids[rows].tolist(), predictions, strict=True))
        every_image(self._view).set_values(self.path, values, key_field="id", validate=False)

    def empty_others(self, rows: np.ndarray) -> None:
        images = every_image(self._view)
        held = images.exists(self.path).values("id")
        stale = set(self._ids.tolist()).intersection(held).difference(self._ids[rows].tolist())
        empty_values(images, self.path, sorted(stale))


class PatchAttributes:
    """Attributes of the detections of a view: NAME, NAME_confidence, NAME_entropy and so on; see `PredictionField`.

    They are numbers, texts and lists of these, since the App's sidebar offers no filter for a label within a label.

    Args:
        view: The collection that the job runs on.
        patches_field: Field of detections.
        name: Name of the attribute with the class, of several ones a list.
        several: Whether there may be several.
        logits: Whether logits are written.
        ids: (n,) object. Label ids, by row.
        sample_ids: (n,) object. Ids of the samples that they belong to.
    """

    def __init__(
        self,
        view: Collection,
        patches_field: str,
        name: str,
        *,
        several: bool,
        logits: bool,
        ids: np.ndarray,
        sample_ids: np.ndarray,
    ) -> None:
        labels = label_path(view, patches_field)
        self.path, self._view, self._ids, self._sample_ids = f"{labels}.{name}", view, ids, sample_ids
        self._field, self._name, self._ids_path = patches_field, name, f"{labels}.id"
        attributes: dict[str, tuple[type[fo.Field], type[fo.Field] | None]] = {
            name: (fo.ListField, fo.StringField) if several else (fo.StringField, None),
            f"{name}_confidence": (fo.ListField, fo.FloatField) if several else (fo.FloatField, None),
            **{f"{name}_{part}": kind for part, kind in UNCERTAINTY.items()},
        }
        if logits or is_own(view, f"{labels}.{name}_logits"):  # those of an earlier run are not to stay
            attributes[f"{name}_logits"] = (fo.VectorField, None)
        add_label_attributes(view, labels, attributes)
        self.fields = tuple(f"{labels}.{attribute}" for attribute in attributes)

    def write(self, rows: np.ndarray, predictions: Sequence[Document | None]) -> None:
        parts = [_parts(prediction) for prediction in predictions]
        for field in self.fields:
            part = field.removeprefix(self.path)
            where = zip(self._sample_ids[rows], self._ids[rows], parts, strict=True)
            values = [{"sample_id": key, "label_id": label, "value": of.get(part)} for key, label, of in where]
            every_image(self._view).set_label_values(field, values, validate=False)

    def empty_others(self, rows: np.ndarray) -> None:
        images = every_image(self._view)
        predicted = images.filter_labels(self._field, fo.ViewField(f"{self._name}_model_version").exists())
        held = predicted.values(self._ids_path, unwind=True)
        stale = set(self._ids.tolist()).intersection(held).difference(self._ids[rows].tolist())
        for field in self.fields if stale else ():
            images.set_label_values(field, dict.fromkeys(sorted(stale)))


def _parts(prediction: Document | None) -> Document:
    """Return the values of a prediction by the end of their attribute's name."""
    if prediction is None:
        return {}
    several = prediction.get("classifications")
    found: Document = {f"_{part}": prediction[part] for part in UNCERTAINTY}
    found["_logits"] = _VECTOR.to_python(prediction["logits"])
    for end, key in (("", "label"), ("_confidence", "confidence")):
        found[end] = prediction[key] if several is None else [each[key] for each in several]
    return found


def prediction_document(
    names: Sequence[str],
    confidences: Sequence[float],
    *,
    several: bool,
    logits: np.ndarray | None,
    entropy: float,
    margin: float,
    model_version: str,
) -> Document | None:
    """Return one image's prediction.

    Args:
        names: Its classes: at most one, unless `several`.
        confidences: Their probabilities.
        several: Whether it is a `fo.Classifications`, which may be empty.
        logits: (k,), or None to leave them out.
        entropy: See `training.inference.uncertainty`.
        margin: Likewise.
        model_version: Of the classifier.

    Returns:
        None where an exclusive class was not decided for.
    """
    more = {
        "logits": None if logits is None else _VECTOR.to_mongo(logits),
        "entropy": entropy,
        "margin": margin,
        "model_version": model_version,
    }
    labels = [_classification(name, confidence) for name, confidence in zip(names, confidences, strict=True)]
    if several:
        return fo.Classifications().to_dict() | {"classifications": labels} | more
    return labels[0] | more if labels else None


def _classification(name: str, confidence: float) -> Document:
    return _CLASSIFICATION | {"_id": ObjectId(), "tags": [], "label": name, "confidence": confidence}
