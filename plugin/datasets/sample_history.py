"""What became of each sample at a person's wish: label, split and tags as they were, and as they are now.

Labels tell their own history (`label_decisions`, `multi_label_decisions`), which goes where they go; the rest stands in
the action log. What was undone does not count, and a sample that is again as it was did not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..curation.splits import precedence, standard_split
from ..labeling.reconciling import PlainLabel
from . import bringing_back, moving, removal, runs, tagging
from .action_log import chunks, list_logged, read_records, undone_at
from .annotated_labels import plain_label
from .documents import CHUNK, Document, read_documents
from .label_changes import ADD
from .label_decisions import ACCEPTED
from .multi_labels import multi_label_field
from .runs import SavedRun
from .samples import chosen_label_field, label_fields
from .split_names import TAGS, read_splits
from .views import Collection, dataset_of, every_image

SPLIT_RUN = "winnow_split"


@dataclass(frozen=True, slots=True)
class ImageChange:
    """One image that was changed.

    Attributes:
        path: Absolute path.
        old_label: Its label before: text, a sorted list where an image may have several, or None.
        new_label: Its label now, or when it was removed.
        old_split: Its split before as the dataset spelled it, "" = none.
        new_split: Its split now.
        removed: Whether its sample was deleted.
        tags: Tags that it was given.
        reasons: Why, in the order of labels, split, tags and removal.
        reviewers: Who did it, each once.
        time: When it last happened (UTC); None where only the label tells, and does not say.
        runs: Keys of the actions or runs, in the order of `reasons`.
    """

    path: str
    old_label: PlainLabel
    new_label: PlainLabel
    old_split: str
    new_split: str
    removed: bool
    tags: tuple[str, ...]
    reasons: tuple[str, ...]
    reviewers: tuple[str, ...]
    time: datetime | None
    runs: tuple[str, ...]


def read_history(view: Collection, label_field: str | None = None) -> Iterator[ImageChange]:
    """Yield the images of a dataset that were changed, by sample id, those that were deleted last.

    Args:
        view: Any collection of the dataset.
        label_field: Field of Classification or Classifications; None = as everywhere.

    Raises:
        FieldError: It is open which field holds the labels, or there is no such field.
    """
    reader = _Reader(view, history_label_field(view, label_field))
    present: set[str] = set()
    for chunk in chunks(sorted(every_image(view).values("id")), CHUNK):
        for key, document in read_documents(view, chunk, reader.fields, {}):
            present.add(document["filepath"])
            if change := reader.change_of(str(key), document, None):
                yield change
    for run in reader.removals:
        for record in read_records(view, run.key):
            document = record["document"]
            if document["filepath"] in present:  # added anew since
                continue
            present.add(document["filepath"])
            if change := reader.change_of(str(document["_id"]), document, run):
                yield change


def history_label_field(view: Collection, asked: str | None) -> str | None:
    """Return the field whose labels are told of; None where the dataset has no labels.

    Raises:
        FieldError: As for `samples.chosen_label_field`.
    """
    if several := multi_label_field(view, asked):
        return several
    return chosen_label_field(view, asked) if asked or label_fields(view) else None


def split_in(value: Any) -> str:
    """Return the split that a value of a field or of the tags names, as it is spelled; "" = none."""
    if isinstance(value, list):
        names = [name for name in value if standard_split(name)]
        return min(names, key=lambda name: precedence(standard_split(name) or name), default="")
    return value or ""


def same_split(name: str, other: str) -> bool:
    """Whether two spellings mean the same split."""
    return (standard_split(name) or name) == (standard_split(other) or other)


@dataclass
class _Log:
    """What standing actions did: sample id -> what was there before the first, and which did it."""

    split_before: dict[str, Any] = field(default_factory=dict)
    moved: dict[str, SavedRun] = field(default_factory=dict)
    tagged: dict[str, list[SavedRun]] = field(default_factory=dict)
    label_before: dict[str, PlainLabel] = field(default_factory=dict)
    labelled: dict[str, SavedRun] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Event:
    """One thing that happened to a sample."""

    reason: str
    by: str
    run: str
    at: datetime | None


class _Reader:
    """The log of a dataset, read once, and what it makes of each sample."""

    def __init__(self, view: Collection, label_field: str | None) -> None:
        dataset = dataset_of(view)
        self._label_field = label_field
        self._several = label_field is not None and label_field == multi_label_field(view, label_field)
        self._actions = {run.key: run for run in reversed(list_logged(view))}
        standing = [run for run in self._actions.values() if not undone_at(run)]
        self.removals = [run for run in standing if run.method == removal.METHOD]
        self._splitting, self._origin, self._source = _where_splits_are(view, standing)
        self._split_from = _moved_by_splitting(view, self._splitting)
        self._log = _Log()
        for run in standing:
            self._read(view, run)
        wanted = ("filepath", "tags", self._origin, self._source, label_field)
        self.fields = sorted({name for name in wanted if name and dataset.has_field(name)})

    def change_of(self, key: str, document: Document, removed: SavedRun | None) -> ImageChange | None:
        """Return what happened to a sample, None where it is as it was."""
        events: list[_Event] = []
        old_label, new_label = self._labels(key, document, events)
        old_split, new_split = self._splits(key, document, events)
        given = [run for run in self._log.tagged.get(key, ()) if run.params["tag"] in document["tags"]]
        events += [_event(f"tagged '{run.params['tag']}'", run) for run in given]
        if removed is not None:
            events.append(_event(f"{_what(removed)} removed", removed))
        if not events:
            return None
        return ImageChange(
            path=document["filepath"],
            old_label=old_label,
            new_label=new_label,
            old_split=old_split,
            new_split=new_split,
            removed=removed is not None,
            tags=tuple(dict.fromkeys(run.params["tag"] for run in given)),
            reasons=tuple(event.reason for event in events),
            reviewers=tuple(dict.fromkeys(event.by for event in events if event.by)),
            time=max((event.at for event in events if event.at), default=None),
            runs=tuple(event.run for event in events if event.run),
        )

    def _read(self, view: Collection, run: SavedRun) -> None:
        """Note what an action did."""
        log, name = self._log, self._label_field
        if run.method == moving.METHOD and run.params["split_field"] in (self._origin, self._source):
            is_origin = run.params["split_field"] == self._origin
            for record in read_records(view, run.key):
                log.moved[str(record["_id"])] = run
                if is_origin:
                    log.split_before.setdefault(str(record["_id"]), record["was"])
        elif run.method == tagging.METHOD:
            for record in read_records(view, run.key):
                log.tagged.setdefault(str(record["_id"]), []).append(run)
        elif run.method == bringing_back.METHOD and name in run.params["several"]:
            for record in read_records(view, run.key):
                if name in record["new"]:
                    log.labelled[str(record["_id"])] = run
                    log.label_before.setdefault(str(record["_id"]), self._earliest(record["was"][name]))

    def _earliest(self, held: Mapping[str, Any] | None) -> PlainLabel:
        """Return the label that a label's own history begins with."""
        label = plain_label(held, several=self._several)
        history = (held or {}).get("history") or []
        if not history:
            return label
        return _before(label, history) if isinstance(label, list) else history[0]["label"]

    def _labels(self, key: str, document: Mapping[str, Any], events: list[_Event]) -> tuple[PlainLabel, PlainLabel]:
        held = document.get(self._label_field) if self._label_field else None
        now = plain_label(held, several=self._several)
        if history := (held or {}).get("history"):
            before, last = self._earliest(held), history[-1]
            event = _Event(_why(self._actions.get(last["run"])), last["by"], last["run"], _in_utc(last["at"]))
        elif key in self._log.labelled:  # where there was no label before, or is none now, it tells no history
            before = self._log.label_before[key]
            event = _event(_why(self._log.labelled[key]), self._log.labelled[key])
        else:
            return now, now
        events += [event] * (before != now)
        return before, now

    def _splits(self, key: str, document: Mapping[str, Any], events: list[_Event]) -> tuple[str, str]:
        now = split_in(document.get(self._source)) if self._source else ""
        held = document.get(self._origin) if self._origin else None
        before = self._split_from.get(key) or split_in(self._log.split_before.get(key, held))
        if same_split(before, now):
            return now, now
        moved, splitting = self._log.moved.get(key), self._splitting
        if splitting is not None and (moved is None or moved.time < splitting.time):
            events.append(_event("split repaired" if splitting.params["repair"] else "split assigned", splitting))
        elif moved is not None:
            events.append(_event(f"{_what(moved)} moved", moved))
        return before, now


