"""What a reviewer decided about groups of near-duplicates or leaks, as a mark of each image in them.

A mark is a `fo.Classification` of Winnow's: `label` ("keep", "remove", "apart" or "unsure"), `decided_by`, `decided_at`
(UTC), and `decided_group`, the same letters and digits for all images that were judged together: so a group that an
image joins later is known to be another one, whatever number the next search gives it. Like decisions about labels,
marks are part of the samples, and go where these go. Nothing is removed by a mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fiftyone as fo
from bson import ObjectId

from .action_log import Done, append_records, chunks, mark_undone, read_records, record_action
from .decisions import DECISIONS_FIELD
from .documents import CHUNK, Document, read_documents, write_documents
from .fields import add_label_attributes, make_label_field
from .runs import SavedRun, list_runs, load_run, update_run
from .views import Collection, dataset_of

DUPLICATE_REVIEW, LEAK_REVIEW = "duplicate_review", "leak_review"
KEEP, REMOVE, APART, UNSURE = "keep", "remove", "apart", "unsure"
METHOD = "review_groups"
DECIDED_BY, DECIDED_AT, DECIDED_GROUP = "decided_by", "decided_at", "decided_group"

_ATTRIBUTES: dict[str, tuple[type[fo.Field], None]] = {
    DECIDED_BY: (fo.StringField, None),
    DECIDED_AT: (fo.DateTimeField, None),
    DECIDED_GROUP: (fo.StringField, None),
}


@dataclass(frozen=True)
class GroupStep:
    """What a reviewer decided about one group.

    Attributes:
        key: By which the review knows the group.
        marks: Sample id -> "keep", "remove", "apart" or "unsure", for all images of the group.
        touched: Fields beside the mark that the decision is going to change.
    """

    key: str
    marks: Mapping[str, str]
    touched: tuple[str, ...] = ()


def declare_marks(view: Collection, field: str) -> None:
    """Make a field of marks where it does not exist.

    Raises:
        FieldError: It exists and is not Winnow's.
    """
    dataset = dataset_of(view)
    make_label_field(dataset, field, fo.Classification, field, None)
    if DECIDED_GROUP in add_label_attributes(view, field, _ATTRIBUTES):
        dataset.create_index(f"{field}.{DECIDED_GROUP}")


def begin_group_review(view: Collection, field: str, found_by: str, by: str) -> str:
    """Begin a review of one person's, and return its key in the log.

    Args:
        view: Any collection of the dataset.
        field: Field of the marks.
        found_by: Key of the run that found the groups.
        by: Name of the person.

    Raises:
        FieldError: As for `declare_marks`.
    """
    declare_marks(view, field)
    at = datetime.now(UTC).replace(microsecond=0).isoformat()
    return record_action(view, METHOD, {"field": field, "found_by": found_by, "by": by, "at": at}, 0, ())


def mark_groups(view: Collection, key: str, steps: Sequence[GroupStep]) -> None:
    """Mark the images of groups, after the log has what undoing this, and what follows from it, needs."""
    run = load_run(view, key)
    field, now = run.params["field"], datetime.now(UTC).replace(microsecond=0)
    made, samples = _made(view, run), run.summary["samples"]
    for part in chunks(steps, CHUNK):
        step_of = {sample_id: step for step in part for sample_id in step.marks}
        fields = sorted({field, *(name for step in part for name in step.touched)})
        numbers = {step.key: str(ObjectId()) for step in part}
        records, values = [], {}
        for sample_id, held in read_documents(view, sorted(step_of), fields, {}):
            step = step_of[str(sample_id)]
            records.append(
                {
                    "_id": sample_id,
                    "key": step.key,
                    "group": numbers[step.key],
                    "was": {name: held.get(name) for name in (field, *step.touched)},
                    "made": made,
                }
            )
            values[sample_id] = {field: _mark(step.marks[str(sample_id)], run.params["by"], now, numbers[step.key])}
            samples += not _marked_in(run, held.get(field) or {})
        append_records(view, key, samples, records)
        write_documents(view, values)


def take_marks_back(view: Collection, key: str, groups: Sequence[str]) -> int:
    """Bring groups back to what they were before the review, as far as nobody else decided about them since.

    Args:
        view: Any collection of the dataset.
        key: The review.
        groups: Their keys.

    Returns:
        Number of images that are as before again.
    """
    run, wanted = load_run(view, key), frozenset(groups)
    records = (record for record in read_records(view, key) if record["key"] in wanted)
    back, _ = _bring_back(view, run, _changes(records, run.params["field"]))
    update_run(view, key, summary={**run.summary, "samples": max(0, run.summary["samples"] - back)})
    return back


def undo_group_review(view: Collection, run: SavedRun) -> Done:
    """Bring back marks, decisions and findings of the images about which nobody else decided since."""
    changes = _changes(read_records(view, run.key), run.params["field"])
    back, missing = 0, 0
    for chunk in chunks(changes, CHUNK):
        returned, changed = _bring_back(view, run, {sample_id: changes[sample_id] for sample_id in chunk})
        back, missing = back + returned, missing + changed
    mark_undone(view, run.key)
    return Done(run.key, back, (f"{missing} samples are gone, or were decided about again since",) * (missing > 0))


@dataclass(frozen=True)
class _Change:
    """What a review made of one image: fields before, its group's letters after, and decisions that were added."""

    was: Document
    group: str
    made: str | None
    decisions: int


