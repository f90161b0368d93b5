"""A Label Studio project's annotated tasks -> image files with labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..plugin.errors import DataError
from ..plugin.failures import Failure
from ..plugin.labeling.annotations import ProjectLabels, read_labels
from ..plugin.labeling.blind_share import unit_of
from ..plugin.labeling.choice_trees import Written, in_words
from ..plugin.labeling.class_mapping import ClassMapping, map_classes, map_to_control
from ..plugin.labeling.image_access import ImageAccessError, describe_address
from ..plugin.labeling.image_sources import ImageSources, address_in
from ..plugin.labeling.labeling_config import Control, LabelingConfig
from ..plugin.labeling.task_identity import is_marked_blind
from ..plugin.progress import Progress

_DOWNLOADS_AT_ONCE = 4  # fewer than for predictions, which annotators wait for


@dataclass(frozen=True, eq=False)
class AnnotatedImages:
    """n annotated images, those of one task following each other.

    Attributes:
        tasks: (n,) int64. Their tasks' numbers.
        addresses: (n,) object. Where Label Studio keeps them.
        units: (n,) object. What each belongs to, for holding out: a value of the group key, its sample or task.
        present: (n, k) float in {0, 1, NaN}: absent, present, not known; with one label an image one 1 a row.
        classes: k names: those of the serving classifier first, then new ones.
        blind: (n,) bool. Labelled without a prediction in sight.
        reserved: (n,) bool. Its task's data says that nobody is to see a prediction: it was sent to judge by.
        multilabel: Whether an image may have several labels.
        counts: How the labels came about, as plain JSON.
    """

    tasks: np.ndarray
    addresses: np.ndarray
    units: np.ndarray
    present: np.ndarray
    classes: tuple[str, ...]
    blind: np.ndarray
    reserved: np.ndarray
    multilabel: bool
    counts: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, rows: np.ndarray) -> AnnotatedImages:
        """Return the images at these rows (numbers or a mask)."""
        return AnnotatedImages(
            self.tasks[rows],
            self.addresses[rows],
            self.units[rows],
            self.present[rows],
            self.classes,
            self.blind[rows],
            self.reserved[rows],
            self.multilabel,
            self.counts,
        )


def read_annotated(
    tasks: Iterable[Mapping[str, Any]], config: LabelingConfig, classes: Sequence[str], group_key: str | None
) -> AnnotatedImages:
    """Return the images of annotated tasks, with labels in the classes of the serving classifier and new ones.

    Args:
        tasks: As Label Studio's API gives them, with annotations and predictions.
        config: The project's.
        classes: Of the serving classifier. A choice that matches none becomes a new class.
        group_key: Key in the tasks' data whose value names what a task belongs to, such as `patient_id`; a task without
            it stands alone.

    Raises:
        DataError: No control says what the classes are.
    """
    mappings = _learnt(config, classes)
    controls = [mapping.control for mapping in mappings]
    slim = [_slim(task, sorted({control.data_key for control in controls}), group_key) for task in tasks]
    read = [
        _Answers(mapping.control, _names(mapping, classes), read_labels(slim, mapping.control)) for mapping in mappings
    ]
    names = list(dict.fromkeys([*classes, *(name for answers in read for name in answers.used())]))
    rows = [(task, answers) for task in slim for answers in read if task["id"] in answers.found.labels]
    return AnnotatedImages(
        tasks=np.array([task["id"] for task, _ in rows], np.int64),
        addresses=_objects([task["addresses"][answers.control.data_key] for task, answers in rows]),
        units=_objects([task["unit"] for task, _ in rows]),
        present=np.array([answers.targets(task["id"], names) for task, answers in rows]).reshape(len(rows), len(names)),
        classes=tuple(names),
        blind=np.array([answers.found.labels[task["id"]].blind for task, answers in rows], bool),
        reserved=np.array([task["reserved"] for task, _ in rows], bool),
        multilabel=controls[0].multiple,
        counts=_counts(slim, read, grouped=group_key is not None),
    )


def fetch_images(
    images: AnnotatedImages, sources: ImageSources, folder: Path, login: tuple[str, str] | None, progress: Progress
) -> tuple[np.ndarray, list[Failure]]:
    """Bring images here, each as a file that lasts as long as the folder.

    Args:
        images: Of a project.
        sources: Where they come from.
        folder: For what is not a local file.
        login: The project's own, for the hosts that its images lie on.
        progress: Told after each image.

    Returns:
        (n,) object: paths, None where an image could not be had; and why, for each of those.
    """
    files = np.full(len(images), None, object)
    failures: list[Failure] = []

    def fetch(row: int) -> Path | str:
        try:
            return sources.keep(images.addresses[row], folder, task_id=int(images.tasks[row]), login=login)
        except ImageAccessError as error:
            return str(error)

    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE, thread_name_prefix="image") as pool:
        try:
            for row, result in enumerate(pool.map(fetch, range(len(images)))):
                if isinstance(result, str):
                    failures.append(Failure(str(images.tasks[row]), describe_address(images.addresses[row]), result))
                else:
                    files[row] = str(result)
                progress("images", row + 1, len(images))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # a cancelled job does not fetch the rest first
            raise
    return files, failures


def _learnt(config: LabelingConfig, classes: Sequence[str]) -> list[ClassMapping]:
    """Return the controls to learn from: those that the serving classifier fills in, or the only one there is."""
    mappings = list(map_classes(classes, config))
    if not mappings and len(config.controls) == 1:
        mappings = [map_to_control(classes, config.controls[0])]
    if not mappings:
        names = ", ".join(f"'{control.name}'" for control in config.controls)
        raise DataError(
            f"it is not clear which control to learn from: none of {names} has a choice that the serving classifier "
            "knows. Serve a classifier of the classes of one of them."
        )
    # one classifier can't learn both kinds of labels
    return [mapping for mapping in mappings if mapping.control.multiple == mappings[0].control.multiple]


def _slim(task: Mapping[str, Any], keys: Sequence[str], group_key: str | None) -> dict[str, Any]:
    """Return what is needed of a task: a large project's tasks would not fit into memory whole."""
    data = task.get("data") or {}
    unit = unit_of(task["id"], data, group_key)
    return {
        "id": int(task["id"]),
        "unit": unit,
        "reserved": is_marked_blind(data),
        "grouped": unit.startswith("group "),
        "addresses": {key: address_in(data, key) for key in keys},
        "annotations": task.get("annotations") or [],
        "predictions": [{"created_at": each.get("created_at")} for each in task.get("predictions") or []],
    }


