"""Compare predictions with labels: on the evaluation split as given, and without images that were not worth a test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..cluster.params import ClusterParams
from ..datasets import runs
from ..datasets.evaluations import evaluation_key, write_evaluation
from ..datasets.model_outputs import ModelOutputs, read_outputs
from ..datasets.multi_labels import multi_label_field
from ..datasets.samples import Samples, read_samples
from ..datasets.views import Collection
from ..membership import is_among
from ..progress import Progress, silent
from ..training.class_scores import ClassScores, score_classes, worst_confusions
from ..training.evaluation import Evaluation, evaluate
from ..training.intervals import Interval
from .evaluate_multi_label import MultiLabelEvaluateReport, evaluate_multi_label_predictions
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
from .job_rates import timed
from .measured_classifiers import with_measured
from .wording import counted, rounded

_CONFUSIONS = 20
_CONFUSIONS_TOLD = 5


@dataclass(frozen=True)
class EvaluateParams(ClusterParams):
    """Settings of `evaluate_predictions`.

    Attributes:
        prediction_field: Field of the predictions.
        label_field: Field of the labels; None = detected.
        split_field: Field of the splits, or "tags"; None = detected.
        slices: Fields, or parts of fields such as `metadata.width`, by whose values to measure as well.
        seed: Of the resampling for intervals.
        classifier: Folder, name or version of a classifier that is to predict first; None = predictions are taken as
            they are, on this machine.
        cluster, store: Which machines predict, see `ClusterParams`. With a cluster, the classifier in use predicts
            first where none is named.
    """

    prediction_field: str = "prediction"
    label_field: str | None = None
    split_field: str | None = None
    slices: tuple[str, ...] = ()
    seed: int = 0
    classifier: Path | str | None = None


@dataclass(frozen=True, eq=False)
class EvaluateReport:
    """What `evaluate_predictions` measured.

    Attributes:
        evaluated_on: Name of the split, "held out", or "all labelled images".
        given: On every image of it.
        clean: The same without leaked images (and unreadable ones, which have no prediction).
        leaked: How many leaked images `clean` leaves out.
        classes: Names of the classes in labels and predictions.
        by_class: The metrics of each, on the images of `clean`.
        confusions: (label, prediction, images) of the most confused classes among them, the worst first.
        slices: The same by slice, the worst first.
        evaluation_key: Name of FiftyOne's evaluation, None where there is none.
        notes: What a reader should know about the figures.
    """

    evaluated_on: str
    given: Evaluation
    clean: Evaluation
    leaked: int
    classes: tuple[str, ...]
    by_class: ClassScores
    confusions: tuple[tuple[str, str, int], ...]
    slices: tuple[SliceScore, ...]
    evaluation_key: str | None
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "evaluated_on": self.evaluated_on,
            "accuracy_given_test": rounded(self.given.accuracy),
            "accuracy_clean_test": rounded(self.clean.accuracy),
            "leaked_images_left_out": self.leaked,
            "given": metrics_of(self.given),
            "clean": metrics_of(self.clean),
            "by_class": class_rows(self.by_class, self.classes),
            "confusions": [
                {"label": label, "prediction": prediction, "images": images}
                for label, prediction, images in self.confusions
            ],
            "slices": [metrics_of(each) for each in self.slices],
            "evaluation_key": self.evaluation_key,
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
            lines += self._metrics()
        if self.given.without_label:
            lines.append(f"- {self.given.without_label:,} images have no label; they are not counted.")
        if self.given.without_prediction:
            lines.append(
                f"- Not counted, for want of a prediction: {counted(self.given.without_prediction, 'labelled image')} "
                f"(coverage {self.given.coverage:.1%})."
            )
        if self.evaluation_key is not None:
            lines.append(f"- In the App's Model Evaluation panel: `{self.evaluation_key}`.")
        return "\n".join([*lines, *(f"- {note}" for note in self.notes), *slice_lines(self.slices, "accuracy")])

    def _metrics(self) -> list[str]:
        clean = self.clean
        lines = [
            f"Balanced accuracy {clean.balanced_accuracy:.1%} ({interval_text(clean.balanced_interval)}), "
            f"macro F1 {clean.macro_f1:.1%} ({interval_text(clean.f1_interval)})."
        ]
        if known := ", ".join(probability_metrics(clean)):
            lines.append(f"Of the probabilities: {known}.")
        lines += ["", f"- Weakest classes: {weakest_classes(self.by_class, self.classes)}"]
        if self.confusions:
            told = (f"{a} taken for {b} ({images:,})" for a, b, images in self.confusions[:_CONFUSIONS_TOLD])
            lines.append(f"- Most confused: {', '.join(told)}")
        return lines


@timed("evaluate_predictions")
def evaluate_predictions(
    view: Collection, params: EvaluateParams = EvaluateParams(), progress: Progress = silent
) -> EvaluateReport | MultiLabelEvaluateReport:
    """Measure predictions on the test split; else on the validation split; else on all labelled images.

    One label an image also gets an evaluation of FiftyOne's, for the App's Model Evaluation panel.

    Raises:
        FieldError: No such prediction field, no labels, or nothing to slice by.
        DataError: See `datasets.samples.read_samples`.
        ClassifierError, DataError, MissingPartError: See `predict.apply_classifier`, where a classifier predicts first.
    """
    if params.classifier is not None or params.cluster:
        from .predict import PredictParams, apply_classifier  # late: it loads torch, for which a form should not wait

        asked = PredictParams(params.classifier, params.prediction_field, cluster=params.cluster, store=params.store)
        apply_classifier(view, asked, progress)
        params = replace(params, classifier=None, cluster="", store="")  # what is measured lies in the field now
    if (several := multi_label_field(view, params.label_field)) is not None:
        return evaluate_multi_label_predictions(view, several, params)
    samples = read_samples(view, params.label_field, params.split_field, need_labels=True)
    rows, evaluated_on, notes = judged_rows(samples, samples.labels >= 0)
    return evaluate_rows(
        view,
        samples,
        rows,
        evaluated_on,
        params.prediction_field,
        notes=notes,
        slices=params.slices,
        seed=params.seed,
    )


def evaluate_rows(
    view: Collection,
    samples: Samples,
    rows: np.ndarray,
    evaluated_on: str,
    prediction_field: str,
    *,
    notes: tuple[str, ...] = (),
    left_out: Iterable[str] = (),
    slices: tuple[str, ...] = (),
    seed: int = 0,
) -> EvaluateReport:
    """Measure on the samples where (n,) `rows` is true; ids in `left_out` are left out of the clean figure too."""
    outputs = read_outputs(view, prediction_field, samples, rows)
    findings = read_findings(view, samples.ids)
    clean = rows & ~findings.leaked & ~is_among(samples.ids, left_out)
    given = _measured(outputs, rows, seed)
    by_class, confusions = _by_class(outputs, clean)

    def score(inside: np.ndarray) -> tuple[int, float, Interval]:
        found = evaluate(outputs.labels[inside], outputs.predicted[inside], seed)
        return found.images, found.accuracy, found.interval

    scored = score_slices(view, samples.ids, slices, clean, score)
    key, refused = evaluation_key(prediction_field), None
    if samples.label_field is not None:
        refused = write_evaluation(
            view,
            key,
            samples.ids[rows & (outputs.labels >= 0) & (outputs.predicted >= 0)],
            prediction_field=prediction_field,
            label_field=samples.label_field,
            classes=outputs.classes,
        )
    report = EvaluateReport(
        evaluated_on,
        given=given,
        clean=given if (clean == rows).all() else _measured(outputs, clean, seed),
        leaked=int((rows & findings.leaked).sum()),
        classes=outputs.classes,
        by_class=by_class,
        confusions=confusions,
        slices=scored,
        evaluation_key=None if refused or not given.images else key,
        notes=(*notes, *outputs.notes, *([refused] if refused else [])),
    )
    runs.save_run(
        view,
        RUN,
        method="evaluate_predictions",
        params=asdict(EvaluateParams(prediction_field, samples.label_field, samples.split_source, slices, seed)),
        fields=[],
        summary=report.summary(),
        results=with_measured(view, prediction_field, samples.label_field, report.summary()),
    )
    return report


def shown(measured: Evaluation) -> str:
    """Return accuracy and interval for a person."""
    if not measured.images:
        return "not known"
    return f"{measured.accuracy:.1%} (95 % interval {interval_text(measured.interval)})"


def _measured(outputs: ModelOutputs, rows: np.ndarray, seed: int) -> Evaluation:
    return evaluate(
        outputs.labels[rows],
        outputs.predicted[rows],
        seed,
        probabilities=None if outputs.probabilities is None else outputs.probabilities[rows],
        confidences=outputs.confidences[rows],
    )


def _by_class(outputs: ModelOutputs, rows: np.ndarray) -> tuple[ClassScores, tuple[tuple[str, str, int], ...]]:
    labels, predicted = outputs.labels[rows], outputs.predicted[rows]
    probabilities = None if outputs.probabilities is None else outputs.probabilities[rows]
    confusions = tuple(
        (outputs.classes[label], outputs.classes[prediction], images)
        for label, prediction, images in worst_confusions(labels, predicted, _CONFUSIONS)
    )
    return score_classes(labels, predicted, probabilities), confusions
