"""Winnow: undo an action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..plugin.datasets.action_log import undone_at
from ..plugin.workflows.actions import ActionReport, describe, list_actions, undo_action
from .action_operator import ActionOperator
from .forms import Form
from .stream import in_app


@dataclass(frozen=True)
class UndoParams:
    """Settings of the form; None = the newest action that was not undone."""

    action: str | None = None


class UndoAction(ActionOperator):
    operator_name = "undo_action"
    title = "undo an action"
    summary = "See what was tagged, moved, relabelled and deleted, and take it back"
    icon = "undo"
    in_bar = True
    verb = "Undo"
    params_type = UndoParams

    def fill(self, form: Form) -> None:
        listed = list_actions(form.dataset)
        form.inputs.md(listed.text(), name="actions")
        open_ones = [run for run in listed.actions if not undone_at(run)]
        labels = {run.key: f"{describe(run)} ({run.time:%d %b %H:%M} UTC)" for run in open_ones}
        asked = form.ctx.params.get("action")
        if asked and asked not in labels:
            return  # undoing it says why that can't be: an invalid form would answer the button with a traceback
        if not open_ones:
            form.problem(
                "none", "There is nothing to undo", "What Winnow tags, moves, relabels or deletes appears here."
            )
            return
        form.choice("action", list(labels), "Action to undo", default=open_ones[0].key, labels=labels)

    def act(self, ctx: Any, params: UndoParams) -> ActionReport:
        return undo_action(ctx.dataset, params.action)

    def execute(self, ctx: Any) -> dict[str, Any]:
        result = super().execute(ctx)
        if in_app(ctx):  # the button beside an action's report leaves that report standing and shows no other
            message = result.get("error") or result["text"].splitlines()[0].strip("*")
            ctx.ops.notify(message, variant="error" if "error" in result else "success")
        return result