def _names(mapping: ClassMapping, classes: Sequence[str]) -> dict[Written, str]:
    """Return the class of each choice by what is written for it; a new class is called by that."""
    known = {written: name for name, written in zip(classes, mapping.written, strict=True) if written is not None}
    return {choice.written: known.get(choice.written) or in_words(choice.written) for choice in mapping.control.choices}


def _objects(values: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


@dataclass(frozen=True, eq=False)
class _Answers:
    """What annotators answered in one control.

    Attributes:
        control: The control.
        names: Class of each choice, by what is written for it.
        found: The labels.
    """

    control: Control
    names: Mapping[Written, str]
    found: ProjectLabels

    def used(self) -> list[str]:
        """Return the classes that occur, in the order of the config; choices that it has no more come last."""
        labels = self.found.labels.values()
        used = {self.name(choice) for label in labels for choice in label.present | label.undecided}
        known = dict.fromkeys(self.names.values())
        return [name for name in known if name in used] + sorted(used - set(known))

    def name(self, written: Written) -> str:
        """Return the class of a choice."""
        return self.names.get(written) or in_words(written)

    def targets(self, task: int, classes: Sequence[str]) -> np.ndarray:
        """Return (k,): 1 present, 0 absent, NaN not known: annotators are split, or the control does not ask for it."""
        label = self.found.labels[task]
        asked, present = set(self.names.values()), {self.name(choice) for choice in label.present}
        undecided = {self.name(choice) for choice in label.undecided}
        unknown = [self.control.multiple and (name not in asked | present or name in undecided) for name in classes]
        return np.where(unknown, np.nan, [name in present for name in classes])


def _counts(slim: Sequence[dict[str, Any]], read: Sequence[_Answers], *, grouped: bool) -> dict[str, Any]:
    """Return how the labels came about, as plain JSON: sums over the controls; agreement is the first one's."""
    found = [answers.found for answers in read]
    agreement = found[0].agreement
    return {
        "tasks": len(slim),
        "labels": sum(len(labels.labels) for labels in found),
        "blind_labels": sum(labels.blind for labels in found),
        "skipped_annotations": sum(labels.skipped for labels in found) // len(found),
        "unanswered": sum(labels.unanswered for labels in found),
        "tied": sum(labels.tied for labels in found),
        "agreement": {
            "tasks": agreement.tasks,
            "share": _rounded(agreement.share),
            "krippendorff_alpha": _rounded(agreement.alpha),
        },
        "tasks_without_group": sum(not task["grouped"] for task in slim) if grouped else None,
    }


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
