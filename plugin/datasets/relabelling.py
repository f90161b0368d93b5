"""Changes labels to what a person decided, or only marks the decision, and takes both back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import bson
import fiftyone as fo
from bson import ObjectId

from .action_log import Done, chunks, mark_undone, read_records, record_action
from .label_decisions import TOUCHED, Decision, decide, declare_attributes
from .runs import SavedRun
from .views import Collection, every_image

METHOD = "decide_labels"
_CHUNK = 20_000


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
        FieldError: The labels have attributes of the same names that are not Winnow's.
    """
    images, fields = every_image(view), dict(findings or {})
    found: list[str] = []
    for chunk in chunks(sorted(set(ids)), _CHUNK):
        keys, held = images.select(chunk).values(["id", f"{label_field}.label"])
        found += [key for key, label in zip(keys, held, strict=True) if label is not None]
    if not found:
        return Done(None, 0)

    declare_attributes(images, label_field)
    at = datetime.now(UTC).replace(microsecond=0)
    params = {"decision": decision, "label_field": label_field, "by": by, "at": at.isoformat()}
    key = record_action(
        images, METHOD, params, len(found), _records(images, label_field, found, labels or {}, list(fields))
    )
    decided = _decision(params, key)
    for records in chunks(read_records(images, key), _CHUNK):
        changed = {str(each["_id"]): decide(each["was"], each["label"], decided) for each in records}
        _write_labels(images, label_field, changed)
        for field, value in fields.items():
            images.set_values(field, dict.fromkeys(changed, value), key_field="id")
    return Done(key, len(found))


def undo_decision(view: Collection, run: SavedRun) -> Done:
    """Bring back labels, attributes and findings of the samples whose label nobody has changed or judged since."""
    images, label_field = every_image(view), run.params["label_field"]
    decided, back, missing = _decision(run.params, run.key), 0, 0
    for records in chunks(read_records(images, run.key), _CHUNK):
        held = dict(_labels(images, label_field, [str(record["_id"]) for record in records]))
        returning: dict[str, dict[str, Any]] = {}
        findings: dict[str, dict[str, Any]] = {}
        for record in records:
            key, was = str(record["_id"]), record["was"]
            label = held.get(key)
            if label is None or not _alike(label, _plain(decide(was, record["label"], decided))):
                missing += not (label and _alike(label, was))  # as it was: the action was cut off before it
                continue
            others = {name: value for name, value in label.items() if name not in TOUCHED}
            returning[key] = others | {name: was[name] for name in TOUCHED if name in was}
            findings[key] = record["findings"]
        _write_labels(images, label_field, returning)
        _write_findings(images, findings)
        back += len(returning)
    mark_undone(images, run.key)
    note = f"{missing} samples are gone, or their label was changed or judged again since"
    return Done(run.key, back, (note,) * (missing > 0))


def _decision(params: Mapping[str, Any], run: str) -> Decision:
    return Decision(params["decision"], params["by"], datetime.fromisoformat(params["at"]), run)


def _records(
    images: Collection, label_field: str, ids: Sequence[str], labels: Mapping[str, str], fields: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield what each sample holds now, and the label that it is to get."""
    for chunk in chunks(ids, _CHUNK):
        held = images.select(chunk).values(["id", *fields])
        findings = {
            key: {field: _stored(value) for field, value in zip(fields, values, strict=True)}
            for key, *values in zip(*held, strict=True)
        }
        for key, was in _labels(images, label_field, chunk):
            new = labels.get(key, was["label"])
            yield {"_id": ObjectId(key), "was": was, "label": new, "findings": findings[key]}


def _labels(images: Collection, label_field: str, ids: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the samples that have a label, each with the label's document."""
    for key, label in zip(*images.select(list(ids)).values(["id", label_field]), strict=True):
        if label is not None and label.label is not None:
            yield key, _plain(label.to_dict())


def _write_labels(images: Collection, label_field: str, documents: Mapping[str, dict[str, Any]]) -> None:
    labels = {key: fo.Classification.from_dict(document) for key, document in documents.items()}
    images.set_values(label_field, labels, key_field="id")


def _write_findings(images: Collection, findings: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the fields that still exist."""
    for field in sorted({field for held in findings.values() for field in held}):
        if images.has_field(field):
            values = {key: _restored(held[field]) for key, held in findings.items()}
            images.set_values(field, values, key_field="id")


def _stored(value: Any) -> Any:
    return _plain(value.to_dict()) if isinstance(value, fo.Classification) else value


def _restored(value: Any) -> Any:
    return fo.Classification.from_dict(value) if isinstance(value, dict) else value


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as the database keeps it: times without a zone, for one."""
    return bson.decode(bson.encode(document))


def _alike(label: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(label.get(name) == other.get(name) for name in TOUCHED)
