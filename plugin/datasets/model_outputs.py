"""Reads what a model predicted beside what is labelled, in one numbering of classes, to compare the two."""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone as fo
import numpy as np
from scipy.special import expit, softmax

from ..errors import FieldError
from .fields import GIVEN, is_own
from .group_marks import DECIDED_GROUP
from .multi_labels import multi_label_fields, read_multi_labels
from .samples import Samples, label_fields
from .stored_predictions import class_order, prediction_chunks, survey_predictions
from .views import Collection, dataset_of, describe_field


@dataclass(frozen=True, eq=False)
class ModelOutputs:
    """Labels and predictions of n samples with one label each.

    Attributes:
        classes: Names; the first w are the model's in the order of its outputs, where that is known.
        labels: (n,) int64. Index into `classes`, -1 = none.
        predicted: (n,) int64. Likewise.
        confidences: (n,) float64. Of the predictions, NaN = none.
        probabilities: (n, w) float32, NaN where there are none; None where no sample has any.
        notes: Sentences for the user.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    predicted: np.ndarray
    confidences: np.ndarray
    probabilities: np.ndarray | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MultiLabelOutputs:
    """Labels and predictions of n samples that may have several of k.

    Attributes:
        classes: k names, sorted.
        labels: (n, k) float32 in {0, 1, NaN}; NaN = not annotated.
        predicted: (n, k) float32 in {0, 1, NaN}; a row of NaN has no prediction.
        probabilities: (n, k) float32, NaN where there are none; None where no sample has any.
        notes: Sentences for the user.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    notes: tuple[str, ...]


def read_outputs(view: Collection, field: str, samples: Samples, judged: np.ndarray | None = None) -> ModelOutputs:
    """Read predictions of one class an image, whoever made them.

    Args:
        view: The collection.
        field: Field of the predictions.
        samples: The n samples.
        judged: (n,) bool. Samples whose probabilities are wanted, which are slow to read; None = of none.

    Raises:
        FieldError: There is no such field, or it does not hold `fo.Classification`.
    """
    check_predictions(view, field, fo.Classification)
    order, probabilities, notes = ((), None, []) if judged is None else _read_logits(view, field, samples, judged)
    found_ids, labels, confidences = view.values(["id", f"{field}.label", f"{field}.confidence"])
    by_id = dict(zip(found_ids, zip(labels, confidences, strict=True), strict=True))
    number = {name: index for index, name in enumerate(dict.fromkeys([*order, *samples.classes]))}
    own = np.array([number[name] for name in samples.classes], np.int64)
    predicted, stated = np.full(len(samples), -1, np.int64), np.full(len(samples), np.nan)
    for row, sample_id in enumerate(samples.ids):
        label, confidence = by_id.get(sample_id, (None, None))
        if label is not None:
            predicted[row] = number.setdefault(label, len(number))
            stated[row] = np.nan if confidence is None else confidence
    strange = (stated < 0) | (stated > 1)
    if strange.any():
        stated[strange] = np.nan
        notes.append(f"{int(strange.sum()):,} confidences in `{field}` are not in 0..1 and are not judged")
    given = np.where(samples.labels >= 0, own[samples.labels], -1)
    return ModelOutputs(tuple(number), given, predicted, stated, probabilities, tuple(notes))


def read_multi_label_outputs(view: Collection, field: str, ids: np.ndarray, label_field: str) -> MultiLabelOutputs:
    """Read predictions of several classes an image: a class is predicted where it is among the labels.

    Logits of a `fo.Classifications` belong to `dataset.classes[field]`, each independent of the others.

    Raises:
        FieldError: There is no such field, or it does not hold `fo.Classifications`.
    """
    check_predictions(view, field, fo.Classifications)
    labels, named = read_multi_labels(view, ids, label_field)
    found_ids, claims = view.values(["id", f"{field}.classifications.label"])
    claimed = {key: names for key, names in zip(found_ids, claims, strict=True) if names is not None}
    order = dataset_of(view).classes.get(field) or []
    classes = tuple(sorted({*named, *order, *(name for names in claimed.values() for name in names if name)}))
    column_of = {name: column for column, name in enumerate(classes)}
    # What an annotated image is not said to show is absent, be it that no image shows it.
    everywhere = np.where(np.isnan(labels).all(axis=1), np.nan, 0)
    given = np.repeat(everywhere[:, None], len(classes), axis=1).astype(np.float32)
    given[:, [column_of[name] for name in named]] = labels
    predicted = np.full(given.shape, np.nan, np.float32)
    for row, sample_id in enumerate(ids):
        if sample_id in claimed:
            predicted[row] = 0
            predicted[row, [column_of[name] for name in claimed[sample_id] if name]] = 1
    probabilities, notes = _read_independent(view, field, ids, classes, order)
    return MultiLabelOutputs(classes, given, predicted, probabilities, notes)


