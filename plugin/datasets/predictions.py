"""Reads a model's predictions, as somebody stored them in a field, as probabilities of the labels' classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import fiftyone as fo
import numpy as np
from scipy.special import softmax

from ..errors import FieldError
from .fields import is_own
from .samples import Samples
from .stored_predictions import PredictionChunk, Survey, class_order, prediction_chunks, survey_predictions
from .views import Collection, dataset_of, describe_field

_LEAST_MASS = 1e-6  # of the labels' classes, below which a prediction says nothing about them
_SUSPICIOUS, _SUSPICIOUS_LABELS = 0.995, 1_000
_NAMES_TOLD = 5


def prediction_fields(view: Collection, label_field: str | None) -> list[str]:
    """Return the fields of `fo.Classification` with logits or confidences, but for the labels and Winnow's own."""
    return [
        name
        for name, field in view.get_field_schema().items()
        if name != label_field
        and getattr(field, "document_type", None) is fo.Classification
        and not is_own(view, name)
        and any(view.exists(f"{name}.{part}").limit(1).count() for part in ("logits", "confidence"))
    ]


def check_prediction_field(view: Collection, field: str, label_field: str | None) -> None:
    """Make sure that a field can hold predictions: to be called before long work.

    Raises:
        FieldError: It does not exist, holds something else than `fo.Classification`, or the labels themselves.
    """
    name, found = dataset_of(view).name, view.get_field(field)
    if found is not None and field != label_field and getattr(found, "document_type", None) is fo.Classification:
        return
    known = f"Fields of predictions are: {', '.join(prediction_fields(view, label_field)) or 'none'}."
    if found is None:
        raise FieldError(f"there is no field '{field}' in '{name}' to read predictions from. {known}")
    if field == label_field:
        raise FieldError(
            f"field '{field}' of '{name}' holds the labels themselves, which can't tell that they are wrong. {known}"
        )
    raise FieldError(
        f"field '{field}' of '{name}' holds {describe_field(found)}, but one Classification a sample is needed for "
        f"predictions. {known}"
    )