def _where_splits_are(view: Collection, standing: list[SavedRun]) -> tuple[SavedRun | None, str | None, str | None]:
    """Return the last splitting by Winnow, where splits were before it, and where they are now."""
    dataset = dataset_of(view)
    splitting = next((run for run in runs.list_runs(view) if run.key == SPLIT_RUN), None)
    if splitting is None or not dataset.has_field(splitting.fields[0]):
        moves = [run.params["split_field"] for run in standing if run.method == moving.METHOD]
        moves = [name for name in moves if dataset.has_field(name)]
        found = moves[-1] if moves else read_splits(every_image(view), None)[1]
        return None, found, found
    source = splitting.fields[0]
    images = every_image(view)
    origin = splitting.params["split_field"] or read_splits(images, None)[1]
    if origin == source:  # made from nothing, or from tags
        origin = TAGS if any(standard_split(tag) for tag in images.distinct(TAGS)) else None
    return splitting, origin, source


def _moved_by_splitting(view: Collection, splitting: SavedRun | None) -> dict[str, str]:
    """Return sample id -> the split from which repairing moved it."""
    found = runs.load_results(view, splitting.key) if splitting else None
    return dict(zip(found["moved"], found["from"], strict=True)) if found else {}


def _before(now: list[str], history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the labels that an image had before these changes, the newest of which are last."""
    labels = set(now)
    for each in reversed(history):
        (labels.discard if each["change"] == ADD else labels.add)(each["label"])
    return sorted(labels)


def _why(run: SavedRun | None) -> str:
    """Return why a label was changed."""
    if run is not None and run.method == bringing_back.METHOD:
        return f"label from {run.params['source']}"
    is_accepted = run is not None and run.params.get("decision") == ACCEPTED
    return "label issue accepted" if is_accepted else "label changed"


def _what(run: SavedRun) -> str:
    """Return what kind of image an action worked on."""
    return run.params.get("what") or "image"


def _event(reason: str, run: SavedRun) -> _Event:
    at = run.params.get("at")
    return _Event(reason, run.params.get("by") or "", run.key, datetime.fromisoformat(at) if at else run.time)


def _in_utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
