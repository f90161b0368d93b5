"""Predictions of samples that go out for labelling, as names with the confidence that goes with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fiftyone as fo

from ..errors import FieldError
from .views import Collection, dataset_of, describe_field, every_image


@dataclass(frozen=True, slots=True)
class OutgoingPrediction:
    """What a model says of one sample.

    Attributes:
        names: Its classes; of several, none may apply.
        score: How sure the model is, in 0..1, as `labeling.predictions` means it; None where that is not known.
        version: Of the model; "" where that is not known.
    """

    names: tuple[str, ...]
    score: float | None
    version: str


def check_prediction_field(view: Collection, field: str) -> bool:
    """Return whether a field of predictions holds several an image.

    Raises:
        FieldError: It does not exist, or holds no predictions.
    """
    found = dataset_of(view).get_field(field)
    kind = getattr(found, "document_type", None)
    if kind not in (fo.Classification, fo.Classifications):
        what = "does not exist" if found is None else f"holds {describe_field(found)}"
        raise FieldError(
            f"field '{field}' {what}, so there are no predictions to send. Name a field of Classification, which "
            "'winnow predict' writes."
        )
    return kind is fo.Classifications


def read_outgoing_predictions(view: Collection, ids: Sequence[str], field: str) -> list[OutgoingPrediction | None]:
    """Return the predictions of samples; None where there is none.

    The score of one class is its confidence. Of several it is the probability of the least certain decision, present or
    absent, which Winnow's predictions hold as their margin |2 p - 1|; of others', the lowest confidence.

    Args:
        view: Any collection of the dataset.
        ids: n sample ids.
        field: See `check_prediction_field`.
    """
    several = check_prediction_field(view, field)
    labels = f"{field}.classifications" if several else field
    paths = [
        "id",
        *(f"{labels}.{part}" for part in ("label", "confidence")),
        f"{field}.margin",
        f"{field}.model_version",
    ]
    # Attributes that nobody declared are read as well.
    found = every_image(view).select(list(ids)).values(paths, _allow_missing=True)
    predictions: dict[str, OutgoingPrediction | None] = {}
    for key, names, confidences, margin, version in zip(*found, strict=True):
        if names is None or (not several and not names):
            continue
        score = _of_several(confidences, margin) if several else _in_bounds(confidences)
        predictions[key] = OutgoingPrediction(tuple(names) if several else (names,), score, str(version or ""))
    return [predictions.get(key) for key in ids]


def _of_several(confidences: Sequence[float | None] | None, margin: float | None) -> float | None:
    if margin is not None:
        return _in_bounds((1 + margin) / 2)
    known = [value for value in confidences or [] if value is not None]
    return _in_bounds(min(known)) if known else None


def _in_bounds(score: float | None) -> float | None:
    """Return a score that Label Studio takes; others, such as logits, say nothing of how sure a model is."""
    return round(score, 6) if score is not None and 0 <= score <= 1 else None
