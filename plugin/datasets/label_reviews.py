"""A review of labels: decisions one by one or in bulk, all of them one action of the log, which grows with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bson import ObjectId

from .action_log import Done, append_records, chunks, mark_undone, read_records, record_action
from .documents import CHUNK, Document, plain
from .label_decisions import ABOUT, BY, DECISION, Decision, decide
from .label_kinds import OF_DETECTIONS, Held, LabelChange, bring_back, kind_of
from .multi_label_decisions import DECISIONS, decide_label_set
from .relabelling import check_editable, notes_on_missing
from .runs import SavedRun, load_run, update_run
from .views import Collection

METHOD = "review_labels"


@dataclass(frozen=True)
class LabelStep:
    """What a reviewer decided about one label.

    Attributes:
        decision: One of those of `label_decisions`.
        label: The class that the label is from now on, possibly the same as before.
        findings: Field of Winnow's, of detections an attribute -> what it holds from now on.
    """

    decision: str
    label: str
    findings: Mapping[str, Any]

    def record(self) -> Document:
        """Return what the log keeps of it."""
        return {"decision": self.decision, "label": self.label}


@dataclass(frozen=True)
class LabelSetStep:
    """What a reviewer decided about the labels of an image that may have several.

    Attributes:
        cells: Class, whether the image has the label from now on, and the decision, of all that was decided about.
        findings: Field of Winnow's -> what it holds from now on.
    """

    cells: tuple[tuple[str, bool, str], ...]
    findings: Mapping[str, Any]

    def record(self) -> Document:
        """Return what the log keeps of it."""
        return {"cells": [list(cell) for cell in self.cells]}


Step: TypeAlias = LabelStep | LabelSetStep


def begin_label_review(view: Collection, label_field: str, by: str) -> str:
    """Begin a review of one person's, and return its key in the log.

    Raises:
        FieldError: The field is read-only, or the labels have attributes of the same names that are not Winnow's.
    """
    check_editable(view, label_field)
    kind_of(view, label_field).declare(view, label_field)
    params = {"label_field": label_field, "by": by, "at": datetime.now(UTC).replace(microsecond=0).isoformat()}
    return record_action(view, METHOD, params, 0, ())


def decide_each(view: Collection, key: str, steps: Mapping[str, Step]) -> int:
    """Put decisions into effect; what has no label, or whose label changes meanwhile, is passed over.

    Args:
        view: Any collection of the dataset.
        key: The review.
        steps: Sample id, of detections label id -> what was decided.

    Returns:
        Number of labels, or of images that may have several, that were decided about.
    """
    run = load_run(view, key)
    label_field = run.params["label_field"]
    check_editable(view, label_field)
    kind = kind_of(view, label_field)
    fields = sorted({field for step in steps.values() for field in step.findings})
    now = datetime.now(UTC).replace(microsecond=0)
    decided, samples = 0, run.summary["samples"]
    for chunk in chunks(sorted(steps), CHUNK):
        records, after, before = [], {}, {}
        for place, held in kind.read(view, label_field, chunk, fields):
            step = steps[str(place)]
            findings = {field: held.findings[field] for field in step.findings}
            record = {"_id": place, "was": held.label, **step.record(), "at": now, "findings": findings}
            records.append(record)
            after[place], before[place] = Held(_after(run, record), dict(step.findings)), held.label
            samples += not _decided_in(run, held.label)
        if not records:
            continue
        append_records(view, key, samples, records)
        decided += kind.write(view, label_field, after, before)
    return decided


def take_back(view: Collection, key: str, ids: Sequence[str]) -> int:
    """Bring labels back to what they were before the review, where nobody else changed or judged them since.

    Returns:
        Number of labels that are as before again.
    """
    run = load_run(view, key)
    changes = _changes(view, read_records(view, key), run, {ObjectId(place) for place in ids})
    back, _ = bring_back(view, run.params["label_field"], changes)
    update_run(view, key, summary={**run.summary, "samples": max(0, run.summary["samples"] - back)})
    return back


def undo_label_review(view: Collection, run: SavedRun) -> Done:
    """Bring back what the review changed, as far as nobody has changed or judged it again since."""
    back, missing = 0, 0
    changes = _changes(view, read_records(view, run.key), run)
    for chunk in chunks(changes, CHUNK):
        returned, changed = bring_back(view, run.params["label_field"], {place: changes[place] for place in chunk})
        back, missing = back + returned, missing + changed
    mark_undone(view, run.key)
    what = "detections" if kind_of(view, run.params["label_field"]) is OF_DETECTIONS else "samples"
    return Done(run.key, back, notes_on_missing(missing, what))


def _changes(
    view: Collection, records: Iterable[Document], run: SavedRun, wanted: set[ObjectId] | None = None
) -> dict[ObjectId, LabelChange]:
    """Return key -> what the review made of the label, over all steps in a row.

    Where somebody else decided in between, only the steps since then count: theirs is not to be lost.
    """
    kind = kind_of(view, run.params["label_field"])
    found: dict[ObjectId, LabelChange] = {}
    for record in records:
        place, was = record["_id"], record["was"]
        if wanted is not None and place not in wanted:
            continue
        after, earlier = plain(_after(run, record)), found.get(place)
        if earlier is not None and kind.alike(was, earlier.after):
            # What was not touched then has its first value now.
            found[place] = LabelChange(earlier.was, after, record["findings"] | earlier.findings)
        else:
            found[place] = LabelChange(was, after, record["findings"])
    return found


def _after(run: SavedRun, record: Document) -> Document:
    """Return the label of a record as its step leaves it."""
    label, by, at = record["was"], run.params["by"], record["at"]
    if "cells" not in record:
        return decide(label, record["label"], Decision(record["decision"], by, at, run.key))
    for name, there, decision in record["cells"]:
        label = decide_label_set(label, {name: there}, Decision(decision, by, at, run.key))
    return label


def _decided_in(run: SavedRun, label: Document) -> bool:
    """Whether a standing decision about a label, or about several of an image, was made in this review."""
    if any(each["run"] == run.key for each in label.get(DECISIONS) or ()):
        return True
    at, began = label.get("decided_at"), datetime.fromisoformat(run.params["at"]).replace(tzinfo=None)
    standing = label.get(DECISION) is not None and label.get(ABOUT) == label.get("label")
    return standing and label.get(BY) == run.params["by"] and at is not None and at >= began
