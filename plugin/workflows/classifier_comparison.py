"""Several classifiers of a dataset side by side, from what is stored: curves, figures, and in what they differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..datasets.views import Collection
from ..training.classifier_files import DESCRIPTION
from .classifiers import ClassifierEntry
from .measured_classifiers import Measured, read_measured
from .wording import listed

MOST = 5  # beyond it, nobody tells the curves apart


@dataclass(frozen=True)
class Difference:
    """A setting in which classifiers differ; `values` has one text a classifier, "" where it is not known."""

    setting: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class ClassifierComparison:
    """Classifiers side by side.

    Attributes:
        entries: The n classifiers, in the order in which they were asked for.
        measured: What was measured of each, None where that was not done.
        differences: The settings and training data in which they differ; what all share is left out.
    """

    entries: tuple[ClassifierEntry, ...]
    measured: tuple[Measured | None, ...]
    differences: tuple[Difference, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What keeps the figures from being comparable."""
        without = [entry.name for entry, found in zip(self.entries, self.measured, strict=True) if found is None]
        sides = {(found.evaluated_on, found.images) for found in self.measured if found is not None}
        notes = []
        if without:
            notes.append(f"Not evaluated yet: {listed(without)}. Apply the classifier, then evaluate its predictions.")
        if len(sides) > 1:
            told = listed([f"{images:,} of {split}" for split, images in sorted(sides)])
            notes.append(f"The figures are of different images ({told}); compare the predictions for a fair answer.")
        return tuple(notes)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields with predictions of these classifiers, each once."""
        return tuple(dict.fromkeys(found.prediction_field for found in self.measured if found is not None))


def compare_classifiers(
    view: Collection, entries: Iterable[ClassifierEntry], folders: Sequence[str]
) -> ClassifierComparison:
    """Put classifiers of a dataset side by side.

    Args:
        view: Any collection of the dataset.
        entries: The classifiers of the dataset.
        folders: Of those that are compared; those after the first `MOST` and one that is gone are passed over.
    """
    known = {str(entry.folder): entry for entry in entries}
    chosen = tuple(known[folder] for folder in folders if folder in known)[:MOST]
    measured = read_measured(view)
    return ClassifierComparison(
        chosen,
        tuple(measured.get(entry.version) for entry in chosen),
        tuple(_differences([_settings(entry) for entry in chosen])),
    )


def _differences(settings: Sequence[dict[str, Any]]) -> Iterable[Difference]:
    for name in dict.fromkeys(name for each in settings for name in each):
        values = [_text(each.get(name)) for each in settings]
        if len({value for value, each in zip(values, settings, strict=True) if each}) > 1:
            yield Difference(name.replace("_", " "), tuple(values))


def _settings(entry: ClassifierEntry) -> dict[str, Any]:
    """Return what decided a classifier; nothing of one that is not finished."""
    try:
        about = json.loads((entry.folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        **about.get("recipe", {}),
        "input_size": about.get("preprocessing", {}).get("input", {}).get("size"),
        "label_field": about.get("label_field"),
        "classes": len(about.get("classes", [])),
        "training_images": about.get("training_images"),
        "training_data": about.get("training_fingerprint"),
        "kept": about.get("kept"),
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
