"""Compare predictions with labels where an image may have several of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import runs
from ..datasets.model_outputs import read_multi_label_outputs
from ..datasets.samples import read_samples
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..training.class_scores import ClassScores
from ..training.intervals import Interval
from ..training.multi_label_evaluation import MultiLabelEvaluation, evaluate_multi_label
from .evaluation_parts import (
    RUN,
    SliceScore,
    class_rows,
    interval_text,
    judged_rows,
    metrics_of,
    probability_metrics,
    score_slices,
    slice_lines,
    weakest_classes,
)
from .findings import read_findings
from .measured_classifiers import with_measured
from .wording import counted, rounded

if TYPE_CHECKING:
    from .evaluate import EvaluateParams


@dataclass(frozen=True, eq=False)
class MultiLabelEvaluateReport:
    """What `evaluate_predictions` measured of several labels an image.

    Attributes:
        evaluated_on: Name of the split, or "all labelled images".
        given: On every image of it.
        clean: The same without leaked images.
        leaked: How many leaked images `clean` leaves out.
        classes: Names.
        by_class: The metrics of each, on the images of `clean`.
        slices: The micro F1 by slice, on the same images, the worst first.
        notes: What a reader should know about the figures.
    """

    evaluated_on: str
    given: MultiLabelEvaluation
    clean: MultiLabelEvaluation
    leaked: int
    classes: tuple[str, ...]
    by_class: ClassScores
    slices: tuple[SliceScore, ...]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "evaluated_on": self.evaluated_on,
            "exact_match_given_test": rounded(self.given.exact_match),
            "exact_match_clean_test": rounded(self.clean.exact_match),
            "leaked_images_left_out": self.leaked,
            "given": metrics_of(self.given),
            "clean": metrics_of(self.clean),
            "by_class": class_rows(self.by_class, self.classes),
            "slices": [metrics_of(each) for each in self.slices],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        given, clean = self.given, self.clean
        if not clean.images:
            lines = [f"**Nothing to measure** on {self.evaluated_on}: no image has both labels and predictions."]
        else:
            lines = [
                f"**Micro F1 on {self.evaluated_on}: {clean.micro_f1:.1%}** (95 % interval "
                f"{interval_text(clean.micro_f1_interval)}) on {clean.images:,} images without the {self.leaked:,} "
                f"leaked ones; {given.micro_f1:.1%} on all {given.images:,} as given.",
                f"Micro precision {clean.micro_precision:.1%}, recall {clean.micro_recall:.1%}; macro F1 "
                f"{clean.macro_f1:.1%} ({interval_text(clean.f1_interval)}); every class right in "
                f"{clean.exact_match:.1%} ({interval_text(clean.interval)}) of the images.",
            ]
            if known := ", ".join(probability_metrics(clean)):
                lines.append(f"Of the probabilities: {known}.")
            lines += ["", f"- Weakest classes: {weakest_classes(self.by_class, self.classes)}"]
        if given.without_label:
            lines.append(f"- {given.without_label:,} images are not annotated; they are not counted.")
        if given.without_prediction:
            lines.append(
                f"- Not counted, for want of a prediction: {counted(given.without_prediction, 'annotated image')} "
                f"(coverage {given.coverage:.1%})."
            )
        return "\n".join([*lines, *(f"- {note}" for note in self.notes), *slice_lines(self.slices, "micro F1")])


def evaluate_multi_label_predictions(
    view: Collection, label_field: str, params: EvaluateParams
) -> MultiLabelEvaluateReport:
    """Measure predictions of several labels an image, as `evaluate_predictions` does.

    FiftyOne's own evaluation knows one label an image only, so that the figures are in the report alone.

    Raises:
        DataError: No sample has a label.
        FieldError: No such prediction field, or nothing to slice by.
    """
    samples = read_samples(view, split_field=params.split_field)
    outputs = read_multi_label_outputs(view, params.prediction_field, samples.ids, label_field)
    if not (outputs.labels == 1).any():
        raise DataError(
            f"no sample has a label in field '{label_field}' of '{dataset_of(view).name}'. Label some images first."
        )
    rows, evaluated_on, notes = judged_rows(samples, np.isfinite(outputs.labels).any(axis=1))
    leaked = read_findings(view, samples.ids).leaked

    def measured(inside: np.ndarray) -> tuple[MultiLabelEvaluation, ClassScores]:
        probabilities = None if outputs.probabilities is None else outputs.probabilities[inside]
        return evaluate_multi_label(outputs.labels[inside], outputs.predicted[inside], probabilities, params.seed)

    def score(inside: np.ndarray) -> tuple[int, float, Interval]:
        found, _ = evaluate_multi_label(outputs.labels[inside], outputs.predicted[inside], seed=params.seed)
        return found.images, found.micro_f1, found.micro_f1_interval

    given, _ = measured(rows)
    clean, by_class = measured(rows & ~leaked)
    report = MultiLabelEvaluateReport(
        evaluated_on,
        given=given,
        clean=clean,
        leaked=int((rows & leaked).sum()),
        classes=outputs.classes,
        by_class=by_class,
        slices=score_slices(view, samples.ids, params.slices, rows & ~leaked, score),
        notes=(*notes, *outputs.notes),
    )
    runs.save_run(
        view,
        RUN,
        method="evaluate_predictions",
        params={**asdict(params), "label_field": label_field},
        fields=[],
        summary=report.summary(),
        results=with_measured(view, params.prediction_field, label_field, report.summary()),
    )
    return report
