"""A first look at the predictions that a field holds: what they consist of, and which class each logit belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import FieldError
from .samples import Samples
from .views import Collection, dataset_of

_CHUNK = 2_000
_SUM_TOLERANCE = 1e-3  # of probabilities that were stored as half-precision numbers
_VERIFIED = 0.99


@dataclass(frozen=True, eq=False)
class PredictionChunk:
    """The predictions that m of the samples have: a label each, and logits or a confidence.

    Attributes:
        rows: (m,) int64, ascending. Numbers of the samples.
        labels: m names.
        confidences: m numbers, or None.
        logits: m arrays, or None.
    """

    rows: np.ndarray
    labels: list[str]
    confidences: list[float | None]
    logits: list[np.ndarray | None]


@dataclass(frozen=True)
class Survey:
    """What a look at all predictions has found.

    Attributes:
        width: Length of the logits; 0 = there are none.
        are_probabilities: Whether each row of them lies in 0..1 and sums to 1.
        tops: How often the largest number of the logits, by its place, goes with a stored label.
        stated: How often each label is predicted with a confidence alone.
    """

    width: int
    are_probabilities: bool
    tops: Counter[tuple[int, str]]
    stated: Counter[str]

    @property
    def predictions(self) -> int:
        """Number of samples that have one."""
        return self.tops.total() + self.stated.total()


def prediction_chunks(view: Collection, field: str, ids: np.ndarray) -> Iterator[PredictionChunk]:
    """Yield the predictions of samples, some thousand at a time, those that say nothing left out."""
    paths = ["id", *(f"{field}.{part}" for part in ("label", "confidence", "logits"))]
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        row_of = {key: start + row for row, key in enumerate(part)}
        found = [
            (row_of[key], label, confidence, logits)
            for key, label, confidence, logits in zip(*view.select(part.tolist()).values(paths), strict=True)
            if label is not None and (confidence is not None or logits is not None)
        ]
        found.sort(key=lambda each: each[0])
        rows = np.array([each[0] for each in found], np.int64)
        yield PredictionChunk(
            rows, [each[1] for each in found], [each[2] for each in found], [each[3] for each in found]
        )


def survey_predictions(view: Collection, field: str, ids: np.ndarray) -> Survey:
    """Look at all predictions once, before any is used.

    Raises:
        FieldError: No sample has a prediction; logits are not finite or of different lengths; a confidence is not in
            0..1.
    """
    width, first, are_probabilities = 0, "", True
    tops: Counter[tuple[int, str]] = Counter()
    stated: Counter[str] = Counter()
    for chunk in prediction_chunks(view, field, ids):
        for row, label, confidence, logits in zip(
            chunk.rows, chunk.labels, chunk.confidences, chunk.logits, strict=True
        ):
            if logits is None:
                _check_confidence(confidence, field, ids[row])
                stated[label] += 1
                continue
            values = _checked_logits(logits, field, ids[row])
            width, first = width or values.size, first or ids[row]
            if values.size != width:
                raise FieldError(
                    f"the logits in '{field}' have different lengths: {width} for sample {first}, {values.size} for "
                    f"sample {ids[row]}. Read predictions of one model: clear the others."
                )
            are_probabilities = are_probabilities and _is_distribution(values)
            tops[int(values.argmax()), label] += 1
    if not tops and not stated:
        raise FieldError(
            f"no sample has a prediction with logits or a confidence in '{field}' of '{dataset_of(view).name}'. Apply "
            "a model with dataset.apply_model(model, FIELD, store_logits=True), or name another field."
        )
    return Survey(width, are_probabilities, tops, stated)


def class_order(view: Collection, field: str, samples: Samples, survey: Survey) -> tuple[str, ...]:
    """Return the class of each number of the logits; none where there are no logits.

    It is the order of `dataset.classes[field]`; where nobody has set that, of `dataset.classes` of the label field, of
    `dataset.default_classes` or of the sorted labels: the first that is as long as the logits, and by which the largest
    number is the stored label in 99 % of the predictions. Nothing is guessed beyond that.

    Raises:
        FieldError: No order fits.
    """
    if not survey.width:
        return ()
    dataset, label_field = dataset_of(view), str(samples.label_field)
    told = dataset.classes.get(field)
    orders: dict[str, Sequence[str]] = {f"dataset.classes['{field}']": told or ()}
    if not told:
        orders[f"dataset.classes['{label_field}']"] = dataset.classes.get(label_field) or ()
        orders["dataset.default_classes"] = dataset.default_classes or ()
        orders[f"the labels of '{label_field}'"] = samples.classes
    remedy = (
        f"Set dataset.classes['{field}'] to the model's classes in the order of its outputs, then call dataset.save()."
    )
    fitting = {source: tuple(names) for source, names in orders.items() if len(names) == survey.width}
    if not fitting:
        found = ", ".join(f"{len(names)} in {source}" for source, names in orders.items() if names)
        raise FieldError(
            f"the logits in '{field}' have {survey.width} numbers, but their classes are not known: there are {found}. "
            f"{remedy}"
        )
    total = survey.tops.total()
    right = {source: _explained(survey, names) for source, names in fitting.items()}
    for source, names in fitting.items():
        if right[source] >= _VERIFIED * total:
            return names
    source, names = next(iter(fitting.items()))
    place, label = next(each for each, _ in survey.tops.most_common() if names[each[0]] != each[1])
    raise FieldError(
        f"the classes of the logits in '{field}' are not known: by {source}, the largest number is the stored label in "
        f"only {right[source]:,} of {total:,} predictions (it is '{names[place]}' where '{label}' is stored). {remedy}"
    )


def _explained(survey: Survey, names: Sequence[str]) -> int:
    """Return for how many predictions the largest number is the stored label."""
    return sum(count for (place, label), count in survey.tops.items() if names[place] == label)


def _check_confidence(confidence: float | None, field: str, sample_id: str) -> None:
    if confidence is None or not 0 <= confidence <= 1:
        raise FieldError(
            f"sample {sample_id} has a confidence of {confidence} in '{field}', which is not in 0..1. Store "
            "probabilities as confidences, or logits as `logits`."
        )


def _checked_logits(logits: np.ndarray, field: str, sample_id: str) -> np.ndarray:
    values = np.asarray(logits, np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise FieldError(
            f"the logits of sample {sample_id} in '{field}' are not a list of finite numbers. Store them again, or "
            "clear the prediction of this sample."
        )
    return values


def _is_distribution(values: np.ndarray) -> bool:
    return bool(values.min() >= 0 and values.max() <= 1 and abs(values.sum() - 1) <= _SUM_TOLERANCE)
