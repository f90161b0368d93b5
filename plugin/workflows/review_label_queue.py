"""Labels that wait for a decision: flagged ones, the most suspicious first, or those that a model disagrees with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..datasets import runs
from ..datasets.documents import Document, read_documents
from ..datasets.fields import GIVEN
from ..datasets.label_decisions import ABOUT, ACCEPTED, CORRECTED, DECISION, KEPT, UNSURE
from ..datasets.label_kinds import known_classes
from ..datasets.label_reviews import LabelStep
from ..datasets.model_outputs import output_fields
from ..datasets.multi_labels import multi_label_fields
from ..datasets.predictions import check_prediction_field
from ..datasets.samples import chosen_label_field
from ..datasets.views import Collection, dataset_of, single_images
from ..errors import DataError
from .findings import LABEL_ISSUES_RUN
from .review_label_set_queue import LabelSetQueue
from .review_neighbours import Neighbour, nearest_good_labels
from .review_plan import IssueFields, issue_fields
from .review_queue import (
    Json,
    QueueState,
    Saved,
    Step,
    decision_json,
    grouped,
    in_words,
    is_settled_by_another,
    next_samples,
    splits_of,
    token,
)
from .review_sessions import save_labels, take_labels_back
from .review_terms import ACCEPT, KEEP, LABEL_STEPS, OTHER
from .review_terms import UNSURE as CALL_UNSURE

_STORED = {ACCEPT: ACCEPTED, KEEP: KEPT, OTHER: CORRECTED, CALL_UNSURE: UNSURE}
_WORDS = {stored: word for word, stored in _STORED.items()}
_MOST_CELLS = 200


@dataclass(frozen=True)
class LabelQueue:
    """Labels of a collection that wait for a decision.

    Attributes:
        view: The collection; only its samples wait.
        label_field: Field of the labels.
        suggestion: Field of what they might be instead; None = there is none any more.
        order: Field or attribute by which the labels are ordered; ties go by id.
        descending: Whether the largest value comes first.
        waits: MongoDB's condition for the labels that wait.
        shown_again: The same for those that wait and those that were decided.
        findings: Fields of the last search for label issues.
        are_predictions: Whether the suggestions are a model's predictions.
    """

    WORDS: ClassVar = LABEL_STEPS
    ITEM: ClassVar = "image"

    view: Collection
    label_field: str
    suggestion: str | None
    order: str
    descending: bool
    waits: Json
    shown_again: Json
    findings: IssueFields
    are_predictions: bool = False

    def state(self) -> QueueState:
        """Return how far the queue is."""
        images = single_images(self.view)
        decided: Json = {f"{self.label_field}.{DECISION}": {"$ne": None}}
        if self.are_predictions:
            decided = {"$and": [self.shown_again, {"$nor": [self.waits]}]}
        stale = None if self.are_predictions else runs.is_stale(self.view, LABEL_ISSUES_RUN)
        return QueueState(images.match(self.waits).count(), images.match(decided).count(), stale)

    def page(self, place: str | None, count: int, *, again: bool) -> Json:
        """Return the next items after a place, as `review_desk.page` does."""
        images = single_images(self.view)
        condition = self.shown_again if again else self.waits
        ids, following = next_samples(images, condition, self.order, place, count, descending=self.descending)
        return {"items": self.items(ids), "next": following, "waiting": images.match(self.waits).count()}

    def items(self, ids: Sequence[str]) -> list[Json]:
        """Return what a reviewer is shown of labels, in the order of their samples' ids given; those gone are not."""
        documents = self._read(ids)
        found = [key for key in ids if key in documents]
        splits = splits_of(self.view, found, None)
        near = nearest_good_labels(self.view, found, self.label_field, self.findings.issue)
        return [self._item(key, documents[key], splits.get(key), near.get(key, ())) for key in found]

    def save(self, steps: Mapping[str, Step], session: str | None, reviewer: str) -> Saved:
        """Put decisions into effect, in one action of the log for the whole session."""
        documents, classes = self._read(list(steps)), frozenset[str]()
        if any(step.decision == OTHER for step in steps.values()):
            classes = frozenset(known_classes(self.view, self.label_field))
        outcomes = {key: self._outcome(step, documents.get(key), reviewer, classes) for key, step in steps.items()}
        return save_labels(self.view, self.label_field, outcomes, session, reviewer)

    def back(self, session: str, keys: Sequence[str]) -> list[Json]:
        """Take decisions of a session back, and return the items as they are now."""
        take_labels_back(self.view, session, keys)
        return self.items(keys)

    def samples(self, keys: Sequence[str]) -> list[str]:
        """Return the ids of the samples behind items."""
        return list(keys)

    def _read(self, ids: Sequence[str]) -> dict[str, Document]:
        fields = [self.label_field, self.suggestion, self.findings.quality, self.findings.verdict, "filepath"]
        wanted = [field for field in fields if field is not None]
        return {str(key): held for key, held in read_documents(self.view, ids, wanted, {})}

    def _item(self, key: str, document: Document, split: str | None, near: Sequence[Neighbour]) -> Json:
        label = document.get(self.label_field) or {}
        suggested = self._suggestion(document)
        decision = _standing(label)
        at, by = label.get("decided_at"), label.get("decided_by")
        return {
            "key": key,
            "image": document["filepath"],
            "label": label.get("label"),
            "suggested": suggested.get("label"),
            "confidence": _rounded(suggested.get("confidence")),
            "quality": _rounded(document.get(self.findings.quality or "")),
            "verdict": document.get(self.findings.verdict or ""),
            "split": split,
            "decision": decision_json(_WORDS.get(decision, decision) if decision else None, by, at),
            "neighbours": [each.summary() for each in near],
            "seen": _seen(label),
        }

    def _suggestion(self, document: Document) -> Document:
        """Return what a label might be instead; nothing where it was changed since that was said."""
        suggested: Document = (document.get(self.suggestion) if self.suggestion else None) or {}
        given, label = suggested.get(GIVEN), (document.get(self.label_field) or {}).get("label")
        return {} if given is not None and label not in (given, suggested.get("label")) else suggested

    def _outcome(
        self, step: Step, document: Document | None, reviewer: str, classes: frozenset[str]
    ) -> LabelStep | str:
        """Return what a step comes to, or why it can't be done."""
        if document is None:
            return f"the {self.ITEM} is gone"
        return self._hindrance(step, document, reviewer, classes) or self._decided(step, document)

    def _hindrance(self, step: Step, document: Document, reviewer: str, classes: frozenset[str]) -> str | None:
        """Return why a step can't be done, None where it can."""
        label = document.get(self.label_field) or {}
        if label.get("label") is None:
            return f"the {self.ITEM} has no label any more"
        decision, by = _standing(label), label.get("decided_by")
        if decision is not None and is_settled_by_another(by, reviewer, step.seen, _seen(label)):
            return in_words(_WORDS.get(decision, decision), by, label.get("decided_at"))
        if decision is None and step.seen not in (None, _seen(label)):
            return f"the label was changed to '{label['label']}' meanwhile"
        if step.decision == ACCEPT and self._suggestion(document).get("label") is None:
            return "there is no suggestion for this label any more"
        if step.decision == OTHER and step.label not in classes:
            return f"the dataset has no class '{step.label}'"
        return None

    def _decided(self, step: Step, document: Document) -> LabelStep:
        label = document[self.label_field]["label"]
        if step.decision == ACCEPT:
            label = self._suggestion(document)["label"]
        elif step.decision == OTHER:
            label = step.label
        return LabelStep(_STORED[step.decision], label, self._findings_after(step.decision))

    def _findings_after(self, decision: str) -> dict[str, Any]:
        fields = self.findings
        after_it: dict[str | None, Any] = {fields.issue: False, fields.suggestion: None, fields.verdict: None}
        if decision != CALL_UNSURE:
            after_it[fields.quality] = 1.0
        return {name: value for name, value in after_it.items() if name is not None}


