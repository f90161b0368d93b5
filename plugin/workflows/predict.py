"""Write a classifier's predictions into a field of images, or of the patches of detections."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np

from ..cluster.params import ClusterParams
from ..cluster.warming import warm_cache
from ..datasets import runs
from ..datasets.patches import Patches, read_patches
from ..datasets.prediction_fields import Document, PatchAttributes, PredictionField, SampleField, prediction_document
from ..datasets.samples import read_samples
from ..datasets.views import Collection
from ..errors import DataError
from ..failures import Failure
from ..progress import Progress, silent
from ..training.classifier import Classifier, load_classifier
from ..training.inference import ImagePredictions, cached_in_chunks, predict_in_chunks, uncertainty
from ..vision.boxes import box_faults
from .classifiers import classifier_folder
from .job_rates import timed
from .pairs import relative_path
from .patch_vectors import WHOLE_IMAGES, chosen_patches, mark_patches
from .vectors import mark_failures
from .wording import counted, failure_lines

RUN = "winnow_predictions"
PATCHES_RUN = "winnow_patch_predictions"


@dataclass(frozen=True)
class PredictParams(ClusterParams):
    """Settings of `apply_classifier`.

    Attributes:
        classifier: Folder, name or version of the classifier; None = the one in use, else the newest of the dataset.
        prediction_field: Field for the predictions; for patches, attribute of the detections with the class, beside
            which stand NAME_confidence, NAME_entropy and so on.
        patches_field: Field of detections whose boxes are predicted; "whole images" = these are, unless the view shows
            patches.
        logits: Store them too: k numbers an image, from which label issues know what the classifier thinks of every
            class.
        batch_size: Images a forward pass.
        cluster, store: Which machines compute, see `ClusterParams`; what they found is kept there, so that a job which
            was killed goes on where it stopped.
    """

    classifier: Path | str | None = None
    prediction_field: str = "prediction"
    patches_field: str = WHOLE_IMAGES
    logits: bool = False
    batch_size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 1:
            raise DataError(f"batch_size must be at least 1, got {self.batch_size}")


@dataclass(frozen=True, eq=False)
class PredictReport:
    """What `apply_classifier` predicted for the n readable images, or patches.

    Attributes:
        paths: (n,) object. Their files.
        rows: (m,) int64, ascending. The image of each label: one an image, none where the classifier abstained, any
            number where it decides for each class by itself.
        labels: (m,) object. Class names.
        confidences: (m,) float32 in 0..1.
        version: Of the classifier.
        prediction_field: Where the predictions were written.
        failures: Images that could not be read; a patch goes by the id of its label.
        unit: "image" or "patch".
    """

    paths: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    confidences: np.ndarray
    version: str
    prediction_field: str
    failures: tuple[Failure, ...]
    unit: str = "image"

    @property
    def unlabelled(self) -> int:
        """Number of readable images without a label: no class reaches its threshold."""
        return len(self.paths) - len(np.unique(self.rows))

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "images": len(self.paths),
            "unit": self.unit,
            "classifier_version": self.version,
            "field": self.prediction_field,
            "by_class": dict(sorted(Counter(self.labels.tolist()).items())),
            "mean_confidence": round(float(self.confidences.mean()), 4) if len(self.confidences) else None,
            "unlabelled": self.unlabelled,
            "failures": [asdict(failure) for failure in self.failures],
        }

    def text(self) -> str:
        """Return markdown for a person."""
        units = "images" if self.unit == "image" else "patches"
        lines = [
            f"Predictions for **{counted(len(self.paths), self.unit, units)}** by classifier `{self.version}` are in "
            f"`{self.prediction_field}`."
        ]
        if self.unlabelled:
            lines.append(f"{counted(self.unlabelled, self.unit, units)} got no label: no class reaches its threshold.")
        following = ["", "Next: evaluate them, or look at unsure ones."] if self.unit == "image" else []
        return "\n".join([*lines, *failure_lines(self.failures, self.unit, units), *following])

    def write_csv(self, path: Path, root: Path | None = None) -> None:
        """Write path (relative to `root` where it lies below it), label, confidence: a row a label.

        An image that got no label has a row without one; an unreadable one has no row.
        """
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "confidence"])
            bounds = np.searchsorted(self.rows, np.arange(len(self.paths) + 1))
            for image, start, end in zip(self.paths, bounds[:-1], bounds[1:], strict=True):
                name = relative_path(image, root)
                found = zip(self.labels[start:end], self.confidences[start:end], strict=True)
                writer.writerows([name, label, f"{confidence:.4f}"] for label, confidence in found)
                if start == end:
                    writer.writerow([name, "", ""])


@timed("apply_classifier")
def apply_classifier(
    view: Collection, params: PredictParams = PredictParams(), progress: Progress = silent
) -> PredictReport:
    """Predict the classes of each image of a collection, or of each patch.

    Predictions are written some thousand at a time, so that memory does not grow with them; those that a stopped job
    has written stay, and tell by their `model_version` whose they are.

    Raises:
        ClassifierError: There is no such classifier.
        DataError, MissingPartError: The cluster can't be used, see `cluster.warming.warm_cache`.
        DataError, FieldError: See `datasets.samples.read_samples`, `datasets.patches.read_patches` and
            `datasets.fields.write_labels`; raised before the work.
    """
    folder = classifier_folder(view, params.classifier)
    classifier = load_classifier(folder)
    patches_field = chosen_patches(view, params.patches_field)
    targets = _patches(view, patches_field, classifier, params) if patches_field else _images(view, classifier, params)
    settings = {**asdict(params), "classifier": str(folder), "version": classifier.version}

    def save(summary: dict[str, Any]) -> None:
        runs.save_run(
            view,
            PATCHES_RUN if patches_field else RUN,
            method="apply_classifier",
            params=settings,
            fields=targets.field.fields,
            summary=summary,
        )

    save({"images": 0})  # what a stopped job leaves can be deleted with its run
    found = _Found(targets, classifier)
    for chunk in _predicted(classifier, targets, params, progress):
        targets.field.write(chunk.rows, list(_documents(classifier, chunk, with_logits=params.logits)))
        found.add(chunk)
    report = found.report()
    targets.field.empty_others(found.rows)
    if targets.patches is None:
        mark_failures(view, {failure.id: failure.reason for failure in report.failures})
    else:
        mark_patches(view, targets.patches, report.failures)
    save({**report.summary(), "failures": len(report.failures)})
    return report


@dataclass(frozen=True, eq=False)
class _Targets:
    """The n images, or patches, that are predicted, and where their predictions go."""

    ids: np.ndarray
    paths: np.ndarray
    field: PredictionField
    patches: Patches | None = None


def _images(view: Collection, classifier: Classifier, params: PredictParams) -> _Targets:
    samples = read_samples(view)
    kind = fo.Classifications if classifier.multilabel else fo.Classification
    written = SampleField(view, params.prediction_field, kind, samples.ids, classifier.classes, samples.label_field)
    return _Targets(samples.ids, samples.paths, written)


def _patches(view: Collection, patches_field: str, classifier: Classifier, params: PredictParams) -> _Targets:
    patches = read_patches(view, patches_field)
    written = PatchAttributes(
        view,
        patches_field,
        params.prediction_field,
        several=classifier.multilabel,
        logits=params.logits,
        ids=patches.ids,
        sample_ids=patches.sample_ids,
    )
    return _Targets(patches.ids, patches.paths, written, patches)


def _predicted(
    classifier: Classifier, targets: _Targets, params: PredictParams, progress: Progress
) -> Iterator[ImagePredictions]:
    """Yield predictions a chunk at a time, of this machine or, all of them having been made, of a cluster."""
    boxes = None if targets.patches is None else targets.patches.boxes
    if not params.cluster:
        return predict_in_chunks(classifier, targets.paths, boxes, batch_size=params.batch_size, progress=progress)
    usable = slice(None) if boxes is None else box_faults(boxes) == ""
    warm_cache(
        targets.paths[usable],
        classifier.as_backbone(),
        classifier.preprocessing,
        params,
        boxes=None if boxes is None else boxes[usable],
        batch_size=params.batch_size,
        step="predictions",
        progress=progress,
    )
    return cached_in_chunks(classifier, targets.paths, boxes, batch_size=params.batch_size, progress=progress)


def _documents(classifier: Classifier, chunk: ImagePredictions, *, with_logits: bool) -> Iterator[Document | None]:
    """Yield what is written for each image of a chunk."""
    entropy, margin = uncertainty(chunk.probabilities, multilabel=classifier.multilabel)
    for row, present in enumerate(chunk.present):
        columns = np.flatnonzero(present)
        yield prediction_document(
            [classifier.classes[column] for column in columns],
            chunk.probabilities[row, columns].tolist(),
            several=classifier.multilabel,
            logits=chunk.logits[row] if with_logits else None,
            entropy=float(entropy[row]),
            margin=float(margin[row]),
            model_version=classifier.version,
        )


class _Found:
    """Gathers for the report what the chunks say, without their logits."""

    def __init__(self, targets: _Targets, classifier: Classifier) -> None:
        self._targets, self._classifier = targets, classifier
        self._rows: list[np.ndarray] = []
        self._labelled: list[np.ndarray] = []
        self._columns: list[np.ndarray] = []
        self._confidences: list[np.ndarray] = []
        self._reasons: dict[int, str] = {}

    def add(self, chunk: ImagePredictions) -> None:
        row, column = np.nonzero(chunk.present)
        self._labelled.append(row + sum(map(len, self._rows)))
        self._columns.append(column)
        self._confidences.append(chunk.probabilities[row, column])
        self._rows.append(chunk.rows)
        self._reasons |= chunk.reasons

    @property
    def rows(self) -> np.ndarray:
        """(n,) int64. The targets that have a prediction."""
        return np.concatenate(self._rows)

    def report(self) -> PredictReport:
        targets, classifier = self._targets, self._classifier
        reasons = sorted(self._reasons.items())
        return PredictReport(
            paths=targets.paths[self.rows],
            rows=np.concatenate(self._labelled),
            labels=np.array(classifier.classes, object)[np.concatenate(self._columns)],
            confidences=np.concatenate(self._confidences),
            version=classifier.version,
            prediction_field=targets.field.path,
            failures=tuple(Failure(targets.ids[row], targets.paths[row], reason) for row, reason in reasons),
            unit="image" if targets.patches is None else "patch",
        )