def read_predictions(
    view: Collection, field: str, samples: Samples, merged: np.ndarray | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read predictions as probabilities, in chunks.

    Logits are turned into probabilities by softmax, unless all of them are probabilities already; `class_order` tells
    which class each belongs to. Without logits the label gets the confidence, and the other classes share the rest.

    What predictions do not know must not depend on the very label that they are to judge. So a class of the labels that
    the model does not know gets as much as the model's likeliest class in every row, which speaks neither for nor
    against it. Classes that no label has are left out, and the rest is renormalised.

    Args:
        view: The collection.
        field: Field of `fo.Classification`.
        samples: The n samples, of `view`, with their classes.
        merged: New number in [0, k) of each class, where several are one; None = they are as they are.

    Returns:
        (n, k) float32 probabilities, whose rows sum to 1: all classes alike where there is no prediction, or only one
        of a class that no label has. And sentences for the user.

    Raises:
        FieldError: See `check_prediction_field`, `survey_predictions` and `class_order`.
    """
    check_prediction_field(view, field, samples.label_field)
    survey = survey_predictions(view, field, samples.ids)
    names = class_order(view, field, samples, survey)
    numbers = np.arange(len(samples.classes)) if merged is None else merged
    index = {name: int(number) for name, number in zip(samples.classes, numbers, strict=True)}
    mapping = _Mapping(index, np.array([index.get(name, -1) for name in names], np.int64), survey.are_probabilities)
    given = np.where(samples.labels >= 0, numbers[samples.labels], -1)
    probabilities = np.full((len(samples), mapping.n_classes), 1 / mapping.n_classes, np.float32)
    agree = labelled = 0
    for chunk in prediction_chunks(view, field, samples.ids):
        probabilities[chunk.rows] = mapping.probabilities(chunk)
        own, predicted = given[chunk.rows], mapping.numbers(chunk.labels)
        agree += int(((own == predicted) & (own >= 0)).sum())
        labelled += int((own >= 0).sum())
    notes = [*_notes_on_samples(field, samples, survey), *_notes_on_classes(field, samples, names, mapping, given)]
    if labelled >= _SUSPICIOUS_LABELS and agree > _SUSPICIOUS * labelled:
        notes.append(
            f"the predictions in '{field}' agree with nearly all labels ({agree:,} of {labelled:,}), as a model's that "
            "was trained on these labels would; such predictions hide wrong labels: use out-of-sample ones"
        )
    return probabilities, tuple(notes)


@dataclass(frozen=True, eq=False)
class _Mapping:
    """From the model's classes to the k classes of the labels.

    Attributes:
        index: Name of a class -> its number in [0, k).
        columns: (w,) int64. The number of the class of each logit, -1 = no label has it.
        are_probabilities: Whether the logits are probabilities already.
    """

    index: dict[str, int]
    columns: np.ndarray
    are_probabilities: bool

    @property
    def n_classes(self) -> int:
        return max(self.index.values()) + 1

    @property
    def unknown(self) -> np.ndarray:
        """Numbers of the classes that the logits do not know."""
        return np.setdiff1d(np.arange(self.n_classes), self.columns)

    def numbers(self, labels: Iterable[str]) -> np.ndarray:
        """Return the (m,) numbers of m names, -1 = no label has it."""
        return np.array([self.index.get(label, -1) for label in labels], np.int64)

    def probabilities(self, chunk: PredictionChunk) -> np.ndarray:
        """Return (m, k) float64."""
        found = np.full((len(chunk.rows), self.n_classes), 1 / self.n_classes)
        by_logits = np.array([each is not None for each in chunk.logits], bool)
        if by_logits.any():
            values = np.array([each for each in chunk.logits if each is not None], np.float64)
            found[by_logits] = self._of_classes(values if self.are_probabilities else softmax(values, axis=1))
        predicted = self.numbers(chunk.labels)
        stated = np.flatnonzero(~by_logits & (predicted >= 0))
        confidence = np.array([chunk.confidences[row] for row in stated], np.float64)
        found[stated] = ((1 - confidence) / max(self.n_classes - 1, 1))[:, None]
        found[stated, predicted[stated]] = confidence
        return found

    def _of_classes(self, values: np.ndarray) -> np.ndarray:
        """Return (m, k) probabilities of the labels' classes from (m, w) ones of the model's classes."""
        found = np.zeros((len(values), self.n_classes))
        for place in np.flatnonzero(self.columns >= 0):
            found[:, self.columns[place]] += values[:, place]
        says_nothing = found.sum(axis=1) < _LEAST_MASS
        found[:, self.unknown] = found.max(axis=1, keepdims=True)
        found[says_nothing] = 1
        return found / found.sum(axis=1, keepdims=True)


def _notes_on_samples(field: str, samples: Samples, survey: Survey) -> Iterator[str]:
    """Tell how many samples have no prediction, and how many one of a class that no label has."""
    if missing := len(samples) - survey.predictions:
        yield f"{missing:,} of {len(samples):,} samples have no prediction in '{field}'"
    strange = {label: count for label, count in survey.stated.items() if label not in samples.classes}
    if strange:
        yield (
            f"{sum(strange.values()):,} predictions in '{field}' are of classes that no label has "
            f"({_listed(strange)}): they are left out"
        )


def _notes_on_classes(
    field: str, samples: Samples, names: Sequence[str], mapping: _Mapping, given: np.ndarray
) -> Iterator[str]:
    """Tell which classes only the logits or only the labels know."""
    if not names:
        return
    if dropped := set(names).difference(samples.classes):
        yield f"the logits in '{field}' know classes that no label has ({_listed(dropped)}): they are left out"
    unknown = mapping.unknown
    if len(unknown):
        missing = [name for name, number in mapping.index.items() if number in unknown]
        yield (
            f"the logits in '{field}' do not know {_listed(missing)} ({int(np.isin(given, unknown).sum()):,} labels): "
            "they speak neither for nor against these"
        )


def _listed(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:_NAMES_TOLD]) + f" and {len(listed) - _NAMES_TOLD:,} more" * (len(listed) > _NAMES_TOLD)
