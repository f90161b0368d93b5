"""Images that may have several labels and wait for a decision: what is suggested to be added to them, or removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..datasets import runs
from ..datasets.documents import Document, read_documents
from ..datasets.label_changes import ADD, LabelChange, SampleChanges, read_changes
from ..datasets.label_decisions import ACCEPTED, KEPT, UNSURE
from ..datasets.label_kinds import known_classes
from ..datasets.label_reviews import LabelSetStep
from ..datasets.multi_label_decisions import DECISIONS, names_of, standing_decisions
from ..datasets.views import Collection, single_images
from .change_plan import findings_after
from .findings import LABEL_ISSUES_RUN
from .review_neighbours import Neighbour, nearest_good_labels
from .review_plan import IssueFields
from .review_queue import (
    Json,
    QueueState,
    Saved,
    Step,
    decision_json,
    in_words,
    is_settled_by_another,
    next_samples,
    splits_of,
    token,
)
from .review_sessions import save_labels, take_labels_back
from .review_terms import ACCEPT, KEEP, LABEL_SET_STEPS, MARK
from .review_terms import UNSURE as CALL_UNSURE

_STORED = {ACCEPT: ACCEPTED, KEEP: KEPT, CALL_UNSURE: UNSURE}
_WORDS = {stored: word for word, stored in _STORED.items()}


@dataclass(frozen=True)
class LabelSetQueue:
    """Images of a collection for which changes of their labels are suggested, the most suspicious first.

    An item is an image with all that is suggested for it, so that it is looked at once.

    Attributes:
        view: The collection; only its samples wait.
        label_field: Field of `fo.Classifications`.
        findings: Fields of the last search for label issues.
    """

    WORDS: ClassVar = LABEL_SET_STEPS

    view: Collection
    label_field: str
    findings: IssueFields

    def state(self) -> QueueState:
        """Return how far the queue is, in images."""
        images = single_images(self.view)
        stale = runs.is_stale(self.view, LABEL_ISSUES_RUN)
        decided = images.match(self._decided).count()
        return QueueState(images.match(self._waits).count(), decided, stale, several=True)

    def page(self, place: str | None, count: int, *, again: bool) -> Json:
        """Return the next items after a place, as `review_desk.page` does."""
        images = single_images(self.view)
        condition = {"$or": [self._waits, self._decided]} if again else self._waits
        ids, following = next_samples(images, condition, str(self.findings.quality), place, count)
        return {"items": self.items(ids), "next": following, "waiting": images.match(self._waits).count()}

    def items(self, ids: Sequence[str]) -> list[Json]:
        """Return what a reviewer is shown of images, in the order of their ids; those gone are not."""
        documents, suggested = self._read(ids)
        found = [key for key in ids if key in documents]
        splits = splits_of(self.view, found, None)
        near = nearest_good_labels(self.view, found, self.label_field, self.findings.issue)
        return [
            self._item(key, documents[key], suggested.get(key), splits.get(key), near.get(key, ())) for key in found
        ]

    def save(self, steps: Mapping[str, Step], session: str | None, reviewer: str) -> Saved:
        """Put decisions into effect, in one action of the log for the whole session."""
        documents, suggested = self._read(list(steps))
        classes = frozenset(known_classes(self.view, self.label_field))
        outcomes = {
            key: self._outcome(step, documents.get(key), suggested.get(key, SampleChanges(())), reviewer, classes)
            for key, step in steps.items()
        }
        return save_labels(self.view, self.label_field, outcomes, session, reviewer)

    def back(self, session: str, keys: Sequence[str]) -> list[Json]:
        """Take decisions of a session back, and return the items as they are now."""
        take_labels_back(self.view, session, keys)
        return self.items(keys)

    def samples(self, keys: Sequence[str]) -> list[str]:
        """Return the ids of the samples behind items."""
        return list(keys)

    @property
    def _waits(self) -> Json:
        return {str(self.findings.issue): True}

    @property
    def _decided(self) -> Json:
        return {f"{self.label_field}.{DECISIONS}.0": {"$exists": True}}

    def _read(self, ids: Sequence[str]) -> tuple[dict[str, Document], dict[str, SampleChanges]]:
        """Return sample id -> document, and sample id -> the suggested changes that nobody has made meanwhile."""
        fields = [self.label_field, "filepath", self.findings.quality, self.findings.verdict]
        documents = {
            str(key): held for key, held in read_documents(self.view, ids, [name for name in fields if name], {})
        }
        changes = read_changes(self.view, self.findings.suggestion, ids) if self.findings.suggestion else {}
        open_ = {}
        for key, found in changes.items():
            there = names_of(documents.get(key, {}).get(self.label_field) or {})
            left = tuple(each for each in found.changes if (each.label in there) != (each.change == ADD))
            open_[key] = SampleChanges(left, found.rest)
        return documents, open_

    def _item(
        self,
        key: str,
        document: Document,
        suggested: SampleChanges | None,
        split: str | None,
        near: Sequence[Neighbour],
    ) -> Json:
        labels = document.get(self.label_field) or {}
        standing = standing_decisions(labels)
        last = standing[-1] if standing else {}
        words = {_WORDS[each["decision"]] for each in standing}
        return {
            "key": key,
            "image": document["filepath"],
            "labels": sorted(names_of(labels)),
            "changes": [_change(each) for each in (suggested.changes if suggested else ())],
            "quality": _rounded(document.get(self.findings.quality or "")),
            "verdict": document.get(self.findings.verdict or ""),
            "split": split,
            "decision": decision_json(_together(words), last.get("by"), last.get("at")),
            "neighbours": [each.summary() for each in near],
            "seen": _seen(labels),
        }

    def _outcome(
        self,
        step: Step,
        document: Document | None,
        suggested: SampleChanges,
        reviewer: str,
        classes: frozenset[str],
    ) -> LabelSetStep | str:
        """Return what a step comes to, or why it can't be done."""
        if document is None:
            return "the image is gone"
        labels = document.get(self.label_field)
        if labels is None:
            return "the image is not annotated any more"
        return self._hindrance(step, labels, suggested, reviewer, classes) or self._decide(
            step, names_of(labels), suggested
        )

    def _hindrance(
        self, step: Step, labels: Document, suggested: SampleChanges, reviewer: str, classes: frozenset[str]
    ) -> str | None:
        """Return why a step can't be done, None where it can."""
        now, standing = _seen(labels), standing_decisions(labels)
        if standing and is_settled_by_another(standing[-1]["by"], reviewer, step.seen, now):
            word = _together({_WORDS[each["decision"]] for each in standing})
            return in_words(str(word), standing[-1]["by"], standing[-1]["at"])
        if not standing and step.seen not in (None, now):
            return f"the labels were changed to {_listed(labels)} meanwhile"
        known = {each.label for each in suggested.changes} | classes
        marks = step.marks or {}
        if step.decision == MARK:
            if unknown := sorted(set(marks) - known):
                return f"the dataset has no class '{unknown[0]}'"
            if wrong := sorted(set(marks.values()) - set(_STORED)):
                return f"'{wrong[0]}' can't be decided about a class"
        about = {MARK: bool(marks), ACCEPT: bool(suggested.changes)}  # keeping what is there can always be decided
        if not about.get(step.decision, True):
            return "nothing is suggested for this image any more"
        return None

    def _decide(self, step: Step, there: frozenset[str], suggested: SampleChanges) -> LabelSetStep:
        words = step.marks or {}
        if step.decision != MARK:
            words = {each.label: step.decision for each in suggested.changes}
        # What is accepted is the contrary of what is there: a change suggests that, and who names a class asks for it.
        cells = tuple(
            (name, (name in there) != (word == ACCEPT), _STORED[word]) for name, word in sorted(words.items())
        )
        taken = [each for each in suggested.changes if each.label in words]
        unsure = {name for name, word in words.items() if word == CALL_UNSURE}
        settles = taken or not suggested.changes  # somebody may have made all of the changes meanwhile
        findings = findings_after(self.findings, suggested, taken, unsure) if settles else {}
        return LabelSetStep(cells, findings)


def _together(words: set[str]) -> str | None:
    """Return the word for what was decided about an image: that of all its decisions, or that they differ."""
    return next(iter(words), None) if len(words) < 2 else MARK


def _change(change: LabelChange) -> Json:
    return {"label": change.label, "change": change.change, "confidence": _rounded(change.confidence)}


def _seen(labels: Document) -> str:
    return token(sorted(names_of(labels)), labels.get(DECISIONS) or [])


def _listed(labels: Document) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names_of(labels))) or "none"


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 4)
