"""Changes labels to what a person decided, or only marks the decision, and takes both back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from ..errors import FieldError
from .action_log import Done, chunks, mark_undone, read_records, record_action
from .documents import CHUNK, Document, plain, read_documents, write_documents
from .label_decisions import TOUCHED, Decision, decide, declare_attributes
from .runs import SavedRun
from .views import Collection, dataset_of

METHOD = "decide_labels"


def decide_labels(
    view: Collection,
    label_field: str,
    ids: Sequence[str],
    decision: str | None,
    *,
    by: str,
    labels: Mapping[str, str] | None = None,
    findings: Mapping[str, Any] | None = None,
) -> Done:
    """Mark the labels of samples with a decision; samples that are gone or have no label are passed over.

    Args:
        view: Any collection of the dataset.
        label_field: Field of `fo.Classification`.
        ids: Sample ids.
        decision: One of those of `label_decisions`; None = forget what was decided.
        by: Name of the person.
        labels: Sample id -> new label; the others keep theirs.
        findings: Field of Winnow's -> what it holds of each of the samples from now on.

    Raises:
        FieldError: The field is read-only, or the labels have attributes of the same names that are not Winnow's.
    """
    check_editable(view, label_field)
    new, after = labels or {}, dict(findings or {})
    found = [str(key) for key, _ in labels_held(view, label_field, sorted(set(ids)))]
    if not found:
        return Done(None, 0)

    declare_attributes(view, label_field)
    at = datetime.now(UTC).replace(microsecond=0)
    params = {"decision": decision, "label_field": label_field, "by": by, "at": at.isoformat()}
    records = (
        {
            "_id": key,
            "was": held[label_field],
            "label": new.get(str(key), held[label_field]["label"]),
            "findings": {field: held.get(field) for field in after},
        }
        for key, held in labels_held(view, label_field, found, after)
    )
    run = record_action(view, METHOD, params, len(found), records)
    decided, written = decision_of(params, run), 0
    for chunk in chunks(read_records(view, run), CHUNK):
        labelled = {each["_id"]: decide(each["was"], each["label"], decided) for each in chunk}
        after_all = {key: {label_field: label} | after for key, label in labelled.items()}
        written += write_documents(view, after_all, {each["_id"]: {label_field: each["was"]} for each in chunk})
    return Done(run, written, changed_meanwhile(len(found) - written))


def undo_decision(view: Collection, run: SavedRun) -> Done:
    """Bring back labels, attributes and findings of the samples whose label nobody has changed or judged since."""
    decided = decision_of(run.params, run.key)
    back, missing = 0, 0
    for chunk in chunks(read_records(view, run.key), CHUNK):
        changes = {
            record["_id"]: LabelChange(
                record["was"], plain(decide(record["was"], record["label"], decided)), record["findings"]
            )
            for record in chunk
        }
        returned, changed = bring_labels_back(view, run.params["label_field"], changes)
        back, missing = back + returned, missing + changed
    mark_undone(view, run.key)
    return Done(run.key, back, notes_on_missing(missing))


@dataclass(frozen=True)
class LabelChange:
    """What was made of a label, and of the findings about it.

    Attributes:
        was: The label's document before.
        after: The label's document after.
        findings: Field of Winnow's -> what it held before.
    """

    was: Document
    after: Document
    findings: Document


def bring_labels_back(view: Collection, label_field: str, changes: Mapping[ObjectId, LabelChange]) -> tuple[int, int]:
    """Undo changes of labels; what a person attached to them since stays.

    Returns:
        How many labels are as before again, and how many are gone, or were changed or judged again since.
    """
    dataset, missing = dataset_of(view), 0
    held = dict(labels_held(view, label_field, [str(key) for key in changes]))
    returning: dict[ObjectId, Document] = {}
    for key, change in changes.items():
        label = held.get(key, {}).get(label_field)
        if label is None or not alike(label, change.after):
            missing += not (label and alike(label, change.was))  # as it was: the action was cut off before it
            continue
        others = {name: value for name, value in label.items() if name not in TOUCHED}
        findings = {field: value for field, value in change.findings.items() if dataset.has_field(field)}
        label = others | {name: change.was[name] for name in TOUCHED if name in change.was}
        returning[key] = {label_field: label} | findings
    write_documents(view, returning)
    return len(returning), missing


def notes_on_missing(missing: int) -> tuple[str, ...]:
    """Return a note on the labels that stay as they are, where there are any."""
    return (f"{missing} samples are gone, or their label was changed or judged again since",) * (missing > 0)


def check_editable(view: Collection, label_field: str) -> None:
    """Make sure that labels can be changed.

    Raises:
        FieldError: The field is read-only.
    """
    if dataset_of(view).get_field(label_field).read_only:
        raise FieldError(f"field '{label_field}' is read-only, so nothing is decided about it. Make it editable first.")


def changed_meanwhile(count: int) -> tuple[str, ...]:
    """Return a note about samples that were passed over, as another process changed their label at the same moment."""
    return (f"{count} labels were changed by somebody else meanwhile, and are left as they are now",) * (count > 0)


def decision_of(params: Mapping[str, Any], run: str) -> Decision:
    """Return the decision that a run's parameters tell of."""
    return Decision(params["decision"], params["by"], datetime.fromisoformat(params["at"]), run)


def labels_held(
    view: Collection, label_field: str, ids: Sequence[str], more: Iterable[str] = ()
) -> Iterator[tuple[ObjectId, Document]]:
    """Yield those samples that exist and have a label, by id, each with the label and the other fields."""
    return read_documents(view, ids, [label_field, *more], {f"{label_field}.label": {"$ne": None}})


def alike(label: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two documents of a label are the same in all that a decision may change."""
    return all(label.get(name) == other.get(name) for name in TOUCHED)
