"""The samples of a dataset that the signals of a model's health speak of, as views by what their fields say."""

from __future__ import annotations

from fiftyone import ViewField

from ..datasets.annotated_labels import ATTRIBUTES
from ..datasets.answered_predictions import missed, overridden
from ..datasets.runs import list_runs
from ..datasets.samples import label_fields
from ..datasets.views import Collection, every_image
from .drift_record import RUN


def overridden_samples(view: Collection, prediction_field: str, label_field: str | None) -> Collection | None:
    """Return the images of which annotators changed the prediction, the newest answer first; None = unknown."""
    field = _answered_field(view, prediction_field, label_field)
    return None if field is None else overridden(view, prediction_field, field)


def missed_samples(view: Collection, prediction_field: str, label_field: str | None, name: str) -> Collection | None:
    """Return the images of a class that were predicted otherwise, likewise."""
    field = _answered_field(view, prediction_field, label_field)
    return None if field is None else missed(view, prediction_field, field, name)


def novel_samples(view: Collection) -> Collection | None:
    """Return the images that the last check found unlike anything trained on, the most unlike first; None = unknown."""
    run = next((each for each in list_runs(view) if each.key == RUN), None)
    if run is None:
        return None
    novel, score = run.params["novel_field"], run.params["score_field"]
    if not (view.has_field(novel) and view.has_field(score)):
        return None
    return every_image(view).match(ViewField(novel) == True).sort_by(score, reverse=True)  # noqa: E712


def _answered_field(view: Collection, prediction_field: str, asked: str | None) -> str | None:
    """Return the field of one label an image in which answers came back, where it and the predictions exist."""
    fields = [asked] if asked else label_fields(view)
    answered = [field for field in fields if all(view.has_field(f"{field}.{name}") for name in ATTRIBUTES)]
    return answered[0] if answered and view.has_field(prediction_field) else None
