"""What was measured of each classifier of a dataset: its newest figures, kept with the evaluation run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fiftyone import ViewField

from ..datasets import runs
from ..datasets.evaluations import evaluation_key
from ..datasets.multi_labels import multi_label_fields
from ..datasets.views import Collection, every_image
from .evaluation_parts import RUN

_MEASURED = "measured"
_MOST = 50  # classifiers


@dataclass(frozen=True)
class Measured:
    """What the predictions of one classifier were worth when they were last evaluated.

    Attributes:
        version: Of the classifier.
        prediction_field: Field of the predictions.
        label_field: Field of the labels, None where it is not known.
        evaluated_on: Name of the split, or what else was evaluated on.
        images: How many, without leaked ones.
        metrics: Figures of those images by name, such as `accuracy`, `macro_f1`, `calibration_error`; None = not known.
        confusions: (label, prediction, images) of the most confused classes, the worst first.
        time: When (ISO 8601, UTC).
    """

    version: str
    prediction_field: str
    label_field: str | None
    evaluated_on: str
    images: int
    metrics: dict[str, Any]
    confusions: tuple[tuple[str, str, int], ...]
    time: str

    def shown(self, metric: str) -> str:
        """Return a figure for a person, "" where it is not known."""
        value = self.metrics.get(metric)
        return f"{value:.1%}" if isinstance(value, float) else ""


def with_measured(
    view: Collection, prediction_field: str, label_field: str | None, summary: dict[str, Any]
) -> dict[str, Any]:
    """Return the figures of all classifiers, those of this evaluation among them, as an evaluation run keeps them.

    Args:
        view: The collection that was evaluated.
        prediction_field: Field of the predictions; where they are not of one classifier, nothing is added.
        label_field: Field of the labels.
        summary: Of the evaluation's report.
    """
    known = _read(view)
    versions = _versions(view, prediction_field)
    if len(versions) == 1 and summary["clean"].get("images"):
        known.pop(versions[0], None)
        known[versions[0]] = {
            "prediction_field": prediction_field,
            "label_field": label_field,
            "evaluated_on": summary["evaluated_on"],
            "images": summary["clean"]["images"],
            "metrics": {name: value for name, value in summary["clean"].items() if isinstance(value, float)},
            "confusions": summary.get("confusions", []),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    return {_MEASURED: dict(list(known.items())[-_MOST:])}


def read_measured(view: Collection) -> dict[str, Measured]:
    """Return what was measured of the classifiers of a dataset, by version."""
    return {
        version: Measured(
            version,
            found["prediction_field"],
            found["label_field"],
            found["evaluated_on"],
            found["images"],
            found["metrics"],
            tuple((each["label"], each["prediction"], each["images"]) for each in found["confusions"]),
            found["time"],
        )
        for version, found in _read(view).items()
    }


def confused_samples(view: Collection, measured: Measured, label: str, prediction: str) -> Collection | None:
    """Return the evaluated samples of a label that are predicted as another class; None where they can't be told.

    Args:
        view: Any collection of the dataset.
        measured: What was measured of the classifier whose predictions they are.
        label, prediction: Names of the classes.
    """
    images, field = every_image(view), measured.prediction_field
    if measured.label_field is None or not images.has_field(evaluation_key(field)):
        return None
    predicted = ViewField(f"{field}.label") == prediction
    given = ViewField(f"{measured.label_field}.label") == label
    judged = ViewField(evaluation_key(field)) == False  # noqa: E712
    return images.match(judged & predicted & given & (ViewField(f"{field}.model_version") == measured.version))


def _read(view: Collection) -> dict[str, Any]:
    if not any(run.key == RUN for run in runs.list_runs(view)):
        return {}
    return dict((runs.load_results(view, RUN) or {}).get(_MEASURED, {}))


def _versions(view: Collection, field: str) -> list[str]:
    path = f"{field}.classifications" if field in multi_label_fields(view) else field
    if view.get_field(f"{path}.model_version") is None:
        return []
    return [str(version) for version in view.distinct(f"{path}.model_version")]
