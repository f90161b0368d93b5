"""Compare predictions with labels: on the evaluation split as given, and without images that were not worth a test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from ..datasets.samples import Samples, read_samples
from ..datasets.views import Collection, describe_field
from ..errors import FieldError
from ..progress import Progress, silent
from ..training.evaluation import Evaluation, evaluate
from .findings import read_findings
from .wording import counted


@dataclass(frozen=True)
class EvaluateParams:
    """Settings of `evaluate_predictions`.

    Attributes:
        prediction_field: Field of the predictions.
        label_field: Field of the labels; None = detected.
        split_field: Field of the splits, or "tags"; None = detected.
    """

    prediction_field: str = "prediction"
    label_field: str | None = None
    split_field: str | None = None


@dataclass(frozen=True, eq=False)
class EvaluateReport:
    """What `evaluate_predictions` measured.

    Attributes:
        evaluated_on: Name of the split, "held out", or "all labelled images".
        given: On every image of it.
        clean: The same without leaked images (and unreadable ones, which have no prediction).
        leaked: How many leaked images `clean` leaves out.
        notes: What a reader should know about the figures.
    """

    evaluated_on: str
    given: Evaluation
    clean: Evaluation
    leaked: int
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "evaluated_on": self.evaluated_on,
            "accuracy_given_test": _rounded(self.given.accuracy),
            "accuracy_clean_test": _rounded(self.clean.accuracy),
            "leaked_images_left_out": self.leaked,
            "given": {name: _rounded(value) for name, value in asdict(self.given).items()},
            "clean": {name: _rounded(value) for name, value in asdict(self.clean).items()},
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        if not self.given.images:
            lines = [f"**Nothing to measure** on {self.evaluated_on}: no image has both a label and a prediction."]
        else:
            lines = [
                f"**Accuracy on {self.evaluated_on}: {shown(self.clean)}** on {self.clean.images:,} images without the "
                f"{self.leaked:,} leaked ones; {self.given.accuracy:.1%} on all {self.given.images:,} as given."
            ]
            if self.clean.images:
                lines.append(
                    f"Balanced accuracy {self.clean.balanced_accuracy:.1%}, macro F1 {self.clean.macro_f1:.1%}."
                )
        if self.given.without_label:
            lines.append(f"- {self.given.without_label:,} images have no label; they are not counted.")
        if self.given.without_prediction:
            lines.append(
                f"- Not counted, for want of a prediction: {counted(self.given.without_prediction, 'labelled image')}."
            )
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])


def evaluate_predictions(
    view: Collection, params: EvaluateParams = EvaluateParams(), progress: Progress = silent
) -> EvaluateReport:
    """Measure predictions on the test split; else on the validation split; else on all labelled images.

    Raises:
        FieldError: No such prediction field, or no labels.
        DataError: See `datasets.samples.read_samples`.
    """
    samples = read_samples(view, params.label_field, params.split_field, need_labels=True)
    for name in ("test", "validation"):
        rows = samples.splits == name
        if (rows & (samples.labels >= 0)).any():
            return evaluate_rows(view, samples, rows, name, params.prediction_field)
    everything: np.ndarray = np.ones(len(samples), bool)
    note = "there is no test split, so images that the classifier was trained on are among these: an optimistic figure"
    return evaluate_rows(view, samples, everything, "all labelled images", params.prediction_field, notes=(note,))


def evaluate_rows(
    view: Collection,
    samples: Samples,
    rows: np.ndarray,
    evaluated_on: str,
    prediction_field: str,
    *,
    notes: tuple[str, ...] = (),
    left_out: Iterable[str] = (),
) -> EvaluateReport:
    """Measure on the samples where (n,) `rows` is true; ids in `left_out` are left out of the clean figure too."""
    predicted = _predicted(view, samples, prediction_field)
    findings = read_findings(view, samples.ids)
    clean = rows & ~findings.leaked & ~np.isin(samples.ids, list(left_out))
    return EvaluateReport(
        evaluated_on,
        given=evaluate(samples.labels[rows], predicted[rows]),
        clean=evaluate(samples.labels[clean], predicted[clean]),
        leaked=int((rows & findings.leaked).sum()),
        notes=notes,
    )


def shown(measured: Evaluation) -> str:
    """Return accuracy and interval for a person."""
    if not measured.images:
        return "not known"
    low, high = measured.interval
    return f"{measured.accuracy:.1%} (95 % interval {low:.1%} to {high:.1%})"


def _predicted(view: Collection, samples: Samples, field: str) -> np.ndarray:
    """Return (n,) int64 predicted classes, -1 = none; a class that no label has gets a number of its own."""
    found = view.get_field(field)
    if found is None:
        raise FieldError(f"there is no field `{field}` with predictions; apply a classifier first, or name the field.")
    if getattr(found, "document_type", None) is not fo.Classification:
        raise FieldError(
            f"the field `{field}` holds {describe_field(found)}, not Classification; name the field of the predictions."
        )
    found_ids, labels = view.values(["id", f"{field}.label"])
    by_id = dict(zip(found_ids, labels, strict=True))
    number = {name: index for index, name in enumerate(samples.classes)}
    predicted = np.full(len(samples), -1, np.int64)
    for row, sample_id in enumerate(samples.ids):
        label = by_id.get(sample_id)
        if label is not None:
            predicted[row] = number.setdefault(label, len(number))
    return predicted


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 4)
    return [_rounded(item) for item in value] if isinstance(value, tuple) else value