def _changes(records: Iterable[Document], field: str) -> dict[ObjectId, _Change]:
    """Return sample id -> what was made of it, over all steps in a row between which nobody else decided."""
    found: dict[ObjectId, _Change] = {}
    for record in records:
        sample_id, was = record["_id"], record["was"]
        decisions, earlier = int(DECISIONS_FIELD in was), found.get(sample_id)
        if earlier is not None and _group(was.get(field)) == earlier.group:
            was, decisions = was | earlier.was, decisions + earlier.decisions
        found[sample_id] = _Change(was, record["group"], record["made"], decisions)
    return found


def _bring_back(view: Collection, run: SavedRun, changes: Mapping[ObjectId, _Change]) -> tuple[int, int]:
    """Return how many images are as before again, and how many are gone or were decided about since."""
    dataset, field, made = dataset_of(view), run.params["field"], _made(view, run)
    fields = sorted({name for change in changes.values() for name in change.was})
    held = dict(read_documents(view, [str(key) for key in changes], fields, {}))
    returning: dict[ObjectId, Document] = {}
    missing = 0
    for key, change in changes.items():
        now = held.get(key)
        if now is None or _group(now.get(field)) != change.group:
            missing += now is None or _group(now.get(field)) != _group(change.was[field])
            continue
        added = set(now.get(DECISIONS_FIELD) or ()) - set(change.was.get(DECISIONS_FIELD) or ())
        if DECISIONS_FIELD in change.was and len(added) > change.decisions:
            missing += 1  # somebody else decided about it by way of another group
            continue
        # What a later search found is not replaced by what an earlier one had.
        kept = {field, DECISIONS_FIELD} if change.made != made else set(change.was)
        returning[key] = {name: value for name, value in change.was.items() if name in kept and dataset.has_field(name)}
    write_documents(view, returning)
    return len(returning), missing


def _made(view: Collection, run: SavedRun) -> str | None:
    """Return when the groups were found, as text."""
    found = next((each for each in list_runs(view) if each.key == run.params["found_by"]), None)
    return None if found is None else found.made


def _mark(label: str, by: str, at: datetime, group: str) -> Document:
    document: dict[str, Any] = fo.Classification(label=label).to_dict()
    return document | {"_id": ObjectId(), DECIDED_BY: by, DECIDED_AT: at, DECIDED_GROUP: group}


def _marked_in(run: SavedRun, mark: Document) -> bool:
    """Whether a mark was made in this review."""
    at, began = mark.get(DECIDED_AT), datetime.fromisoformat(run.params["at"]).replace(tzinfo=None)
    return mark.get(DECIDED_BY) == run.params["by"] and at is not None and at >= began


def _group(mark: Document | None) -> str | None:
    return (mark or {}).get(DECIDED_GROUP)