def flagged_labels(view: Collection) -> LabelQueue | LabelSetQueue | QueueState:
    """Return the queue of the labels that the last search for label issues flagged; a state where there can't be one.

    Raises:
        FieldError: It is open which field holds the labels.
    """
    findings = issue_fields(view)
    if findings.labels is None or findings.issue is None or findings.quality is None:
        return QueueState(run="find_label_issues", note="label issues were not looked for yet")
    if findings.labels in multi_label_fields(view):
        return LabelSetQueue(view, findings.labels, findings)
    flagged = {findings.issue: True}
    again = {"$or": [flagged, {f"{findings.labels}.{DECISION}": {"$ne": None}}]}
    return LabelQueue(view, findings.labels, findings.suggestion, findings.quality, False, flagged, again, findings)


def disputed_labels(
    view: Collection, prediction_field: str | None, cell: Mapping[str, str] | None
) -> LabelQueue | QueueState:
    """Return the queue of the labels that predictions disagree with, the surest prediction first.

    Args:
        view: The collection.
        prediction_field: Field of the predictions; None = the first one that there is.
        cell: `given` and `predicted` class of the cell of the confusion matrix that is meant; None = all but the
            diagonal.

    Raises:
        FieldError: It is open which field holds the labels, or the field of predictions can't be used.
        DataError: That is no cell.
    """
    if not (known := prediction_fields_of(view)):
        return QueueState(run="apply_classifier", note="there are no predictions of one class an image yet")
    label_field, field = chosen_label_field(view, None), prediction_field or known[0]
    check_prediction_field(view, field, label_field)
    label, predicted = f"{label_field}.label", f"{field}.label"
    if cell is not None and not {"given", "predicted"} <= set(cell):
        raise DataError(f"a cell of the confusion matrix is a `given` and a `predicted` class, got {dict(cell)}.")
    if cell is None:
        disputed: Json = _disputed(label, predicted)
    else:
        disputed = {label: cell["given"], predicted: cell["predicted"]}
    about = {"$ne": [f"${label_field}.{ABOUT}", f"${label}"]}
    open_ = {"$or": [{f"{label_field}.{DECISION}": None}, {"$expr": about}]}
    findings = issue_fields(view)
    return LabelQueue(
        view,
        label_field,
        field,
        f"{field}.confidence",
        True,
        {"$and": [disputed, open_]},
        disputed,
        findings if findings.labels == label_field else IssueFields(),
        are_predictions=True,
    )


