"""Winnow: move to another split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..plugin.curation.splits import STANDARD_SPLITS
from ..plugin.workflows.actions import ActionReport, move_samples
from ..plugin.workflows.choosing import COPIES, LABEL_ISSUES, LEAKED
from ..plugin.workflows.wording import counted
from .action_operator import ActionOperator, chosen_samples, default_choice, offer_choice, show_notes
from .forms import Form

_OUT = "out of every split"


@dataclass(frozen=True)
class MoveParams:
    """Settings of the form; `what` None = the selection, else the first finding there is."""

    what: str | None = None
    split: str = _OUT
    split_field: str | None = None


class MoveToSplit(ActionOperator):
    operator_name = "move_to_split"
    title = "move to another split"
    summary = (
        "Move leaked training images, copies or the selection to another split, or out of every one; can be undone"
    )
    icon = "drive_file_move"
    in_bar = True
    verb = "Move"
    preferred = (LEAKED, COPIES, LABEL_ISSUES)
    params_type = MoveParams

    def fill(self, form: Form) -> None:
        chosen = offer_choice(form, self.preferred)
        form.split_field()
        if chosen is None:
            return
        form.choice("split", [_OUT, *reversed(STANDARD_SPLITS)], "Where to")
        where = form.chosen("split")
        samples = counted(len(chosen.ids), "sample")
        form.note(
            "plan", f"Moves {samples} of dataset '{form.dataset.name}' {where if where == _OUT else 'to ' + where}."
        )
        show_notes(form, chosen.notes)

    def act(self, ctx: Any, params: MoveParams) -> ActionReport:
        chosen = chosen_samples(ctx, params.what or default_choice(ctx, self.preferred))
        split = "" if params.split == _OUT else params.split
        return move_samples(ctx.dataset, chosen, split, params.split_field)
