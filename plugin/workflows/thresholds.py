"""Give a classifier thresholds that reach a wanted precision or recall on images that it was not trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import runs
from ..datasets.multi_labels import multi_label_field, read_multi_labels
from ..datasets.samples import Samples, read_samples
from ..datasets.views import Collection
from ..errors import DataError
from ..failures import Failure
from ..progress import Progress, silent
from ..training.calibration import NEVER
from ..training.classifier import Classifier, load_classifier, save_classifier
from ..training.reference import Reference
from ..training.thresholds import TOO_FEW, Thresholds, thresholds_for
from .findings import read_findings
from .wording import counted, failure_lines, rounded

RUN = "winnow_thresholds"
_SPLITS = {
    "validation": (),
    "test": (
        "there is no validation split, so the thresholds were chosen on the test split: what is measured there "
        "afterwards is optimistic",
    ),
    "all labelled images": (
        "there is neither a validation nor a test split, so images that the classifier was trained on are among these: "
        "the thresholds are optimistic",
    ),
}


@dataclass(frozen=True)
class ThresholdParams:
    """Settings of `set_thresholds`; name either a precision or a recall.

    Attributes:
        classifier: Folder of the classifier, which is written to.
        precision: Wanted of the decisions for each class, in (0, 1).
        recall: Wanted of each class, in (0, 1).
        label_field: Field of the labels; None = detected.
        split_field: Field of the splits, or "tags"; None = detected.
        batch_size: Images a forward pass.
    """

    classifier: Path | str
    precision: float | None = None
    recall: float | None = None
    label_field: str | None = None
    split_field: str | None = None
    batch_size: int = 32


@dataclass(frozen=True, eq=False)
class ThresholdReport:
    """What `set_thresholds` chose.

    Attributes:
        classifier: With its thresholds.
        folder: Where it was saved.
        thresholds: The thresholds, class by class.
        goal: What was wanted, as in "precision 95.0%".
        chosen_on: Name of the split, or "all labelled images".
        images: How many they were chosen on.
        failures: Images that could not be read.
        notes: What a reader should know about the figures.
    """

    classifier: Classifier
    folder: Path
    thresholds: Thresholds
    goal: str
    chosen_on: str
    images: int
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON; a threshold of null means that the class is never decided for."""
        found = self.thresholds
        return {
            "classifier": str(self.folder),
            "version": self.classifier.version,
            "goal": self.goal,
            "chosen_on": self.chosen_on,
            "images": self.images,
            "reached": sum(not reason for reason in found.reasons),
            "abstained": rounded(found.abstained),
            "by_class": {
                name: {
                    "threshold": None if found.values[row] == NEVER else float(found.values[row]),
                    "precision": rounded(float(found.precision[row])),
                    "recall": rounded(float(found.recall[row])),
                    "images": int(found.support[row]),
                    "decided": int(found.decided[row]),
                    "reason": found.reasons[row],
                }
                for row, name in enumerate(self.classifier.classes)
            },
            "failures": len(self.failures),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        found, total = self.thresholds, len(self.classifier.classes)
        reached = sum(not reason for reason in found.reasons)
        lines = [
            f"**Thresholds for a {self.goal}: reached for {reached} of {counted(total, 'class', 'classes')}**, chosen "
            f"on {counted(self.images, 'image')} ({self.chosen_on}); no class is decided for in {found.abstained:.1%} "
            "of them.",
            f"Saved in `{self.folder}` as version `{self.classifier.version}`.",
            "",
            "| class | threshold | precision | recall | images | |",
            "|---|---|---|---|---|---|",
            *(self._row(row) for row in range(total)),
            "",
            *(f"- {note}" for note in self.notes),
        ]
        return "\n".join([*lines, *failure_lines(self.failures), "", "Next: apply the classifier again."])

    def _row(self, row: int) -> str:
        found = self.thresholds
        threshold = "never decided for" if found.values[row] == NEVER else f"{found.values[row]:.4f}"
        precision, recall = (
            "" if np.isnan(share) else f"{share:.1%}" for share in (found.precision[row], found.recall[row])
        )
        reason = found.reasons[row]
        why = f"{reason}: {found.least} needed" if reason == TOO_FEW else reason
        name = self.classifier.classes[row]
        return f"| {name} | {threshold} | {precision} | {recall} | {found.support[row]:,} | {why} |"


def set_thresholds(view: Collection, params: ThresholdParams, progress: Progress = silent) -> ThresholdReport:
    """Choose thresholds on the validation split; else on the test split; else on all labelled images.

    Leaked images are left out, since a classifier knows them by heart.

    Raises:
        DataError: Neither or both of precision and recall, one out of range, or no labelled image to choose on.
        ClassifierError: No classifier in the folder, or the folder cannot be written.
        FieldError: See `datasets.samples.read_samples`.
    """
    goal = _goal(params)
    folder = Path(params.classifier).expanduser()
    classifier, reference = load_classifier(folder), Reference.load(folder)
    samples, labels = _read(view, classifier, params)
    labelled = np.isfinite(labels).any(axis=1) if classifier.multilabel else labels >= 0
    usable = labelled & ~read_findings(view, samples.ids).leaked
    chosen_on, rows = _chosen_rows(samples, usable)
    predictions = classifier.predict(samples.paths[rows].tolist(), params.batch_size, progress)
    found = thresholds_for(predictions.probabilities, labels[rows], precision=params.precision, recall=params.recall)
    readable = int(np.isfinite(predictions.probabilities).all(axis=1).sum())
    details = {**classifier.details, "thresholds_goal": goal, "thresholds_chosen_on": chosen_on}
    classifier = replace(classifier, thresholds=tuple(found.values.tolist()), details=details)
    save_classifier(classifier, folder, reference)
    ids = samples.ids[rows]
    failures = tuple(Failure(ids[int(each.id)], each.path, each.reason) for each in predictions.failures)
    report = ThresholdReport(classifier, folder, found, goal, chosen_on, readable, failures, _SPLITS[chosen_on])
    runs.save_run(
        view,
        RUN,
        method="set_thresholds",
        params={**asdict(params), "classifier": str(params.classifier)},
        fields=[],
        summary=report.summary(),
    )
    return report


def _goal(params: ThresholdParams) -> str:
    """Return what is wanted in words; to be called before the work."""
    given = {name: share for name in ("precision", "recall") if (share := getattr(params, name)) is not None}
    if len(given) != 1:
        raise DataError("name either a precision or a recall, such as precision=0.95, that each class should reach.")
    name, share = next(iter(given.items()))
    if not 0 < share < 1:
        raise DataError(f"a {name} of {share:g} cannot be promised; name one between 0 and 1, such as 0.95.")
    return f"{name} of {share:.1%}"


def _read(view: Collection, classifier: Classifier, params: ThresholdParams) -> tuple[Samples, np.ndarray]:
    """Return n samples and their labels by the classifier's classes: (n,) int64, or (n, k) where there are several."""
    column_of = {name: column for column, name in enumerate(classifier.classes)}
    several = multi_label_field(view, params.label_field)
    if (several is not None) != classifier.multilabel:
        is_of = ("one label", "several labels")
        raise DataError(
            f"the classifier gives {is_of[classifier.multilabel]} an image, but the labels are "
            f"{is_of[several is not None]} an image. Name a label field of its kind."
        )
    if several is None:
        samples = read_samples(view, params.label_field, params.split_field, need_labels=True)
        unknown = len(column_of)
        numbers = np.array([column_of.get(name, unknown) for name in samples.classes], np.int64)
        return samples, np.where(samples.labels >= 0, numbers[samples.labels], -1)
    samples = read_samples(view, split_field=params.split_field)
    table, names = read_multi_labels(view, samples.ids, several)
    annotated = np.isfinite(table).any(axis=1)
    labels = np.repeat(np.where(annotated, 0, np.nan)[:, None], len(column_of), axis=1)
    for column, name in enumerate(names):
        if name in column_of:
            labels[:, column_of[name]] = table[:, column]
    return samples, labels


def _chosen_rows(samples: Samples, usable: np.ndarray) -> tuple[str, np.ndarray]:
    """Return what the thresholds are chosen on, and the (m,) numbers of these samples."""
    for name in ("validation", "test"):
        rows = np.flatnonzero(usable & (samples.splits == name))
        if len(rows):
            return name, rows
    if not usable.any():
        raise DataError(
            "there is no labelled image to choose thresholds on that is not leaked. Label images of a validation split."
        )
    return "all labelled images", np.flatnonzero(usable)
