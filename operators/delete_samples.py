"""Winnow: delete samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fiftyone.operators import types

from ..plugin.errors import DataError
from ..plugin.workflows.actions import ActionReport, delete_samples
from ..plugin.workflows.choosing import COPIES, LABEL_ISSUES, LEAKED, Chosen, spare_last_of_class
from ..plugin.workflows.wording import counted
from .action_operator import ActionOperator, chosen_samples, default_choice, offer_choice, show_notes
from .forms import Form, mark_invalid
from .stream import in_app


@dataclass(frozen=True)
class DeleteParams:
    """Settings of the form; `what` None = the selection, else the first finding there is."""

    what: str | None = None
    delete_files: bool = False
    confirm: bool = False


class DeleteSamples(ActionOperator):
    operator_name = "delete_samples"
    title = "delete samples"
    summary = "Delete copies, leaked training images, label issues or the selection; can be undone"
    icon = "delete_sweep"
    in_bar = True
    verb = "Delete"
    preferred = (COPIES, LEAKED, LABEL_ISSUES)
    params_type = DeleteParams
    risk = types.RiskLevel.HIGH

    def fill(self, form: Form) -> None:
        chosen = offer_choice(form, self.preferred)
        if chosen is None:
            return
        chosen = spare_last_of_class(form.dataset, chosen)
        form.switch("delete_files", "Files too", "They go to the trash folder of Winnow's home, never for good.")
        sentence = _plan(form, chosen)
        form.warning("plan", sentence, "You can undo it: Winnow: undo an action.")
        show_notes(form, chosen.notes)
        form.switch("confirm", f"Yes, delete {counted(len(chosen.ids), 'sample')}")
        if not form.ctx.params.get("confirm"):
            from_python = f"nothing was deleted. {sentence} Pass confirm=True to do it."
            message = "Switch this on to delete." if in_app(form.ctx) else from_python
            mark_invalid(form.inputs.properties["confirm"], message)

    def act(self, ctx: Any, params: DeleteParams) -> ActionReport:
        if not params.confirm:
            raise DataError("nothing was deleted, as it was not confirmed: switch it on in the form, or confirm=True.")
        chosen = chosen_samples(ctx, params.what or default_choice(ctx, self.preferred))
        return delete_samples(ctx.dataset, chosen, params.delete_files)


def _plan(form: Form, chosen: Chosen) -> str:
    groups = f" of {counted(chosen.groups, 'group')}" if chosen.groups else ""
    into_trash = form.ctx.params.get("delete_files")
    files = " and moves their files into Winnow's trash" if into_trash else "; their files stay on disk"
    samples = counted(len(chosen.ids), "sample")
    return f"Deletes {samples}{groups} from dataset '{form.dataset.name}'{files}."
