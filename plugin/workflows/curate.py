"""The main job: find what is wrong with a collection, train on what is left, measure, and write predictions back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..cluster.params import ClusterParams
from ..datasets.samples import read_samples
from ..datasets.similarity_indexes import check_index
from ..datasets.views import Collection, dataset_of
from ..errors import DataError, WinnowError
from ..failures import Failure
from ..progress import Progress, silent
from .duplicates import DuplicateParams, DuplicateReport, report_duplicates
from .evaluate import EvaluateParams, EvaluateReport, evaluate_rows, shown
from .evaluate_multi_label import MultiLabelEvaluateReport, evaluate_multi_label_predictions
from .evaluation_parts import interval_text
from .label_issues import LabelIssueParams, LabelIssueReport, report_label_issues
from .leaks import LeakParams, LeakReport, has_two_splits, report_leaks
from .multi_label_issues import MultiLabelIssueReport, field_of_several, find_multi_label_issues
from .pairs import score_pairs
from .predict import PredictParams, apply_classifier
from .train import TrainParams, TrainReport, check_params, train_on
from .vectors import Embedded, VectorParams, embed_collection
from .wording import failure_lines


@dataclass(frozen=True)
class CurateParams(ClusterParams):
    """Settings of `curate`.

    Attributes:
        label_field: Field of the labels, one an image or several; None = detected.
        split_field: Field of the splits, or "tags"; None = detected.
        preset: Of the training: "probe" or "quick".
        output: Folder of the classifier; None = below Winnow's home.
        neighbors: Brain key of a similarity index in a vector database, for duplicates, leaks and label issues (of one
            label an image); None = this machine finds neighbours itself.
        seed: Of everything random.
        cluster, store: Which machines embed and predict, see `ClusterParams`; the rest is done on this one.
    """

    label_field: str | None = None
    split_field: str | None = None
    preset: str = "quick"
    output: Path | str | None = None
    neighbors: str | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class CurateReport:
    """What `curate` found and made. `training` and `evaluation` are None where `no_classifier` says why."""

    dataset_name: str
    images: int
    failures: tuple[Failure, ...]
    duplicates: DuplicateReport
    leaks: LeakReport | None
    label_issues: LabelIssueReport | MultiLabelIssueReport | None
    training: TrainReport | None
    evaluation: EvaluateReport | MultiLabelEvaluateReport | None
    no_classifier: str
    seconds: dict[str, float]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        classifier: dict[str, Any] = {"reason": self.no_classifier}
        if self.training is not None and self.evaluation is not None:
            classifier = {**self.training.summary(), **self.evaluation.summary()}
        return {
            "dataset": self.dataset_name,
            "images": self.images,
            "failures": [asdict(failure) for failure in self.failures],
            "duplicates": self.duplicates.summary(),
            "leaks": self.leaks.summary() if self.leaks else None,
            "label_issues": self.label_issues.summary() if self.label_issues else None,
            "classifier": classifier,
            "seconds": {step: round(seconds, 2) for step, seconds in self.seconds.items()},
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        table = ["| what | found |", "|---|---|", *(f"| {what} | {found} |" for what, found in self._findings())]
        parts = [f"**`{self.dataset_name}`**", "\n".join(table)]
        if self.training is not None:
            parts.append(self.training.text().split("\n\nNext:")[0])
        elif self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes))
        if self.failures and self.training is None:
            parts.append("\n".join(failure_lines(self.failures)).strip())
        if self.no_classifier:
            parts.append(f"**No classifier**: {self.no_classifier}")
        parts.append(f"Next: `winnow app {self.dataset_name}` shows all of it in the FiftyOne App.")
        return "\n\n".join(parts)

    def _findings(self) -> Iterator[tuple[str, str]]:
        """Yield the rows of the table."""
        yield "images", f"{self.images:,}, of which {len(self.failures):,} could not be read"
        copies = self.duplicates.summary()
        yield "near-duplicates", f"{copies['images_in_groups']:,} images in {copies['groups']:,} groups"
        if self.leaks is not None:
            leaked = self.leaks.summary()["by_splits"]
            yield "leaks", ", ".join(f"{count:,} of {name}" for name, count in leaked.items()) or "none"
        if self.label_issues is not None:
            issues = self.label_issues.summary()
            yield "wrong labels", f"{issues['flagged']:,} flagged, {issues['estimated']:.0f} expected in all"
        if self.evaluation is not None:
            metric, clean, given = _scores(self.evaluation)
            yield f"{metric}, clean {self.evaluation.evaluated_on}", clean
            yield f"{metric}, {self.evaluation.evaluated_on} as given", given
        yield "time", ", ".join(f"{step.replace('_', ' ')} {found:.0f} s" for step, found in self.seconds.items())


def _scores(evaluation: EvaluateReport | MultiLabelEvaluateReport) -> tuple[str, str, str]:
    """Return the name of a metric, and its value on clean images and on all, for a person."""
    if isinstance(evaluation, EvaluateReport):
        return "accuracy", shown(evaluation.clean), shown(evaluation.given)
    clean, given = (
        f"{each.micro_f1:.1%} (95 % interval {interval_text(each.micro_f1_interval)})" if each.images else "not known"
        for each in (evaluation.clean, evaluation.given)
    )
    return "micro F1", clean, given


class _Stopwatch:
    """Seconds a step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, step: str) -> None:
        now = time.monotonic()
        self.seconds[step], self._last = now - self._last, now