def output_fields(view: Collection, label_field: str | None) -> list[str]:
    """Return the fields that may hold predictions, Winnow's own first.

    Args:
        view: The collection.
        label_field: Field of the labels; None = the first of those that Winnow did not write.
    """
    labels = label_field or next(iter([*label_fields(view), *multi_label_fields(view)]), None)
    kinds = (fo.Classification, fo.Classifications)
    fields = [
        name
        for name, field in view.get_field_schema().items()
        if name != labels and getattr(field, "document_type", None) in kinds and not _suggests(view, name)
    ]
    return sorted(fields, key=lambda name: (not is_own(view, name), name))


def _suggests(view: Collection, field: str) -> bool:
    """Whether the field holds suggestions for wrong labels, or marks of a review, neither of which are predictions."""
    return any(view.get_field(f"{field}.{name}") is not None for name in (GIVEN, DECIDED_GROUP))


def check_predictions(view: Collection, field: str, kind: type[fo.Label]) -> None:
    """Make sure that a field holds predictions of this kind.

    Raises:
        FieldError: It does not exist, or holds something else.
    """
    found = view.get_field(field)
    if found is None:
        raise FieldError(f"there is no field `{field}` with predictions; apply a classifier first, or name the field.")
    if getattr(found, "document_type", None) is not kind:
        raise FieldError(
            f"the field `{field}` holds {describe_field(found)}, not {kind.__name__}; name the field of the "
            "predictions."
        )


def _read_logits(
    view: Collection, field: str, samples: Samples, judged: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray | None, list[str]]:
    """Return the model's classes in the order of its outputs, (n, w) probabilities from its logits, and notes."""
    rows = np.flatnonzero(judged)
    if not len(rows) or not view.exists(f"{field}.logits").limit(1).count():
        return (), None, []
    try:
        survey = survey_predictions(view, field, samples.ids[rows])
        order = class_order(view, field, samples, survey)
    except FieldError as error:
        return (), None, [f"the probabilities are not judged: {error}"]
    if not order:
        return (), None, []
    probabilities = np.full((len(samples), len(order)), np.nan, np.float32)
    for chunk in prediction_chunks(view, field, samples.ids[rows]):
        held = [place for place, logits in enumerate(chunk.logits) if logits is not None]
        if held:
            values = np.array([chunk.logits[place] for place in held], np.float64)
            probabilities[rows[chunk.rows[held]]] = values if survey.are_probabilities else softmax(values, axis=1)
    return order, probabilities, []


def _read_independent(
    view: Collection, field: str, ids: np.ndarray, classes: tuple[str, ...], order: list[str]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return (n, k) probabilities from the logits of several labels an image, and notes."""
    found_ids, logits = view.values(["id", f"{field}.logits"])
    by_id = {key: values for key, values in zip(found_ids, logits, strict=True) if values is not None}
    if not by_id:
        return None, ()
    if any(len(values) != len(order) for values in by_id.values()):
        return None, (
            f"the probabilities are not judged: the logits in `{field}` are not as many as dataset.classes['{field}'], "
            f"which names {len(order)} classes. Set it to the model's classes in the order of its outputs.",
        )
    columns = [classes.index(name) for name in order]
    probabilities = np.full((len(ids), len(classes)), np.nan, np.float32)
    for row, sample_id in enumerate(ids):
        if sample_id in by_id:
            probabilities[row, columns] = expit(np.asarray(by_id[sample_id], np.float64))
    return probabilities, ()
