"""Changes the labels of images that have several to what a person decided, or only marks it, and takes both back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .action_log import Done, chunks, mark_undone, read_records, record_action
from .documents import CHUNK, Document, plain
from .label_kinds import SEVERAL_AN_IMAGE, Held, LabelChange, bring_back
from .multi_label_decisions import decide_label_set
from .relabelling import changed_meanwhile, check_editable, decision_of, notes_on_missing
from .runs import SavedRun
from .views import Collection

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
    found = [str(key) for key, _ in SEVERAL_AN_IMAGE.read(view, label_field, sorted(cells))]
    if not found:
        return Done(None, 0)

    SEVERAL_AN_IMAGE.declare(view, label_field)
    at = datetime.now(UTC).replace(microsecond=0)
    params = {"decision": decision, "label_field": label_field, "by": by, "at": at.isoformat()}
    records = (
        {
            "_id": key,
            "was": held.label,
            "cells": sorted(cells[str(key)].items()),  # pairs, as a class may have a name that no key can have
            "findings": {field: held.findings[field] for field in findings.get(str(key), {})},
            "after": dict(findings.get(str(key), {})),
        }
        for key, held in SEVERAL_AN_IMAGE.read(view, label_field, found, fields)
    )
    run = record_action(view, METHOD, params, len(found), records)
    written = 0
    for chunk in chunks(read_records(view, run), CHUNK):
        after = {each["_id"]: Held(_decided(each, params, run), each["after"]) for each in chunk}
        written += SEVERAL_AN_IMAGE.write(view, label_field, after, {each["_id"]: each["was"] for each in chunk})
    return Done(run, written, changed_meanwhile(len(found) - written))


def undo_label_sets(view: Collection, run: SavedRun) -> Done:
    """Bring back labels, decisions and findings of the samples whose labels nobody has changed or judged since."""
    back, missing = 0, 0
    for chunk in chunks(read_records(view, run.key), CHUNK):
        changes = {
            record["_id"]: LabelChange(record["was"], plain(_decided(record, run.params, run.key)), record["findings"])
            for record in chunk
        }
        returned, changed = bring_back(view, run.params["label_field"], changes)
        back, missing = back + returned, missing + changed
    mark_undone(view, run.key)
    return Done(run.key, back, notes_on_missing(missing))


def _decided(record: Mapping[str, Any], params: Mapping[str, Any], run: str) -> Document:
    """Return the labels of a record as the action leaves them."""
    return decide_label_set(record["was"], dict(record["cells"]), decision_of(params, run))
