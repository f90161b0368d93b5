"""What a review of labels would do where an image may have several: add, remove, confirm them or leave them open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..datasets.action_log import chunks
from ..datasets.label_changes import ADD, LabelChange, SampleChanges, read_changes
from ..datasets.multi_label_decisions import decided_labels
from ..datasets.views import Collection, every_image
from .choosing import Chosen
from .review_terms import ACCEPT, FORGET, KEEP, NO_SUGGESTION, NOT_SURE, RELABEL, SAME, UNSURE, Reason, listed
from .wording import counted

if TYPE_CHECKING:
    from .review_plan import IssueFields

_CHUNK = 20_000
_NOT_ANNOTATED = ("sample is not annotated", "samples are not annotated")


@dataclass(frozen=True)
class ChangePlan:
    """What a review would do to labels of images that may have several.

    A decision is about what is flagged: about one class of one image, present or absent. Nothing is decided about the
    classes of the image that no change is suggested for.

    Attributes:
        decision: One of `REVIEWS`.
        label_field: Field of the labels.
        labels: Sample id -> class -> whether the image has the label from now on, of what the review is about.
        new: Class, and "add" or "remove", of those labels that change.
        findings: Sample id -> field -> what it holds after the review.
        notes: What is left out, and why.
    """

    decision: str
    label_field: str
    labels: Mapping[str, Mapping[str, bool]]
    new: tuple[tuple[str, str], ...]
    findings: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...]

    def sentence(self, *, done: bool = False) -> str:
        """Say in numbers what will be done, or what was done."""
        decided = [cell for cells in self.labels.values() for cell in cells.items()]
        about = counted(len(decided), "label")
        if self.decision == ACCEPT:
            told = listed(f"{label} {'added' if change == ADD else 'removed'}" for label, change in self.new)
            return f"{'Changed' if done else 'Changes'} {counted(len(self.new), 'label')}{told}."
        if self.decision == RELABEL:
            return f"{'Tagged' if done else 'Tags'} {counted(len(self.labels), 'sample')} '{RELABEL}'."
        if self.decision == FORGET:
            return f"{'Forgot' if done else 'Forgets'} what was decided about {about}; the labels stay as they are."
        states = listed(f"{label} {'present' if there else 'absent'}" for label, there in decided)
        if self.decision == KEEP:
            return f"{'Confirmed' if done else 'Confirms'} {about} as right{states}."
        return f"{'Marked' if done else 'Marks'} {about} as unsure{states}."


def plan_changes(
    view: Collection, decision: str, chosen: Chosen, label_field: str, fields: IssueFields, above: float | None
) -> ChangePlan:
    """Return what a review of these samples would do.

    Args:
        view: The collection.
        decision: One of `REVIEWS`.
        chosen: Samples that it is about.
        label_field: Field of `fo.Classifications`.
        fields: Where the findings are.
        above: Only changes of this confidence or more.
    """
    if decision == FORGET:
        decided = decided_labels(every_image(view), label_field)
        cells = {key: decided[key] for key in chosen.ids}
        return ChangePlan(decision, label_field, cells, (), {}, chosen.notes)

    suggested = read_changes(view, fields.suggestion, chosen.ids) if fields.suggestion else {}
    labels: dict[str, dict[str, bool]] = {}
    findings: dict[str, dict[str, Any]] = {}
    new: list[tuple[str, str]] = []
    left_out: Counter[Reason] = Counter()
    for key, there in sorted(_present(view, label_field, chosen.ids).items()):
        found = suggested.get(key, SampleChanges(()))
        taken = [each for each in found.changes if above is None or each.confidence >= above]
        left_out[NOT_SURE] += len(found.changes) - len(taken)
        if decision == RELABEL and (taken or above is None):
            labels[key] = {}
        elif there is None:
            left_out[_NOT_ANNOTATED] += 1
        elif not found.changes:
            left_out[NO_SUGGESTION] += 1
        elif taken:
            labels[key] = {each.label: each.label in there for each in taken}
            unsure = {each.label for each in taken if decision == UNSURE}
            findings[key] = findings_after(fields, found, taken, unsure)
            if decision == ACCEPT:
                changing = [each for each in taken if labels[key][each.label] != (each.change == ADD)]
                new += [(each.label, each.change) for each in changing]
                left_out[SAME] += len(taken) - len(changing)
                labels[key] = {each.label: each.change == ADD for each in taken}
    notes = [counted(count, *reason) for reason, count in sorted(left_out.items()) if count]
    return ChangePlan(decision, label_field, labels, tuple(new), findings, (*chosen.notes, *notes))


def findings_after(
    fields: IssueFields, found: SampleChanges, taken: Sequence[LabelChange], unsure: Set[str]
) -> dict[str, Any]:
    """Return what the fields of the findings hold of a sample of which some changes were decided about.

    Args:
        fields: The fields.
        found: What was suggested.
        taken: The changes that were decided about.
        unsure: Classes of those of them that a person is unsure about: their quality stays.
    """
    rest = min([found.rest, *(round(1 - each.confidence, 4) for each in taken if each.label in unsure)])
    left = SampleChanges(tuple(each for each in found.changes if each not in taken), rest)
    after: dict[str | None, Any] = {fields.issue: bool(left.changes), fields.suggestion: left.document()}
    if not left.changes:
        after[fields.verdict] = None
    if any(each.label not in unsure for each in taken):
        after[fields.quality] = min([rest, *(round(1 - each.confidence, 4) for each in left.changes)])
    return {name: value for name, value in after.items() if name is not None}


def _present(view: Collection, label_field: str, ids: Sequence[str]) -> dict[str, set[str] | None]:
    """Return sample id -> the labels that it has, None = not annotated."""
    images, path = every_image(view), f"{label_field}.classifications.label"
    found: dict[str, set[str] | None] = {}
    for chunk in chunks(ids, _CHUNK):
        for key, names in zip(*images.select(chunk).values(["id", path]), strict=True):
            found[key] = None if names is None else set(names)
    return found
