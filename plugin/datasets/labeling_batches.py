"""Batches: what went out for labelling together, and where it went.

A batch is a custom run `winnow_batch_NAME`, so that a sender that was killed finds out what it had begun, and what
comes back weeks later is compared with the labels as they were. On the samples themselves two fields say where they
are: `labeling_state` and `labeling_batch`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import fiftyone as fo

from ..errors import DataError
from ..labeling.reconciling import PlainLabel
from .action_log import chunks
from .fields import set_own_values
from .runs import delete_run, list_runs, load_results, load_run, save_run
from .views import Collection, dataset_of, every_image

STATE_FIELD, BATCH_FIELD = "labeling_state", "labeling_batch"
METHOD = "label_batch"

_PREFIX = "winnow_batch_"
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_LISTS = ("sample_ids", "hashes", "labels_before", "task_ids", "blind")
_CHUNK = 20_000


class LabelingState(StrEnum):
    """Where a sample is that was sent out for labelling."""

    OUT = "out"
    BACK = "back"
    SKIPPED = "skipped"
    CONFLICT = "conflict"
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True)
class Batch:
    """What went out for labelling together: n samples, best first.

    Attributes:
        name: Letters, digits and underscores.
        sample_ids: n sample ids.
        hashes: n SHA-256 of the files that were sent.
        labels_before: n mappings, label field -> label when it was sent; see `PlainLabel`.
        task_ids: n ids of Label Studio's tasks; 0 = not in yet, or without Label Studio.
        blind: n; whether annotators are not to see a prediction.
        fields: Name of the control in the labeling config -> field for the labels that come back.
        url: Label Studio's address; "" = labelled without it, in the App or from a CSV.
        project_id: Of Label Studio; 0 = without it, or not made yet.
        model_version: Of the predictions that were sent; "" = none.
        purpose: "training" or "evaluation".
        annotators: How many are to label each sample.
        time: When it was begun, UTC, ISO 8601.
    """

    name: str
    sample_ids: tuple[str, ...]
    hashes: tuple[str, ...]
    labels_before: tuple[Mapping[str, PlainLabel], ...]
    task_ids: tuple[int, ...]
    blind: tuple[bool, ...]
    fields: Mapping[str, str]
    url: str = ""
    project_id: int = 0
    model_version: str = ""
    purpose: str = "training"
    annotators: int = 1
    time: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DataError(
                f"'{self.name}' can't be the name of a batch. Use letters, digits and underscores, at most 64."
            )
        if self.purpose not in ("training", "evaluation"):
            raise ValueError(f"a batch is for 'training' or 'evaluation', got '{self.purpose}'")
        lengths = {name: len(getattr(self, name)) for name in _LISTS}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the lists of a batch must be of one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def is_complete(self) -> bool:
        """Whether every sample of it has its task; a batch without Label Studio always is."""
        return not self.url or all(self.task_ids)

    def only(self, rows: Sequence[int]) -> Batch:
        """Return the batch with these of its samples alone, in this order."""
        kept: dict[str, Any] = {name: tuple(getattr(self, name)[row] for row in rows) for name in _LISTS}
        return replace(self, **kept)


@dataclass(frozen=True)
class BatchEntry:
    """A batch without its lists; see `Batch` for the rest.

    Attributes:
        samples: How many it has.
        is_complete: Whether each of them has its task.
        time: When it was begun (UTC).
    """

    name: str
    samples: int
    is_complete: bool
    fields: Mapping[str, str]
    url: str
    project_id: int
    model_version: str
    purpose: str
    annotators: int
    time: datetime


def save_batch(view: Collection, batch: Batch) -> None:
    """Save a batch on the dataset, in place of an earlier one of its name."""
    lists = {name: list(getattr(batch, name)) for name in _LISTS}
    lists["labels_before"] = [dict(labels) for labels in batch.labels_before]
    summary = {name: getattr(batch, name) for name in (field.name for field in fields(Batch)) if name not in _LISTS}
    summary |= {"fields": dict(batch.fields), "time": batch.time or datetime.now(UTC).isoformat()}
    summary |= {"samples": len(batch), "is_complete": batch.is_complete}
    save_run(
        dataset_of(view), _PREFIX + batch.name, method=METHOD, params={}, fields=[], summary=summary, results=lists
    )


def load_batch(view: Collection, name: str) -> Batch:
    """Return a batch of the dataset.

    Raises:
        DataError: There is no batch of that name.
    """
    known = [entry.name for entry in list_batches(view)]
    if name not in known:
        raise DataError(
            f"dataset '{dataset_of(view).name}' has no batch '{name}'; its batches are: {', '.join(known) or 'none'}."
        )
    summary = load_run(view, _PREFIX + name).summary
    lists = load_results(view, _PREFIX + name) or {}
    values: dict[str, Any] = {key: summary[key] for key in {field.name for field in fields(Batch)} - set(_LISTS)}
    values["fields"] = dict(values["fields"])  # the database's own kind of dict can't be copied
    return Batch(**values | {key: tuple(lists[key]) for key in _LISTS})


def list_batches(view: Collection) -> list[BatchEntry]:
    """Return the dataset's batches, the one that was begun first first; those of other processes, too."""
    dataset_of(view).reload()
    kept = {field.name for field in fields(BatchEntry)} - {"time"}
    entries = [
        BatchEntry(**{key: run.summary[key] for key in kept}, time=datetime.fromisoformat(run.summary["time"]))
        for run in list_runs(view)
        if run.method == METHOD and run.key.startswith(_PREFIX)
    ]
    return sorted(entries, key=lambda entry: (entry.time, entry.name))


def delete_batch(view: Collection, name: str) -> None:
    """Forget a batch; the samples keep their fields."""
    delete_run(view, _PREFIX + name)


def new_batch_name(view: Collection) -> str:
    """Return the next free number."""
    taken = {entry.name for entry in list_batches(view)}
    number = len(taken) + 1
    while str(number) in taken:
        number += 1
    return str(number)


def mark_samples(view: Collection, ids: Sequence[str], state: LabelingState | None, batch: str | None) -> None:
    """Write where samples are into their two fields; all others keep what they have.

    Args:
        view: Any collection of the dataset.
        ids: Sample ids.
        state: Their state; None = not out for labelling.
        batch: Name of their batch.

    Raises:
        FieldError: A field of that name is not Winnow's.
    """
    states = [None if state is None else str(state)] * len(ids)
    set_own_values(view, STATE_FIELD, ids, states, kind="str")
    set_own_values(view, BATCH_FIELD, ids, [batch] * len(ids), kind="str")


def read_plain_labels(view: Collection, ids: Sequence[str], field: str) -> list[PlainLabel]:
    """Return the labels that samples have in a field now; None for samples that are gone, or without a label.

    Args:
        view: Any collection of the dataset.
        ids: n sample ids.
        field: A field of Classification or Classifications; one that does not exist holds no label.
    """
    images = every_image(view)
    found = dataset_of(view).get_field(field)
    if found is None:
        return [None] * len(ids)
    several = getattr(found, "document_type", None) is fo.Classifications
    labels: dict[str, PlainLabel] = {}
    for chunk in chunks(ids, _CHUNK):
        path = f"{field}.classifications.label" if several else f"{field}.label"
        keys, values = images.select(list(chunk)).values(["id", path])
        labels |= {
            key: None if value is None else sorted(value) if several else value or None
            for key, value in zip(keys, values, strict=True)
        }
    return [labels.get(key) for key in ids]
