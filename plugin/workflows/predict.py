"""Write a classifier's predictions into a field."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import runs
from ..datasets.fields import write_labels, write_values
from ..datasets.samples import read_samples
from ..datasets.views import Collection
from ..failures import Failure
from ..progress import Progress, silent
from ..training.classifier import load_classifier
from .pairs import relative_path
from .vectors import FAILURE_FIELD
from .wording import counted, failure_lines

RUN = "winnow_predictions"


@dataclass(frozen=True)
class PredictParams:
    """Settings of `apply_classifier`.

    Attributes:
        classifier: Folder of the classifier.
        prediction_field: Field for label and confidence.
        batch_size: Images a forward pass.
    """

    classifier: Path | str
    prediction_field: str = "prediction"
    batch_size: int = 32


@dataclass(frozen=True, eq=False)
class PredictReport:
    """What `apply_classifier` predicted for the n readable images.

    Attributes:
        paths: (n,) object.
        labels: (n,) object, class names.
        confidences: (n,) float32 in 0..1.
        version: Of the classifier.
        prediction_field: Where the predictions were written.
        failures: Images that could not be read.
    """

    paths: np.ndarray
    labels: np.ndarray
    confidences: np.ndarray
    version: str
    prediction_field: str
    failures: tuple[Failure, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        names, counts = np.unique(self.labels.astype(str), return_counts=True)
        return {
            "images": len(self.paths),
            "classifier_version": self.version,
            "field": self.prediction_field,
            "by_class": {str(name): int(count) for name, count in zip(names, counts, strict=True)},
            "mean_confidence": round(float(self.confidences.mean()), 4) if len(self.confidences) else None,
            "failures": [asdict(failure) for failure in self.failures],
        }

    def text(self) -> str:
        """Return markdown for a person."""
        lines = [
            f"**{counted(len(self.paths), 'prediction')}** of classifier `{self.version}` are in the field "
            f"`{self.prediction_field}`."
        ]
        return "\n".join([*lines, *failure_lines(self.failures), "", "Next: evaluate them, or look at unsure ones."])

    def write_csv(self, path: Path, root: Path | None = None) -> None:
        """Write path (relative to `root` where it lies below it), label, confidence; unreadable images have no row."""
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "confidence"])
            for image, label, confidence in zip(self.paths, self.labels, self.confidences, strict=True):
                writer.writerow([relative_path(image, root), label, f"{confidence:.4f}"])


def apply_classifier(view: Collection, params: PredictParams, progress: Progress = silent) -> PredictReport:
    """Predict the class of each image of a collection.

    Raises:
        ClassifierError: No classifier in the folder.
        DataError, FieldError: See `datasets.samples.read_samples` and `datasets.fields.write_labels`.
    """
    classifier = load_classifier(Path(params.classifier).expanduser())
    samples = read_samples(view)
    predictions = classifier.predict(samples.paths.tolist(), params.batch_size, progress)
    good = np.isfinite(predictions.probabilities).all(axis=1)
    probabilities = predictions.probabilities[good]
    labels = np.array(classifier.classes, object)[probabilities.argmax(axis=1)]
    confidences = probabilities.max(axis=1)
    write_labels(
        view,
        params.prediction_field,
        samples.ids[good],
        labels.tolist(),
        confidences.tolist(),
        label_field=samples.label_field,
    )
    failures = tuple(Failure(samples.ids[int(f.id)], f.path, f.reason) for f in predictions.failures)
    write_values(view, FAILURE_FIELD, [f.id for f in failures], [f.reason for f in failures], kind="str")
    report = PredictReport(
        samples.paths[good], labels, confidences, classifier.version, params.prediction_field, failures
    )
    summary = report.summary()
    runs.save_run(
        view,
        RUN,
        method="apply_classifier",
        params={**asdict(params), "classifier": str(params.classifier), "version": classifier.version},
        fields=[params.prediction_field],
        summary={**summary, "failures": len(failures)},
    )
    return report
