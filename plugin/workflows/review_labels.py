"""Put into effect what a person decides about labels: accept the suggestion, keep the label, or leave it open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..datasets.action_log import Done
from ..datasets.label_decisions import ACCEPTED, KEPT
from ..datasets.label_decisions import UNSURE as MARKED_UNSURE
from ..datasets.label_kinds import SEVERAL_AN_IMAGE, kind_of
from ..datasets.label_sets import decide_label_sets
from ..datasets.patch_relabelling import decide_patches
from ..datasets.relabelling import decide_labels
from ..datasets.views import Collection
from ..progress import Progress, silent
from .actions import ActionReport, tag_samples
from .change_plan import ChangePlan
from .choosing import SELECTED, Chosen
from .label_issues import LabelIssueParams, LabelIssueReport, find_label_issues
from .multi_label_issues import MultiLabelIssueReport
from .patch_review import patch_findings_after
from .patch_vectors import WHOLE_IMAGES
from .review_plan import ReviewPlan, issue_fields, plan_review
from .review_terms import ACCEPT, FORGET, KEEP, RELABEL, UNSURE
from .reviewer import user_name
from .wording import counted

_MARKS = {ACCEPT: ACCEPTED, KEEP: KEPT, UNSURE: MARKED_UNSURE, FORGET: None}


@dataclass(frozen=True)
class FoundAndAccepted:
    """What a search for label issues found, and which of its suggestions were accepted at once."""

    found: LabelIssueReport | MultiLabelIssueReport
    accepted: ActionReport

    def summary(self) -> dict[str, Any]:
        """Return plain JSON: that of the search, and `accepted`."""
        return {**self.found.summary(), "accepted": self.accepted.summary()}

    def text(self) -> str:
        """Return markdown for a person."""
        return f"{self.found.text()}\n\n{self.accepted.text()}"


def review_labels(
    view: Collection,
    decision: str,
    ids: Sequence[str] | None = None,
    *,
    above: float | None = None,
    label_field: str | None = None,
    patches_field: str = WHOLE_IMAGES,
    by: str | None = None,
) -> ActionReport:
    """Decide about labels, for every later search too; flag, quality and suggestion follow at once.

    Args:
        view: The collection; without `ids` its flagged samples are meant (to forget: those with a decision).
        decision: "accept" (the label becomes the suggestion; of several labels those that are missing are added, and
            those that are extra are removed), "keep" (the label is right), "unsure" (it is not flagged
            again, but not called right either), "relabel" (the sample is tagged so, for a person to label it anew),
            or "forget" (what was decided).
        ids: Sample ids, of patches label ids; those that are gone are passed over.
        above: Only suggestions of this confidence or more.
        label_field: Field of the labels; None = the one that was searched last.
        patches_field: Field of detections whose labels are meant; "whole images" = none, unless the view shows patches.
        by: Name of the person; None = the name of the operating system's user.

    Raises:
        DataError: There is no such decision, or label issues were not looked for in that field.
        FieldError: It is open which field holds the labels, or these have attributes of the same names as Winnow's.
    """
    plan = plan_review(view, decision, ids, above=above, label_field=label_field, patches_field=patches_field)
    if decision == RELABEL:
        return tag_samples(view, Chosen(tuple(plan.labels), SELECTED, notes=plan.notes), RELABEL, by=by)
    done = _carry_out(view, plan, by or user_name())
    sentence = plan.sentence(done=True) if done.key else "There was nothing to do."
    return ActionReport(done.key, done.samples, sentence, (*plan.notes, *done.notes, *_what_follows(view, plan)))


def find_and_accept(
    view: Collection, params: LabelIssueParams, above: float, progress: Progress = silent
) -> FoundAndAccepted:
    """Find label issues, and accept the suggestions of this confidence or more; errors are those of the two."""
    found = find_label_issues(view, params, progress)
    return FoundAndAccepted(found, review_labels(view, ACCEPT, above=above, patches_field=params.patches_field))


def _carry_out(view: Collection, plan: ReviewPlan | ChangePlan, by: str) -> Done:
    mark = _MARKS[plan.decision]
    if isinstance(plan, ChangePlan):
        return decide_label_sets(view, plan.label_field, plan.labels, mark, by=by, findings=plan.findings)
    if plan.unit == "patch":
        findings = patch_findings_after(view, plan.label_field, plan.decision)
        return decide_patches(
            view, plan.label_field, list(plan.labels), mark, by=by, labels=plan.new, findings=findings
        )
    findings = findings_after(view, plan.decision)
    return decide_labels(view, plan.label_field, list(plan.labels), mark, by=by, labels=plan.new, findings=findings)


def findings_after(view: Collection, decision: str) -> dict[str, Any]:
    """Return what the fields of the findings hold of a label that was decided about."""
    if decision == FORGET:
        return {}
    fields = issue_fields(view)
    after: dict[str | None, Any] = {fields.issue: False, fields.suggestion: None, fields.verdict: None}
    if decision in (ACCEPT, KEEP):
        after[fields.quality] = 1.0
    return {name: value for name, value in after.items() if name is not None}


def _what_follows(view: Collection, plan: ReviewPlan | ChangePlan) -> tuple[str, ...]:
    if plan.decision == UNSURE:
        kind = kind_of(view, plan.label_field)
        count = kind.count_unsure(view, plan.label_field)
        unsure = f"{counted(count, 'label is unsure', 'labels are unsure')} in all"
        if kind is SEVERAL_AN_IMAGE:
            return (unsure,)
        return (f"{unsure}: filter by `{kind.path(view, plan.label_field)}.decision` to see them",)
    if plan.decision == FORGET and plan.labels:
        return ("find label issues again to have them judged anew",)
    return ()
