"""Compare two classifiers' predictions of the same samples: which is better, by how much, and where."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..datasets import runs
from ..datasets.fields import check_value_field, write_values
from ..datasets.multi_labels import multi_label_field
from ..datasets.prediction_pairs import PredictionPair, read_pair, read_pair_of_several
from ..datasets.samples import read_samples
from ..datasets.views import Collection
from ..errors import DataError
from ..progress import Progress, silent
from ..training.class_scores import ClassScores
from ..training.comparison import Comparison, compare, compare_several
from .evaluation_parts import judged_rows
from .findings import read_findings
from .job_rates import timed
from .wording import counted, rounded

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
        output_field: Field that tells who is right: "both", "neither" or "only FIELD"; where an image may have several
            labels, FIELD has more of them right.
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
        several: Whether an image may have several labels.
        output_field: Field that tells who is right.
        notes: What a reader should know about the figures.
    """

    fields: tuple[str, str]
    evaluated_on: str
    comparison: Comparison
    leaked: int
    classes: tuple[str, ...]
    several: bool
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
            self._metric: rounded(found.score),
            f"{self._metric}_gain": rounded(found.gain),
            f"{self._metric}_gain_interval": rounded(found.interval),
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
        found, metric = self.comparison, self._metric.replace("micro_f1", "micro F1")
        if not found.images:
            return f"**Nothing to compare** on {self.evaluated_on}: no image has a label and both predictions."
        gains = f"{100 * found.gain:+.1f} points of {metric} ({_points(found.interval)})"
        better = (
            f"**`{self.fields[found.better - 1]}` is better**" if found.better else "**Neither is shown to be better**"
        )
        lines = [
            f"{better} on {self.evaluated_on}, {counted(found.images, 'image')}: `{first}` has {gains} on `{second}`, "
            f"p = {found.p_value:.2g} ({self._test}).",
            f"{metric[0].upper()}{metric[1:]} {found.score[0]:.1%} and {found.score[1]:.1%}; macro F1 "
            f"{found.macro_f1[0]:.1%} and "
            f"{found.macro_f1[1]:.1%}, {100 * found.f1_gain:+.1f} points ({_points(found.f1_interval)}).",
            "",
            f"- `{first}` {self._ahead} in {counted(found.only_first, 'image')}, `{second}` in "
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

    @property
    def _metric(self) -> str:
        return "micro_f1" if self.several else "accuracy"

    @property
    def _test(self) -> str:
        return "sign test over images" if self.several else "McNemar's exact test"

    @property
    def _ahead(self) -> str:
        return "has more labels right" if self.several else "alone is right"

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


@timed("compare_predictions")
def compare_predictions(view: Collection, params: CompareParams, progress: Progress = silent) -> CompareReport:
    """Compare two fields of predictions on the test split; else on the validation split; else on all labelled images.

    Leaked images are left out: whoever has learnt them by heart would seem better.

    Raises:
        DataError: Both fields are the same, or nothing is labelled.
        FieldError: No such prediction field, no labels, or the output field is not Winnow's.
    """
    fields = (params.prediction_field, params.other_field)
    if fields[0] == fields[1]:
        raise DataError(f"`{fields[0]}` can't be compared with itself; name the field of another classifier.")
    check_value_field(view, params.output_field, kind="str")
    several = multi_label_field(view, params.label_field)
    if several is None:
        samples = read_samples(view, params.label_field, params.split_field, need_labels=True)
        pair = read_pair(view, fields, samples)
    else:
        samples = read_samples(view, split_field=params.split_field)
        pair = read_pair_of_several(view, fields, samples.ids, several)
    rows, evaluated_on, notes = judged_rows(samples, pair.labelled)
    leaked = read_findings(view, samples.ids).leaked
    clean = rows & ~leaked
    comparison = (compare if several is None else compare_several)(
        pair.labels[clean], pair.first[clean], pair.second[clean], params.seed
    )
    compared = clean & pair.labelled & pair.predicted
    told = _who_is_right(pair, compared, fields)
    write_values(view, params.output_field, samples.ids[compared], told.tolist(), kind="str")
    report = CompareReport(
        fields,
        evaluated_on,
        comparison,
        int((rows & leaked).sum()),
        pair.classes,
        several is not None,
        params.output_field,
        notes,
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


def _who_is_right(pair: PredictionPair, rows: np.ndarray, fields: tuple[str, str]) -> np.ndarray:
    """Return (m,) object: for each of the compared rows the value of the output field."""
    first, second = pair.faults(pair.first)[rows], pair.faults(pair.second)[rows]
    cases = [(first == 0) & (second == 0), first < second, second < first]
    return np.select(cases, [BOTH, only(fields[0]), only(fields[1])], NEITHER)


def _points(interval: tuple[float, float]) -> str:
    return f"95 % interval {100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"
