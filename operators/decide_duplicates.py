"""Winnow: decide about near-duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..plugin.workflows.decide import (
    APART,
    DECISIONS,
    FORGET,
    KEEP_ALL,
    DecisionReport,
    decide_duplicates,
    groups_of,
)
from ..plugin.workflows.wording import counted
from .action_operator import ActionOperator
from .forms import Form

_HINTS = {
    APART: "not duplicates of each other: never flag these pairs again",
    KEEP_ALL: "keep all: never propose to delete one, until a new image joins the group",
    FORGET: "forget decisions about them",
}


@dataclass(frozen=True)
class DecideParams:
    """Settings of the form."""

    decision: str = APART
    whole_groups: bool = True


class DecideDuplicates(ActionOperator):
    operator_name = "decide_duplicates"
    title = "decide about near-duplicates"
    summary = "Say that the selected images are no duplicates, or that all are kept; every later run remembers it"
    icon = "layers_clear"
    in_bar = True
    verb = "Decide"
    params_type = DecideParams

    def fill(self, form: Form) -> None:
        selected = form.ctx.selected
        if not selected:
            form.problem(
                "none", "Nothing is selected", "Select images of duplicate groups in the grid, then come back."
            )
            return
        form.choice("decision", list(DECISIONS), "Decision", labels=_HINTS)
        form.switch(
            "whole_groups", "Whole groups", "Decide about all images of the groups, not only the selected ones."
        )
        groups = groups_of(form.dataset, selected)
        whole = form.ctx.params.get("whole_groups", True) or form.chosen("decision") == KEEP_ALL
        count = sum(map(len, groups.values())) if whole and groups else len(selected)
        form.note("plan", f"About {counted(count, 'image')} of {counted(len(groups), 'group')}.")

    def act(self, ctx: Any, params: DecideParams) -> DecisionReport:
        return decide_duplicates(ctx.dataset, ctx.selected or [], params.decision, whole_groups=params.whole_groups)
