"""Winnow: tag findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..plugin.workflows.actions import ActionReport, tag_samples
from ..plugin.workflows.choosing import COPIES, LABEL_ISSUES, LEAKED
from ..plugin.workflows.wording import counted
from .action_operator import ActionOperator, chosen_samples, default_choice, offer_choice, show_notes
from .forms import Form


@dataclass(frozen=True)
class TagParams:
    """Settings of the form; `what` None = the selection, else the first finding there is."""

    what: str | None = None
    tag: str | None = None


class TagFindings(ActionOperator):
    operator_name = "tag_findings"
    title = "tag findings"
    summary = "Tag copies, leaked training images, label issues or the selection; can be undone"
    icon = "sell"
    in_bar = True
    verb = "Tag"
    preferred = (COPIES, LEAKED, LABEL_ISSUES)
    params_type = TagParams

    def fill(self, form: Form) -> None:
        chosen = offer_choice(form, self.preferred)
        if chosen is None:
            return
        form.inputs.str("tag", label="Tag", default=_default_tag(chosen.what))
        tag = form.ctx.params.get("tag") or _default_tag(chosen.what)
        form.note("plan", f"Tags {counted(len(chosen.ids), 'sample')} '{tag}'.")
        show_notes(form, chosen.notes)

    def act(self, ctx: Any, params: TagParams) -> ActionReport:
        chosen = chosen_samples(ctx, params.what or default_choice(ctx, self.preferred))
        return tag_samples(ctx.dataset, chosen, params.tag or _default_tag(chosen.what))


def _default_tag(what: str) -> str:
    return {COPIES: "copy", LEAKED: "leaked", LABEL_ISSUES: "label issue"}.get(what, "selected")
