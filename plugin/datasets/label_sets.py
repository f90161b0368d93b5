"""Changes the labels of images that have several to what a person decided, or only marks it, and takes both back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from .action_log import Done, chunks, mark_undone, read_records, record_action
from .documents import CHUNK, Document, plain, read_documents, write_documents
from .multi_label_decisions import decide_label_set, declare_decisions, earlier_label_set, same_label_set
from .relabelling import changed_meanwhile, check_editable, decision_of
from .runs import SavedRun
from .views import Collection, dataset_of

METHOD = "decide_label_sets"


def decide_label_sets(
    view: Collection,
    label_field: str,
    cells: Mapping[str, Mapping[str, bool]],
    decision: str | None,
    *,
    by: str,
    findings: Mapping[str, Mapping[str, Any]],
) -> Done:
    """Add and remove labels, and mark them with a decision; samples that are gone or not annotated are passed over.

    Args:
        view: Any collection of the dataset.
        label_field: Field of `fo.Classifications`.
        cells: Sample id -> class -> whether the image has the label from now on, possibly the same as before.
        decision: One of those of `label_decisions`; None = forget what was decided.
        by: Name of the person.
        findings: Sample id -> field of Winnow's -> what it holds from now on.

    Raises:
        FieldError: The field is read-only, or the labels have attributes of the same names that are not Winnow's.
    """
    check_editable(view, label_field)
    fields = sorted({field for after in findings.values() for field in after})
    found = [str(key) for key, _ in _label_sets(view, label_field, sorted(cells))]
    if not found:
        return Done(None, 0)

    declare_decisions(view, label_field)
    at = datetime.now(UTC).replace(microsecond=0)
    params = {"decision": decision, "label_field": label_field, "by": by, "at": at.isoformat()}
    records = (
        {
            "_id": key,
            "was": held[label_field],
            "cells": sorted(cells[str(key)].items()),  # pairs, as a class may have a name that no key can have
            "findings": {field: held.get(field) for field in findings.get(str(key), {})},
            "after": dict(findings.get(str(key), {})),
        }
        for key, held in _label_sets(view, label_field, found, fields)
    )
    run = record_action(view, METHOD, params, len(found), records)
    written = 0
    for chunk in chunks(read_records(view, run), CHUNK):
        after = {each["_id"]: {label_field: _decided(each, params, run)} | each["after"] for each in chunk}
        written += write_documents(view, after, {each["_id"]: {label_field: each["was"]} for each in chunk})
    return Done(run, written, changed_meanwhile(len(found) - written))


def undo_label_sets(view: Collection, run: SavedRun) -> Done:
    """Bring back labels, decisions and findings of the samples whose labels nobody has changed or judged since."""
    dataset, label_field = dataset_of(view), run.params["label_field"]
    back, missing = 0, 0
    for chunk in chunks(read_records(view, run.key), CHUNK):
        held = dict(_label_sets(view, label_field, [str(record["_id"]) for record in chunk]))
        returning: dict[ObjectId, Document] = {}
        for record in chunk:
            labels = held.get(record["_id"], {}).get(label_field)
            if labels is None or not same_label_set(labels, plain(_decided(record, run.params, run.key))):
                # As it was: the action was cut off before it.
                missing += not (labels and same_label_set(labels, record["was"]))
                continue
            findings = {field: value for field, value in record["findings"].items() if dataset.has_field(field)}
            returning[record["_id"]] = {label_field: earlier_label_set(labels, record["was"])} | findings
        write_documents(view, returning)
        back += len(returning)
    mark_undone(view, run.key)
    note = f"{missing} samples are gone, or their labels were changed or judged again since"
    return Done(run.key, back, (note,) * (missing > 0))


def _decided(record: Mapping[str, Any], params: Mapping[str, Any], run: str) -> Document:
    """Return the labels of a record as the action leaves them."""
    return decide_label_set(record["was"], dict(record["cells"]), decision_of(params, run))


def _label_sets(
    view: Collection, label_field: str, ids: Sequence[str], more: Iterable[str] = ()
) -> Iterator[tuple[ObjectId, Document]]:
    """Yield those samples that exist and are annotated, by id, each with its labels and the other fields."""
    return read_documents(view, ids, [label_field, *more], {label_field: {"$ne": None}})
