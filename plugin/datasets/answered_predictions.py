"""Reads what annotators answered to a classifier's predictions, where both came back into a dataset.

The label says when it was given, and whether a prediction was in sight (`annotated_labels`); the prediction says of
which version it is, and the batch that the image went out with, which version's predictions it had. An answer counts
where it is younger than the training of that version: an older one may have been trained on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone import ViewField

from ..curation.outcomes import NONE_OF_THEM, Outcomes
from .labeling_batches import BATCH_FIELD, list_batches
from .model_outputs import check_predictions, output_fields
from .samples import objects
from .views import Collection, every_image

_ATTRIBUTES = ("annotated_at", "blind")
_USUAL = "prediction"


@dataclass(frozen=True, eq=False)
class AnsweredPredictions:
    """Answers to predictions.

    Attributes:
        outcomes: Those that count.
        too_old: Answers that are no younger than the training of the version, so that they may have been trained on.
    """

    outcomes: Outcomes
    too_old: int


def field_of_version(view: Collection, version: str) -> str:
    """Return the field with what a version predicted, `prediction` before others; `prediction` where there is none."""
    names = sorted(output_fields(view, None), key=lambda name: name != _USUAL)
    images = every_image(view)
    return next((name for name in names if images.match({f"{name}.model_version": version}).limit(1).count()), _USUAL)


def read_answered(
    view: Collection,
    prediction_field: str,
    label_field: str,
    trained_at: Mapping[str, datetime | None],
    classes: tuple[str, ...],
    since: datetime | None = None,
) -> AnsweredPredictions:
    """Read answers to predictions of one class, or of several, an image.

    Args:
        view: The collection.
        prediction_field: `fo.Classification`, or `fo.Classifications` like the labels.
        label_field: Field of the labels that annotators gave.
        trained_at: Version -> when it was trained, None where that is not known. Predictions of others are passed over.
        classes: Names, those of the newest version.
        since: Earlier answers are left out; None = none are.

    Raises:
        FieldError: There is no such field, or it holds something else.
    """
    several = getattr(view.get_field(label_field), "document_type", None) is fo.Classifications
    check_predictions(view, prediction_field, fo.Classifications if several else fo.Classification)
    if not all(view.has_field(f"{label_field}.{name}") for name in _ATTRIBUTES):
        return AnsweredPredictions(_outcomes([], classes, several), 0)
    inner = ".classifications" if several else ""
    paths = [f"{label_field}{inner}.label", *(f"{label_field}.{name}" for name in _ATTRIBUTES)]
    paths += [f"{prediction_field}{inner}.{name}" for name in ("label", "confidence")]
    paths += [f"{prediction_field}.model_version"]
    sent = {entry.name: entry.model_version for entry in list_batches(view)}
    paths += [BATCH_FIELD] if view.has_field(BATCH_FIELD) else []
    answered = every_image(view).match(ViewField(f"{label_field}.annotated_at").exists())
    rows, too_old = [], 0
    for label, at, blind, predicted, confidence, version, *batch in zip(*answered.values(paths), strict=True):
        moment = _in_utc(at)
        if label is None or confidence is None or version not in trained_at or (since and moment < since):
            continue
        trained = trained_at[version]
        if trained is not None and moment <= trained:
            too_old += 1
            continue
        in_sight = blind is False and _is_of(sent, batch, version)
        rows.append((moment.timestamp(), version, label, predicted, confidence, in_sight))
    return AnsweredPredictions(_outcomes(rows, classes, several), too_old)


def _is_of(sent: Mapping[str, str], batch: Sequence[str | None], version: str) -> bool:
    """Tell whether what was in sight may be a version's: nothing says that the batch went out with another one's."""
    return not batch or (sent.get(batch[0] or "") or version) == version


def overridden(view: Collection, prediction_field: str, label_field: str) -> Collection:
    """Return the images whose prediction was in sight, and whose label says something else; the newest answer first."""
    label = ViewField(f"{label_field}.label")
    seen = (ViewField(f"{label_field}.blind") == False) & ViewField(f"{prediction_field}.label").exists()  # noqa: E712
    changed = label.exists() & (label != ViewField(f"{prediction_field}.label"))
    batches: defaultdict[str, list[str]] = defaultdict(list)
    for entry in list_batches(view) if view.has_field(BATCH_FIELD) else ():
        batches[entry.model_version].append(entry.name)
    batches.pop("", None)  # it is not known what was in sight
    for version, names in batches.items():
        seen &= (ViewField(f"{prediction_field}.model_version") == version) | ~ViewField(BATCH_FIELD).is_in(names)
    return every_image(view).match(seen & changed).sort_by(f"{label_field}.annotated_at", reverse=True)


def missed(view: Collection, prediction_field: str, label_field: str, name: str) -> Collection:
    """Return the images that annotators gave this label, and that were predicted otherwise; the newest answer first."""
    given = ViewField(f"{label_field}.annotated_at").exists() & (ViewField(f"{label_field}.label") == name)
    other = ViewField(f"{prediction_field}.label").exists() & (ViewField(f"{prediction_field}.label") != name)
    return every_image(view).match(given & other).sort_by(f"{label_field}.annotated_at", reverse=True)


def _outcomes(rows: list[tuple[Any, ...]], classes: tuple[str, ...], several: bool) -> Outcomes:
    said = [name for row in rows for name in (row[3] if several else [row[3]]) if name]
    names = tuple(dict.fromkeys([*classes, *said]))
    times, versions = np.array([row[0] for row in rows], np.float64), objects([row[1] for row in rows])
    shown = np.array([row[5] for row in rows], bool)
    if several:
        answers, predicted, confidence = _by_class(rows, names)
        changed = (answers != predicted).any(axis=1) if rows else np.zeros(0, bool)
    else:
        number = {name: index for index, name in enumerate(names)}
        answers = np.array([number.get(row[2], NONE_OF_THEM) for row in rows], np.int64)
        predicted = np.array([number[row[3]] for row in rows], np.int64)
        confidence = np.array([row[4] for row in rows], np.float32)
        changed = answers != predicted
    reviews = shown.astype(np.int64)
    return Outcomes(times, versions, answers, predicted, confidence, shown, reviews, reviews * changed, names)


def _by_class(rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (n, k) answers and predictions in {0, 1}, and the confidences of what was predicted, NaN elsewhere."""
    column = {name: index for index, name in enumerate(names)}
    answers, predicted = np.zeros((2, len(rows), len(names)))
    confidence = np.full((len(rows), len(names)), np.nan, np.float32)
    for row, (_, _, given, claimed, sure, _) in enumerate(rows):
        answers[row, [column[name] for name in given if name in column]] = 1
        for name, value in zip(claimed, sure, strict=True):
            predicted[row, column[name]] = 1
            confidence[row, column[name]] = value
    return answers, predicted, confidence


def _in_utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
