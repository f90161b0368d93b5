"""Changes labels of detections to what a person decided, or only marks the decision, and takes both back.

As `relabelling` does it with one label an image; here a label is found by its own id, and what was found about it is
part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from .action_log import Done, chunks, mark_undone, read_records, record_action
from .documents import CHUNK, Document, plain
from .group_views import renew_patches
from .label_decisions import TOUCHED, decide, declare_attributes
from .patches import label_path
from .relabelling import check_editable, decision_of
from .runs import SavedRun
from .views import Collection, dataset_of

METHOD = "decide_patch_labels"


def decide_patches(
    view: Collection,
    field: str,
    ids: Sequence[str],
    decision: str | None,
    *,
    by: str,
    labels: Mapping[str, str] | None = None,
    findings: Mapping[str, Any] | None = None,
) -> Done:
    """Mark labels of detections with a decision; those that are gone or have no label are passed over.

    Args:
        view: Any collection of the dataset.
        field: Field of detections.
        ids: Label ids.
        decision: One of those of `label_decisions`; None = forget what was decided.
        by: Name of the person.
        labels: Label id -> new class; the others keep theirs.
        findings: Attribute of Winnow's -> what each of the labels holds there from now on.

    Raises:
        FieldError: The field is read-only, or the labels have attributes of the same names that are not Winnow's.
    """
    check_editable(view, field)
    new, after = labels or {}, dict(findings or {})
    found = [str(label["_id"]) for _, label in _labels(view, field, sorted(set(ids)))]
    if not found:
        return Done(None, 0)

    declare_attributes(view, label_path(view, field))
    at = datetime.now(UTC).replace(microsecond=0)
    params = {"decision": decision, "label_field": field, "by": by, "at": at.isoformat()}
    kept = (*TOUCHED, *after)
    records = (
        {
            "_id": label["_id"],
            "was": {name: label[name] for name in kept if name in label},
            "label": new.get(str(label["_id"]), label["label"]),
            "findings": list(after),
        }
        for _, label in _labels(view, field, found)
    )
    run = record_action(view, METHOD, params, len(found), records)
    decided = decision_of(params, run)
    for chunk in chunks(read_records(view, run), CHUNK):
        of_label = {record["_id"]: record for record in chunk}
        changes = []
        for sample_id, held in _labels(view, field, [str(key) for key in of_label]):
            record = of_label[held["_id"]]
            label = decide(record["was"], record["label"], decided) | after
            changes.append((sample_id, _replaced(held, kept, label)))
        _write(view, field, changes)
    renew_patches(view)
    return Done(run, len(found))


def undo_patch_decision(view: Collection, run: SavedRun) -> Done:
    """Bring back the labels, attributes and findings of detections that nobody has changed or judged since."""
    dataset, field, decided = dataset_of(view), run.params["label_field"], decision_of(run.params, run.key)
    path, back, missing = label_path(view, field), 0, 0
    for chunk in chunks(read_records(view, run.key), CHUNK):
        held = {label["_id"]: (key, label) for key, label in _labels(view, field, [str(each["_id"]) for each in chunk])}
        changes = []
        for record in chunk:
            was, (sample_id, label) = record["was"], held.get(record["_id"], (None, {}))
            if sample_id is None or not _alike(label, plain(decide(was, record["label"], decided))):
                missing += not _alike(label, was)  # as it was: the action was cut off before it
                continue
            findings = [name for name in record["findings"] if dataset.has_field(f"{path}.{name}")]
            kept = (*TOUCHED, *findings)
            returning = {name: was[name] for name in kept if name in was}
            changes.append((sample_id, _replaced(label, kept, returning)))
        _write(view, field, changes)
        back += len(changes)
    renew_patches(view)
    mark_undone(view, run.key)
    note = f"detections that are gone, or whose label was changed or judged again since: {missing}"
    return Done(run.key, back, (note,) * (missing > 0))


def _labels(view: Collection, field: str, ids: Sequence[str]) -> Iterator[tuple[ObjectId, Document]]:
    """Yield those detections of the dataset that exist and have a label, each with the id of its sample."""
    path, collection = label_path(view, field), dataset_of(view)._sample_collection
    for chunk in chunks(ids, CHUNK):
        wanted = {ObjectId(key) for key in chunk}
        for document in collection.find({f"{path}._id": {"$in": list(wanted)}}, [field]).sort("_id"):
            held = document[field] if path == field else document[field]["detections"]
            for label in [held] if path == field else held:
                if label["_id"] in wanted and label.get("label") is not None:
                    yield document["_id"], plain(label)


def _replaced(held: Document, names: Sequence[str], values: Mapping[str, Any]) -> Document:
    """Return a label with these values in place of what it holds under these names."""
    return {name: value for name, value in held.items() if name not in names} | dict(values)


def _write(view: Collection, field: str, labels: Sequence[tuple[ObjectId, Document]]) -> None:
    """Put detections in the place of those of the same id, and renew the samples that are in memory."""
    path, now = label_path(view, field), datetime.now(UTC)
    place = field if path == field else f"{path}.$"
    changes = [
        UpdateOne({"_id": key, f"{path}._id": label["_id"]}, {"$set": {place: label, "last_modified_at": now}})
        for key, label in labels
    ]
    if changes:
        dataset_of(view)._bulk_write(changes, ids=sorted({str(key) for key, _ in labels}))


def _alike(label: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(label.get(name) == other.get(name) for name in TOUCHED)
