"""What a FiftyOne dataset tells of a classifier's health: answers to predictions, and checks for drift."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..datasets.answered_predictions import field_of_version, read_answered
from ..datasets.multi_labels import multi_label_field
from ..datasets.samples import chosen_label_field
from ..datasets.views import Collection, dataset_of
from .classifiers import list_classifiers
from .drift_record import load_drift
from .health_figures import DriftCheck, Health, Missing, Moved, Scatter
from .health_tracking import MOST_MOVED, novel_share, with_answers
from .wording import counted


def with_dataset(
    health: Health, view: Collection, prediction_field: str | None, label_field: str | None, since: datetime | None
) -> Health:
    """Return the health with what the dataset knows: answers where none are known yet, and drift.

    The same answers may have gone to the backend; so they are not added to what it remembers.

    Raises:
        FieldError: A field does not exist, or holds something else.
    """
    health = _with_checks(health, view)
    if health.versions:
        return health
    name = dataset_of(view).name
    prediction_field = prediction_field or field_of_version(view, health.about.version)
    if not view.has_field(prediction_field):
        how = f"`winnow predict {name} --classifier {health.about.folder}`, before images are sent to annotators."
        return replace(health, missing=(*health.missing, Missing(f"Field `{prediction_field}` of '{name}'", how)))
    labels = label_field or multi_label_field(view, None) or chosen_label_field(view, None)
    answered = read_answered(view, prediction_field, labels, _trained_at(view, health), health.about.classes, since)
    if answered.too_old:
        note = (
            f"{counted(answered.too_old, 'answer')} in '{name}' are older than the training of the version that "
            "predicted, and may have been trained on; they do not count"
        )
        health = replace(health, notes=(*health.notes, note))
    return with_answers(health, answered.outcomes, f"the labels of '{name}' (`{labels}`)")


def _with_checks(health: Health, view: Collection) -> Health:
    """Return the health with the checks for drift that were made on the dataset with this version.

    Those of another version, or of none, do not say what is unlike anything that this one was trained on.
    """
    saved = load_drift(view)
    own = [] if saved is None else [each for each in saved.history if each["version"] == health.about.version]
    if saved is None or not own:
        return health
    health = replace(health, checks=tuple(_check(each) for each in own))
    if saved.summary["version"] != health.about.version:
        return health
    if saved.stale:
        health = replace(
            health, notes=(*health.notes, f"the last check for drift is older than the dataset: {saved.stale}")
        )
    alpha = saved.summary["alpha"]
    return replace(
        health,
        moved=_moved(saved.summary["classes"], alpha, ("reference_mean", "current_mean")),
        statistics=_moved(saved.summary["statistics"], alpha, ("reference_median", "current_median")),
        scatter=_scatter(saved.points),
    )


def _check(held: dict[str, Any]) -> DriftCheck:
    novel = novel_share(np.arange(held["images"]) < held["novel"])
    time = datetime.fromisoformat(held["time"])
    sides = held["current"], held["reference"]
    return DriftCheck(time, *sides, held["is_drift"], held["p_value"], held["effect_size"], novel)


def _moved(found: list[dict[str, Any]], alpha: float, names: tuple[str, str]) -> tuple[Moved, ...]:
    before, now = names
    rows = [each for each in found if each["p_value"] is not None and each["p_value"] <= alpha][:MOST_MOVED]
    return tuple(Moved(each["name"], each["p_value"], each["effect_size"], each[before], each[now]) for each in rows)


def _scatter(points: dict[str, list[Any]]) -> Scatter:
    places = np.stack([points["x"], points["y"]], axis=1).astype(np.float32)
    current = np.array(points["side"]) == "current"
    return Scatter(places[~current], places[current], np.array(points["novel"], bool)[current])


def _trained_at(view: Collection, health: Health) -> dict[str, datetime | None]:
    """Return when each version was trained, of the classifier and of those of the dataset."""
    written = {entry.version: entry.trained_at for entry in list_classifiers(view).entries if entry.version}
    written |= {health.about.version: health.about.trained_at}
    return {version: _moment(text) for version, text in written.items()}


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
