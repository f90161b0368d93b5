"""What a review does with labels that were judged one by one, whether they are those of images or of patches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .review_terms import ACCEPT, KEEP, NO_SUGGESTION, NOT_SURE, RELABEL, SAME, UNSURE, Reason, listed
from .wording import counted

_NO_LABEL = ("sample has no label", "samples have no label")
_CHANGED = ("label was changed since it was judged", "labels were changed since they were judged")


@dataclass(frozen=True)
class ReviewPlan:
    """What a review would do.

    Attributes:
        decision: One of `REVIEWS`.
        label_field: Field of the labels.
        labels: Sample id -> its label, "" = none, of the samples that it is about.
        new: Sample id -> the label that it is to get, where that is another.
        notes: What is left out, and why.
        unit: "image", or "patch": the ids are those of the labels of detections, and `label_field` is their field.
    """

    decision: str
    label_field: str
    labels: Mapping[str, str]
    new: Mapping[str, str]
    notes: tuple[str, ...]
    unit: str = "image"

    def sentence(self, *, done: bool = False) -> str:
        """Say in numbers what will be done, or what was done."""
        about = counted(len(self.labels), "label")
        if self.decision == ACCEPT:
            pairs = (f"{self.labels[key]} → {label}" for key, label in self.new.items())
            return f"{'Changed' if done else 'Changes'} {counted(len(self.new), 'label')}{listed(pairs)}."
        if self.decision == KEEP:
            return f"{'Confirmed' if done else 'Confirms'} {about} as right{listed(self.labels.values())}."
        if self.decision == UNSURE:
            return f"{'Marked' if done else 'Marks'} {about} as unsure{listed(self.labels.values())}."
        if self.decision == RELABEL:
            return f"{'Tagged' if done else 'Tags'} {counted(len(self.labels), 'sample')} '{RELABEL}'."
        return f"{'Forgot' if done else 'Forgets'} what was decided about {about}; the labels stay as they are."


@dataclass(frozen=True)
class Judged:
    """A label as the last search for label issues left it.

    Attributes:
        label: The class.
        suggested: The class that was suggested, with its confidence in 0..1.
        confidence: See there.
        given: The class that was judged; None where that is not known.
    """

    label: str | None
    suggested: str | None = None
    confidence: float | None = None
    given: str | None = None


def plan_of(
    judged: Mapping[str, Judged],
    decision: str,
    above: float | None,
    label_field: str,
    notes: Sequence[str],
    unit: str = "image",
) -> ReviewPlan:
    """Return what a decision would do about labels.

    Args:
        judged: The labels that are meant, by id.
        decision: One of `REVIEWS`.
        above: Only suggestions of this confidence or more; None = all.
        label_field: Field of the labels.
        notes: What is known to be left out already.
        unit: See `ReviewPlan`.
    """
    labels: dict[str, str] = {}
    new: dict[str, str] = {}
    left_out: Counter[Reason] = Counter()
    for key, each in judged.items():
        if reason := _left_out(each, decision, above):
            left_out[reason] += 1
            continue
        labels[key] = each.label or ""
        if decision == ACCEPT and each.suggested is not None and each.suggested != each.label:
            new[key] = each.suggested
    if decision == ACCEPT:
        left_out[SAME] += len(labels) - len(new)
    told = [counted(count, *reason) for reason, count in sorted(left_out.items()) if count]
    return ReviewPlan(decision, label_field, labels, new, (*notes, *told), unit)


def _left_out(judged: Judged, decision: str, above: float | None) -> Reason | None:
    """Return why the decision can't be about this sample, None where it can."""
    if judged.label is None:
        return None if decision == RELABEL else _NO_LABEL
    if judged.suggested is None:
        return NO_SUGGESTION if decision == ACCEPT or above is not None else None
    # Rounded, since a confidence of 0.95 comes back as 0.94999.
    if above is not None and round(judged.confidence or 0.0, 4) < above:
        return NOT_SURE
    if decision == ACCEPT and judged.given is not None and judged.label not in (judged.given, judged.suggested):
        return _CHANGED
    return None
