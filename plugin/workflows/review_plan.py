"""What a review of suspicious labels would do, and what it leaves out: said before, and done by review_labels.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..datasets import runs
from ..datasets.action_log import chunks
from ..datasets.fields import GIVEN
from ..datasets.label_decisions import decided_ids
from ..datasets.multi_label_decisions import decided_labels
from ..datasets.multi_labels import multi_label_field, multi_label_fields
from ..datasets.samples import chosen_label_field
from ..datasets.views import Collection, dataset_of, every_image, single_images
from ..errors import DataError
from .change_plan import ChangePlan, plan_changes
from .choosing import LABEL_ISSUES, SELECTED, Chosen, choose, staleness
from .findings import LABEL_ISSUES_RUN
from .review_terms import (
    ACCEPT,
    FORGET,
    KEEP,
    NO_SUGGESTION,
    NOT_SURE,
    RELABEL,
    REVIEWS,
    SAME,
    UNSURE,
    Reason,
    listed,
)
from .wording import counted

_CHUNK = 20_000
_NO_LABEL = ("sample has no label", "samples have no label")
_CHANGED = ("label was changed since it was judged", "labels were changed since they were judged")


@dataclass(frozen=True)
class IssueFields:
    """Where the last search for label issues read and wrote; None where that does not exist (any more)."""

    labels: str | None = None
    quality: str | None = None
    issue: str | None = None
    suggestion: str | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class ReviewPlan:
    """What a review would do.

    Attributes:
        decision: One of `REVIEWS`.
        label_field: Field of the labels.
        labels: Sample id -> its label, "" = none, of the samples that it is about.
        new: Sample id -> the label that it is to get, where that is another.
        notes: What is left out, and why.
    """

    decision: str
    label_field: str
    labels: Mapping[str, str]
    new: Mapping[str, str]
    notes: tuple[str, ...]

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
class _Judged:
    """A sample as the last search for label issues left it."""

    label: str | None
    suggested: str | None = None
    confidence: float | None = None
    given: str | None = None  # the label that was judged, None where that is not known


def plan_review(
    view: Collection,
    decision: str,
    ids: Sequence[str] | None = None,
    *,
    above: float | None = None,
    label_field: str | None = None,
) -> ReviewPlan | ChangePlan:
    """Return what `review_labels` would do with the same arguments, without doing it; it raises the same errors."""
    _check(decision, above)
    fields = issue_fields(view)
    labelled_in = _label_field(view, fields, label_field, decision)
    if labelled_in in multi_label_fields(view):
        chosen = _choose(view, decision, ids, partial(decided_labels, label_field=labelled_in))
        return plan_changes(view, decision, chosen, labelled_in, fields, above)
    chosen = _choose(view, decision, ids, partial(decided_ids, label_field=labelled_in))
    labels: dict[str, str] = {}
    new: dict[str, str] = {}
    left_out: Counter[Reason] = Counter()
    for key, judged in _read(view, chosen.ids, labelled_in, fields.suggestion).items():
        if reason := _left_out(judged, decision, above):
            left_out[reason] += 1
            continue
        labels[key] = judged.label or ""
        if decision == ACCEPT and judged.suggested is not None and judged.suggested != judged.label:
            new[key] = judged.suggested
    if decision == ACCEPT:
        left_out[SAME] += len(labels) - len(new)
    notes = [counted(count, *reason) for reason, count in sorted(left_out.items()) if count]
    return ReviewPlan(decision, labelled_in, labels, new, (*chosen.notes, *notes))


def issue_fields(view: Collection) -> IssueFields:
    """Return the fields of the last `find_label_issues`."""
    dataset = dataset_of(view)
    run = next((run for run in runs.list_runs(dataset) if run.key == LABEL_ISSUES_RUN), None)
    if run is None:
        return IssueFields()
    names = (run.params.get(name) for name in ("quality_field", "issue_field", "suggestion_field", "verdict_field"))
    held = (name if name and dataset.has_field(name) else None for name in names)
    return IssueFields(run.summary["label_field"], *held)


def _check(decision: str, above: float | None) -> None:
    if decision not in REVIEWS:
        raise DataError(f"'{decision}' can't be decided about a label. Choose from: {', '.join(REVIEWS)}.")
    if above is not None and decision == FORGET:
        raise DataError("labels that were decided about have no suggestion any more: forget them without `above`.")
    if above is not None and not 0 <= above <= 1:
        raise DataError(f"`above` is a confidence in 0..1, got {above:g}.")


def _label_field(view: Collection, fields: IssueFields, asked: str | None, decision: str) -> str:
    name = dataset_of(view).name
    if fields.labels is None and decision == ACCEPT:
        raise DataError(f"label issues of '{name}' were not looked for. Find label issues first.")
    if fields.labels is not None and asked not in (None, fields.labels):
        raise DataError(
            f"label issues of '{name}' were last looked for in '{fields.labels}', not in '{asked}'. "
            f"Find label issues of '{asked}' first."
        )
    asked = asked or fields.labels
    return multi_label_field(view, asked) or chosen_label_field(view, asked)


def _choose(
    view: Collection, decision: str, ids: Sequence[str] | None, decided_of: Callable[[Collection], Iterable[str]]
) -> Chosen:
    """Return the samples that are meant; `decided_of` finds those of a view about which anything was decided."""
    if ids is None:
        if decision == FORGET:
            return Chosen(tuple(sorted(decided_of(single_images(view)))), SELECTED)
        return choose(view, LABEL_ISSUES)
    chosen = choose(view, SELECTED, selected=ids)
    if decision == ACCEPT:
        return replace(chosen, notes=(*chosen.notes, *staleness(view, LABEL_ISSUES_RUN, "label issues")))
    if decision == FORGET:
        decided = set(decided_of(every_image(view))).intersection(chosen.ids)
        others = len(chosen.ids) - len(decided)
        note = counted(others, "label was not decided about", "labels were not decided about")
        return replace(chosen, ids=tuple(sorted(decided)), notes=(*chosen.notes, *[note] * (others > 0)))
    return chosen


def _read(view: Collection, ids: Sequence[str], label_field: str, suggestion: str | None) -> dict[str, _Judged]:
    """Return sample id -> what is known of its label, by id."""
    images = every_image(view)
    paths = ["id", f"{label_field}.label"]
    if suggestion is not None:
        paths += [f"{suggestion}.label", f"{suggestion}.confidence"]
        paths += [f"{suggestion}.{GIVEN}"] * (images.get_field(f"{suggestion}.{GIVEN}") is not None)
    found: dict[str, _Judged] = {}
    for chunk in chunks(ids, _CHUNK):
        found |= {key: _Judged(*known) for key, *known in zip(*images.select(chunk).values(paths), strict=True)}
    return dict(sorted(found.items()))


def _left_out(judged: _Judged, decision: str, above: float | None) -> Reason | None:
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
