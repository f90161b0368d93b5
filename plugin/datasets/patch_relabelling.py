"""Changes labels of detections to what a person decided, or only marks the decision, and takes both back.

As `relabelling` does it with one label an image; here a label is found by its own id, and what was found about it is
part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .action_log import Done, chunks, mark_undone, read_records, record_action
from .documents import CHUNK, plain
from .label_decisions import TOUCHED, decide
from .label_kinds import OF_DETECTIONS, Held, LabelChange, bring_back
from .relabelling import changed_meanwhile, check_editable, decision_of, notes_on_missing
from .runs import SavedRun
from .views import Collection

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
    found = [str(key) for key, _ in OF_DETECTIONS.read(view, field, sorted(set(ids)))]
    if not found:
        return Done(None, 0)

    OF_DETECTIONS.declare(view, field)
    at = datetime.now(UTC).replace(microsecond=0)
    params = {"decision": decision, "label_field": field, "by": by, "at": at.isoformat()}
    records = (
        {
            "_id": key,
            "was": {name: held.label[name] for name in (*TOUCHED, *after) if name in held.label},
            "label": new.get(str(key), held.label["label"]),
            "findings": list(after),
        }
        for key, held in OF_DETECTIONS.read(view, field, found)
    )
    run = record_action(view, METHOD, params, len(found), records)
    decided, written = decision_of(params, run), 0
    for chunk in chunks(read_records(view, run), CHUNK):
        labelled = {each["_id"]: Held(decide(each["was"], each["label"], decided), after) for each in chunk}
        written += OF_DETECTIONS.write(view, field, labelled, {each["_id"]: each["was"] for each in chunk})
    return Done(run, written, changed_meanwhile(len(found) - written))


def undo_patch_decision(view: Collection, run: SavedRun) -> Done:
    """Bring back the labels, attributes and findings of detections that nobody has changed or judged since."""
    decided, back, missing = decision_of(run.params, run.key), 0, 0
    for chunk in chunks(read_records(view, run.key), CHUNK):
        changes = {
            record["_id"]: LabelChange(
                record["was"],
                plain(decide(record["was"], record["label"], decided)),
                {name: record["was"].get(name) for name in record["findings"]},
            )
            for record in chunk
        }
        returned, changed = bring_back(view, run.params["label_field"], changes)
        back, missing = back + returned, missing + changed
    mark_undone(view, run.key)
    return Done(run.key, back, notes_on_missing(missing, "detections"))
