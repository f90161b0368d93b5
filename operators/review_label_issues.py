"""Winnow: review label issues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..plugin.datasets.patches import shown_patches
from ..plugin.errors import DataError
from ..plugin.workflows.actions import ActionReport
from ..plugin.workflows.change_plan import ChangePlan
from ..plugin.workflows.choosing import LABEL_ISSUES, SELECTED, choices
from ..plugin.workflows.review_labels import review_labels
from ..plugin.workflows.review_plan import ReviewPlan, plan_review
from ..plugin.workflows.review_terms import ACCEPT, FORGET, KEEP, RELABEL, REVIEWS, UNSURE
from ..plugin.workflows.wording import counted
from .action_operator import ActionOperator, show_notes
from .forms import Form, mark_invalid
from .stream import in_app

_HINTS = {
    ACCEPT: "accept: the label becomes the suggested one",
    KEEP: "keep: the label is right, never flag it again",
    UNSURE: "unsure: flag it no more, but do not call it right",
    RELABEL: f"relabel: tag the image '{RELABEL}', to be labelled anew",
    FORGET: "forget what was decided",
}


@dataclass(frozen=True)
class ReviewParams:
    """Settings of the form; `what` None = the selection, else the flagged labels of the view."""

    decision: str = ACCEPT
    what: str | None = None
    above: float = 0.95
    confirm: bool = False


class ReviewLabelIssues(ActionOperator):
    operator_name = "review_label_issues"
    title = "review label issues"
    summary = "Accept suggested labels, keep labels or mark them as unsure; every later run remembers it"
    icon = "fact_check"
    in_bar = True
    verb = "Decide"
    params_type = ReviewParams
    preferred = (LABEL_ISSUES,)

    def fill(self, form: Form) -> None:
        reviews = [review for review in REVIEWS if review != RELABEL or not shown_patches(form.ctx.view)]
        offered = _offered(form.ctx)
        if not offered:
            form.problem("none", "There is nothing to review", "Find label issues first, or select images in the grid.")
            return
        what = form.ctx.params.get("what") or offered[0]
        decision = form.chosen("decision")
        flagged = "the decided labels of this view" if decision == FORGET else "the flagged labels of this view"
        selected = f"the {len(form.ctx.selected):,} selected" if form.ctx.selected else "that of the open image"
        labels = {SELECTED: selected, LABEL_ISSUES: flagged}
        form.choice("what", offered, "Which labels", default=offered[0], labels=labels)
        form.choice("decision", reviews, "Decision", labels=_HINTS)
        by_rule = what == LABEL_ISSUES and decision == ACCEPT
        if by_rule:
            form.number("above", "Confidence", "Only suggestions that are at least this sure.", low=0, high=1)
        plan = _plan(form.ctx, decision, what, form.chosen("above"))
        if not plan.labels:
            form.problem("empty", "No label is left to decide about", " · ".join(plan.notes) or "Choose others.")
            return
        form.note("plan", plan.sentence())
        show_notes(form, plan.notes)
        if by_rule:
            _ask(form, plan)

    def act(self, ctx: Any, params: ReviewParams) -> ActionReport:
        what = params.what or next(iter(_offered(ctx)), LABEL_ISSUES)
        if what == SELECTED:
            return review_labels(ctx.view, params.decision, _selected(ctx), by=ctx.user_id)
        if params.decision != ACCEPT:
            return review_labels(ctx.view, params.decision, by=ctx.user_id)
        if not params.confirm:
            raise DataError("no label was changed, as it was not confirmed: switch it on in the form, or confirm=True.")
        return review_labels(ctx.view, ACCEPT, above=params.above, by=ctx.user_id)


def _plan(ctx: Any, decision: str, what: str, above: float) -> ReviewPlan | ChangePlan:
    if what == SELECTED:
        return plan_review(ctx.view, decision, _selected(ctx))
    return plan_review(ctx.view, decision, above=above if decision == ACCEPT else None)


def _ask(form: Form, plan: ReviewPlan | ChangePlan) -> None:
    """Ask for a confirmation, since nobody has looked at each of the labels."""
    form.switch("confirm", f"Yes, change {counted(len(plan.new), 'label')}", "It can be undone.")
    if not form.ctx.params.get("confirm"):
        from_python = f"no label was changed. {plan.sentence()} Pass confirm=True to do it."
        mark_invalid(
            form.inputs.properties["confirm"], "Switch this on to decide." if in_app(form.ctx) else from_python
        )


def _offered(ctx: Any) -> list[str]:
    """Return which labels can be meant, the likeliest first."""
    selected = _selected(ctx)
    of_patches = shown_patches(ctx.view) is not None
    found = [what for what in choices(ctx.dataset) if what == LABEL_ISSUES]
    return [SELECTED] * bool(selected) + ([LABEL_ISSUES] if of_patches else found)


def _selected(ctx: Any) -> list[str]:
    """Return the selected samples, or the one that is open in the App."""
    return ctx.selected or ([ctx.current_sample] if ctx.current_sample else [])