def curate(
    view: Collection,
    params: CurateParams = CurateParams(),
    progress: Progress = silent,
    *,
    untrusted: Iterable[str] = (),
) -> CurateReport:
    """Do the whole job on a collection.

    What the data does not allow is left out and said: without splits there are no leaks, without two classes of labels
    no label issues and no classifier.

    Args:
        view: The collection.
        params: Settings.
        progress: Told along the way.
        untrusted: Ids of samples whose labels are known to be wrong, left out of the clean accuracy.

    Raises:
        DataError, FieldError: See `embed_collection`.
        DataError, MissingPartError: The similarity index cannot be used, see `score_pairs`.
        DataError, ClassifierError: See `train.check_params`.
    """
    check_params(view, _train_params(params))
    several = field_of_several(view, params.label_field)
    told = check_index(view, params.neighbors)
    watch = _Stopwatch()
    embedded = embed_collection(
        view,
        VectorParams(cluster=params.cluster, store=params.store),
        label_field=None if several else params.label_field,
        split_field=params.split_field,
        progress=progress,
    )
    samples = embedded.samples
    watch.lap("embeddings")
    pairs = score_pairs(view, embedded, None, progress, neighbors=params.neighbors)
    duplicates = report_duplicates(view, embedded, pairs, DuplicateParams())
    watch.lap("duplicates")
    leaks = (
        report_leaks(view, embedded, pairs, LeakParams(split_field=params.split_field))
        if has_two_splits(samples)
        else None
    )
    watch.lap("leaks")

    label_issues = training = evaluation = None
    reason = "" if several or samples.label_field else _why_no_labels(view)
    if not reason:
        try:
            label_issues = _judge_labels(view, embedded, several, duplicates.groups.group, params, progress)
            watch.lap("label_issues")
            training = train_on(view, embedded, _train_params(params), progress)
            watch.lap("training")
            asked = PredictParams(training.classifier_dir, cluster=params.cluster, store=params.store)
            predictions = apply_classifier(view, asked, progress)
            watch.lap("predictions")
            evaluation = _evaluate(view, training, predictions.prediction_field, several, params, untrusted)
            watch.lap("evaluation")
        except DataError as error:
            reason = str(error)
    watch.seconds["total"] = sum(watch.seconds.values())
    return CurateReport(
        dataset_name=dataset_of(view).name,
        images=len(samples) + len(embedded.failures),
        failures=embedded.failures,
        duplicates=duplicates,
        leaks=leaks,
        label_issues=label_issues,
        training=training,
        evaluation=evaluation,
        no_classifier=reason,
        seconds=watch.seconds,
        notes=(*samples.notes, *told),
    )


def _judge_labels(
    view: Collection,
    embedded: Embedded,
    several: str | None,
    groups: np.ndarray,
    params: CurateParams,
    progress: Progress,
) -> LabelIssueReport | MultiLabelIssueReport:
    issue_params = LabelIssueParams(
        label_field=params.label_field, neighbors=None if several else params.neighbors, seed=params.seed
    )
    if several:
        return find_multi_label_issues(view, several, issue_params, progress)
    return report_label_issues(view, embedded, groups, issue_params, progress)


def _evaluate(
    view: Collection,
    training: TrainReport,
    prediction_field: str,
    several: str | None,
    params: CurateParams,
    untrusted: Iterable[str],
) -> EvaluateReport | MultiLabelEvaluateReport:
    if several:
        asked = EvaluateParams(prediction_field, several, params.split_field, seed=params.seed)
        return evaluate_multi_label_predictions(view, several, asked)
    selection = training.selection
    return evaluate_rows(
        view, training.samples, selection.evaluation, selection.evaluated_on, prediction_field, left_out=untrusted
    )


def _why_no_labels(view: Collection) -> str:
    try:
        read_samples(view, need_labels=True)
    except WinnowError as error:
        return str(error)
    return ""


def _train_params(params: CurateParams) -> TrainParams:
    return TrainParams(
        label_field=params.label_field,
        split_field=params.split_field,
        preset=params.preset,
        output=params.output,
        seed=params.seed,
    )
