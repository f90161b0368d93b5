"""A review of labels: decisions one by one or in bulk, all of them one action of the log, which grows with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from .action_log import Done, append_records, chunks, mark_undone, read_records, record_action
from .documents import CHUNK, Document, plain, write_documents
from .label_decisions import ABOUT, DECISION, Decision, decide, declare_attributes
from .relabelling import LabelChange, alike, bring_labels_back, check_editable, labels_held, notes_on_missing
from .runs import SavedRun, load_run, update_run
from .views import Collection

METHOD = "review_labels"


@dataclass(frozen=True)
class LabelStep:
    """What a reviewer decided about one label.

    Attributes:
        decision: One of those of `label_decisions`.
        label: The class that the label is from now on, possibly the same as before.
        findings: Field of Winnow's -> what it holds of the sample from now on.
    """

    decision: str
    label: str
    findings: Mapping[str, Any]


def begin_label_review(view: Collection, label_field: str, by: str) -> str:
    """Begin a review of one person's, and return its key in the log.

    Raises:
        FieldError: The field is read-only, or the labels have attributes of the same names that are not Winnow's.
    """
    check_editable(view, label_field)
    declare_attributes(view, label_field)
    params = {"label_field": label_field, "by": by, "at": datetime.now(UTC).replace(microsecond=0).isoformat()}
    return record_action(view, METHOD, params, 0, ())


def decide_each(view: Collection, key: str, steps: Mapping[str, LabelStep]) -> int:
    """Put decisions into effect; samples without a label, or whose label changes meanwhile, are passed over.

    Args:
        view: Any collection of the dataset.
        key: The review.
        steps: Sample id -> what was decided.

    Returns:
        Number of labels that were decided about.
    """
    run = load_run(view, key)
    label_field, by = run.params["label_field"], run.params["by"]
    check_editable(view, label_field)
    fields = sorted({field for step in steps.values() for field in step.findings})
    now = datetime.now(UTC).replace(microsecond=0)
    decided, samples = 0, run.summary["samples"]
    for chunk in chunks(sorted(steps), CHUNK):
        records, values = [], {}
        for sample_id, held in labels_held(view, label_field, chunk, fields):
            was, step = held[label_field], steps[str(sample_id)]
            records.append(
                {
                    "_id": sample_id,
                    "was": was,
                    "label": step.label,
                    "decision": step.decision,
                    "at": now,
                    "findings": {field: held.get(field) for field in step.findings},
                }
            )
            label = decide(was, step.label, Decision(step.decision, by, now, key))
            values[sample_id] = {label_field: label} | dict(step.findings)
            samples += not _decided_in(run, was)
        if not records:
            continue
        append_records(view, key, samples, records)
        decided += write_documents(view, values, {each["_id"]: {label_field: each["was"]} for each in records})
    return decided


def take_back(view: Collection, key: str, ids: Sequence[str]) -> int:
    """Bring labels back to what they were before the review, where nobody else changed or judged them since.

    Returns:
        Number of labels that are as before again.
    """
    run = load_run(view, key)
    changes = _changes(read_records(view, key), run, {ObjectId(sample_id) for sample_id in ids})
    back, _ = bring_labels_back(view, run.params["label_field"], changes)
    update_run(view, key, summary={**run.summary, "samples": max(0, run.summary["samples"] - back)})
    return back


def undo_label_review(view: Collection, run: SavedRun) -> Done:
    """Bring back what the review changed, as far as nobody has changed or judged it again since."""
    back, missing = 0, 0
    changes = _changes(read_records(view, run.key), run)
    for chunk in chunks(changes, CHUNK):
        part = {sample_id: changes[sample_id] for sample_id in chunk}
        returned, changed = bring_labels_back(view, run.params["label_field"], part)
        back, missing = back + returned, missing + changed
    mark_undone(view, run.key)
    return Done(run.key, back, notes_on_missing(missing))


def _changes(
    records: Iterable[Document], run: SavedRun, wanted: set[ObjectId] | None = None
) -> dict[ObjectId, LabelChange]:
    """Return sample id -> what the review made of its label, over all steps in a row.

    Where somebody else decided in between, only the steps since then count: theirs is not to be lost.
    """
    found: dict[ObjectId, LabelChange] = {}
    for record in records:
        sample_id, was = record["_id"], record["was"]
        if wanted is not None and sample_id not in wanted:
            continue
        decision = Decision(record["decision"], run.params["by"], record["at"], run.key)
        after = plain(decide(was, record["label"], decision))
        earlier = found.get(sample_id)
        if earlier is not None and alike(was, earlier.after):
            # What was not touched then has its first value now.
            found[sample_id] = LabelChange(earlier.was, after, record["findings"] | earlier.findings)
        else:
            found[sample_id] = LabelChange(was, after, record["findings"])
    return found


def _decided_in(run: SavedRun, label: Document) -> bool:
    """Whether the standing decision about a label was made in this review."""
    at, began = label.get("decided_at"), datetime.fromisoformat(run.params["at"]).replace(tzinfo=None)
    standing = label.get(DECISION) is not None and label.get(ABOUT) == label["label"]
    return standing and label.get("decided_by") == run.params["by"] and at is not None and at >= began
