"""Compare two classifiers' predictions of the same samples: which is better, by how much, and where."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..datasets import runs
from ..datasets.fields import check_value_field, write_values
from ..datasets.model_outputs import ModelOutputs, read_outputs
from ..datasets.multi_labels import multi_label_field
from ..datasets.samples import read_samples
from ..datasets.views import Collection
from ..errors import DataError
from ..progress import Progress, silent
from ..training.class_scores import ClassScores
from ..training.comparison import Comparison, compare
from .evaluation_parts import judged_rows, rounded
from .findings import read_findings
from .wording import counted

RUN = "winnow_comparison"
BOTH, NEITHER = "both", "neither"
_CLASSES_TOLD = 10


@dataclass(frozen=True)
class CompareParams:
    """Settings of `compare_predictions`.

    Attributes:
        other_field: Field of the predictions to compare with.
        prediction_field: Field of the predictions that are looked at.
        label_field: Field of the labels; None = detected.
        split_field: Field of the splits, or "tags"; None = detected.
        output_field: Field that tells who is right: "both", "neither" or "only FIELD".
        seed: Of the resampling for intervals.
    """

    other_field: str
    prediction_field: str = "prediction"
    label_field: str | None = None
    split_field: str | None = None
    output_field: str = "prediction_comparison"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class CompareReport:
    """What `compare_predictions` measured.

    Attributes:
        fields: Of the predictions looked at, and of those compared with.
        evaluated_on: Name of the split, or "all labelled images".
        comparison: The figures, the first set being that of `fields[0]`.
        leaked: Leaked images that were left out.
        classes: Names of the classes.
        output_field: Field that tells who is right.
        notes: What a reader should know about the figures.
    """

    fields: tuple[str, str]
    evaluated_on: str
    comparison: Comparison
    leaked: int
    classes: tuple[str, ...]
    output_field: str
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON; gains are those of the first field over the second."""
        found = self.comparison
        return {
            "evaluated_on": self.evaluated_on,
            "fields": list(self.fields),
            "images": found.images,
            "left_out": found.left_out,
            "leaked_images_left_out": self.leaked,
            "better": self.fields[found.better - 1] if found.better else None,
            "accuracy": rounded(found.accuracy),
            "accuracy_gain": rounded(found.accuracy_gain),
            "accuracy_gain_interval": rounded(found.accuracy_interval),
            "p_value": float(f"{found.p_value:.3g}"),
            "macro_f1": rounded(found.macro_f1),
            "macro_f1_gain": rounded(found.f1_gain),
            "macro_f1_gain_interval": rounded(found.f1_interval),
            "fixed": found.only_first,
            "broken": found.only_second,
            "by_class": {name: {"f1": rounded(f1), "f1_gain": rounded(gain)} for name, f1, gain in self._by_class()},
            "field": self.output_field,
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        first, second = self.fields
        found = self.comparison
        if not found.images:
            return f"**Nothing to compare** on {self.evaluated_on}: no image has a label and both predictions."
        gains = f"{100 * found.accuracy_gain:+.1f} points of accuracy ({_points(found.accuracy_interval)})"
        better = (
            f"**`{self.fields[found.better - 1]}` is better**" if found.better else "**Neither is shown to be better**"
        )
        lines = [
            f"{better} on {self.evaluated_on}, {counted(found.images, 'image')}: `{first}` has {gains} on `{second}`, "
            f"p = {found.p_value:.2g} (McNemar's exact test).",
            f"Accuracy {found.accuracy[0]:.1%} and {found.accuracy[1]:.1%}; macro F1 {found.macro_f1[0]:.1%} and "
            f"{found.macro_f1[1]:.1%}, {100 * found.f1_gain:+.1f} points ({_points(found.f1_interval)}).",
            "",
            f"- `{first}` alone is right in {counted(found.only_first, 'image')}, `{second}` alone in "
            f"{found.only_second:,}: the field `{self.output_field}` tells which.",
        ]
        if self.leaked:
            lines.append(f"- Leaked images, left out: {self.leaked:,}")
        if found.left_out:
            lines.append(f"- Labelled images that lack a prediction, left out: {found.left_out:,}")
        lines += [f"- {note}" for note in self.notes]
        rows = [
            f"| {name} | {f1[0]:.1%} | {f1[1]:.1%} | {100 * gain:+.1f} |"
            for name, f1, gain in self._by_class()[:_CLASSES_TOLD]
        ]
        return "\n".join(
            [*lines, "", f"| class | F1 of {first} | F1 of {second} | points |", "|---|---|---|---|", *rows]
        )

    def _by_class(self) -> list[tuple[str, tuple[float, float], float]]:
        """Return the F1 scores and the gain of each class that has labels, the largest difference first."""
        scores = [self._f1(each) for each in self.comparison.classes]
        labelled = [number for number, (_, support) in sorted(scores[0].items()) if support]
        rows = [(self.classes[each], (scores[0][each][0], scores[1][each][0])) for each in labelled]
        gains = [(name, f1, f1[0] - f1[1]) for name, f1 in rows]
        return sorted(gains, key=lambda row: (-abs(row[2]), row[0]))

    @staticmethod
    def _f1(scores: ClassScores) -> dict[int, tuple[float, int]]:
        return {
            int(number): (float(f1), int(support))
            for number, f1, support in zip(scores.classes, scores.f1, scores.support, strict=True)
        }


def compare_predictions(view: Collection, params: CompareParams, progress: Progress = silent) -> CompareReport:
    """Compare two fields of predictions on the test split; else on the validation split; else on all labelled images.

    Leaked images are left out: whoever has learnt them by heart would seem better.

    Raises:
        DataError: The labels are several an image; or both fields are the same.
        FieldError: No such prediction field, no labels, or the output field is not Winnow's.
    """
    fields = (params.prediction_field, params.other_field)
    if fields[0] == fields[1]:
        raise DataError(f"`{fields[0]}` can't be compared with itself; name the field of another classifier.")
    if (several := multi_label_field(view, params.label_field)) is not None:
        raise DataError(
            f"'{several}' holds several labels an image, and predictions are compared for one label an image. Evaluate "
            "each field by itself, or name another label field."
        )
    check_value_field(view, params.output_field, kind="str")
    samples = read_samples(view, params.label_field, params.split_field, need_labels=True)
    number = {name: index for index, name in enumerate(samples.classes)}
    first, second = (_predicted(read_outputs(view, field, samples), number) for field in fields)
    rows, evaluated_on, notes = judged_rows(samples, samples.labels >= 0)
    leaked = read_findings(view, samples.ids).leaked
    clean = rows & ~leaked
    comparison = compare(samples.labels[clean], first[clean], second[clean], params.seed)
    compared = clean & (samples.labels >= 0) & (first >= 0) & (second >= 0)
    right = [(predicted == samples.labels)[compared] for predicted in (first, second)]
    told = np.select([right[0] & right[1], right[0], right[1]], [BOTH, only(fields[0]), only(fields[1])], NEITHER)
    write_values(view, params.output_field, samples.ids[compared], told.tolist(), kind="str")
    report = CompareReport(
        fields, evaluated_on, comparison, int((rows & leaked).sum()), tuple(number), params.output_field, notes
    )
    runs.save_run(
        view,
        RUN,
        method="compare_predictions",
        params=asdict(params),
        fields=[params.output_field],
        summary=report.summary(),
    )
    return report


def only(field: str) -> str:
    """Return the value of the output field for images that these predictions alone have right."""
    return f"only {field}"


def _predicted(outputs: ModelOutputs, number: dict[str, int]) -> np.ndarray:
    """Return (n,) predictions by `number`, to which classes are added that it does not know."""
    numbers = [number.setdefault(name, len(number)) for name in outputs.classes]
    return np.where(outputs.predicted >= 0, np.array(numbers, np.int64)[outputs.predicted], -1)


def _points(interval: tuple[float, float]) -> str:
    return f"95 % interval {100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"