def confusion_cells(view: Collection, prediction_field: str) -> list[Json]:
    """Return the cells of the confusion matrix off its diagonal, the largest first, at most 200."""
    label, predicted = f"{chosen_label_field(view, None)}.label", f"{prediction_field}.label"
    cells = grouped(
        single_images(view),
        _disputed(label, predicted),
        {"_id": {"given": f"${label}", "predicted": f"${predicted}"}, "count": {"$sum": 1}},
        [{"$sort": {"count": -1, "_id.given": 1, "_id.predicted": 1}}, {"$limit": _MOST_CELLS}],
    )
    return [{**cell["_id"], "count": cell["count"]} for cell in cells]


def prediction_fields_of(view: Collection) -> list[str]:
    """Return the fields of predictions of one class an image, Winnow's own first."""
    dataset = dataset_of(view)
    return [name for name in output_fields(view, None) if name not in multi_label_fields(dataset)]


def _disputed(label: str, predicted: str) -> Json:
    both = {label: {"$ne": None}, predicted: {"$ne": None}}
    return {"$and": [both, {"$expr": {"$ne": [f"${label}", f"${predicted}"]}}]}


def _standing(label: Document) -> str | None:
    """Return what was decided about a label, None where nothing was or where it has changed since."""
    return label.get(DECISION) if label.get(ABOUT) == label.get("label") else None


def _seen(label: Document) -> str:
    return token(*(label.get(name) for name in ("label", DECISION, "decided_by", "decided_at")))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
