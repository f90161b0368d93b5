"""What the operators share that change the user's data: a form that says in numbers what happens, and a report."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types

from ..plugin.errors import WinnowError
from ..plugin.workflows.choosing import SELECTED, Chosen, choices, choose
from .forms import Form, mark_invalid
from .params import check_names, params_from
from .stream import in_app
from .winnow_operator import WinnowOperator

_HINTS = {
    "copies": "copies: images of duplicate groups that are not the one to keep",
    "leaked training images": "leaked training images",
    "label issues": "images with a label issue",
}


class ActionOperator(WinnowOperator):
    """Base of the operators that change something at once, and can be undone.

    Attributes:
        verb: Text of the button that does it.
        params_type: Dataclass with the settings.
        preferred: Which samples are meant unless some are selected, the first finding that there is.
    """

    verb: ClassVar[str]
    params_type: ClassVar[type]
    preferred: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fill(self, form: Form) -> None:
        """Add the settings, and a sentence with what will happen."""

    @abstractmethod
    def act(self, ctx: Any, params: Any) -> Any:
        """Do it and return the report."""

    @property
    def config(self) -> foo.OperatorConfig:
        return self.configured(view_target=False)

    def resolve_input(self, ctx: Any) -> types.Property:
        try:
            if not in_app(ctx):
                check_names(self.params_type, ctx.params)
            form = Form(ctx, self.params_type)
            self.fill(form)
            return self.prompt(form.inputs, self.verb)
        except WinnowError as error:
            return self.refusal(error, self.verb)

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Act, and show it in the App.

        Returns:
            `text` (markdown), `summary` (plain JSON) and, where there is one, `action`: the key to undo it by.

        Raises:
            WinnowError: In a call from Python only; the App shows the message.
        """
        return self.guarded(lambda: self._run(ctx)) if in_app(ctx) else self._run(ctx)

    def _run(self, ctx: Any) -> dict[str, Any]:
        report = self.act(ctx, params_from(self.params_type, ctx.params))
        if in_app(ctx):
            ctx.ops.clear_selected_samples()  # what is gone must not stay selected
            ctx.ops.reload_dataset()
        undo = report.action if getattr(report, "undoable", False) else None
        return {"text": report.text(), "summary": report.summary(), "action": undo}

    def resolve_output(self, ctx: Any) -> types.Property:
        outputs, result = types.Object(), ctx.results or {}
        if "error" in result:
            outputs.view("error", types.Error(label=result["error"]))
        else:
            outputs.md(result.get("text", ""), name="text")
            if key := result.get("action"):
                uri = f"{self.plugin_name}/undo_action"
                outputs.btn("undo", "Undo", on_click=uri, params={"action": key}, icon="undo")
        return types.Property(outputs, view=types.View(label=self.label))


def offer_choice(form: Form, preferred: Sequence[str]) -> Chosen | None:
    """Ask which samples are meant; return them, None where there are none or none can be chosen.

    Args:
        form: The form.
        preferred: What is meant unless something is selected, the first that was looked for.
    """
    ctx = form.ctx
    offered = choices(form.dataset, ctx.selected)
    if not offered:
        form.problem(
            "nothing",
            "There is nothing to choose from",
            "Find near-duplicates, leaks or label issues first, or select samples in the grid.",
        )
        return None
    default = default_choice(ctx, preferred)
    labels = {**_HINTS, SELECTED: f"the {len(ctx.selected)} selected"}
    shown = form.choice(
        "what", offered, "Which samples", "Of those in the current view.", default=default, labels=labels
    )
    try:
        chosen = chosen_samples(ctx, ctx.params.get("what") or default)
    except WinnowError as error:
        mark_invalid(shown, str(error))
        return None
    if not chosen.ids:
        form.problem("none", f"No {chosen.what} in this view", "Choose others, or clear the view.")
        return None
    return chosen


def default_choice(ctx: Any, preferred: Sequence[str]) -> str:
    """Return what is meant where nothing was chosen: the selection, else the first that was looked for."""
    offered = choices(ctx.dataset, ctx.selected)
    if SELECTED in offered:
        return SELECTED
    return next((what for what in preferred if what in offered), preferred[0])


def chosen_samples(ctx: Any, what: str) -> Chosen:
    """Return the samples of the current view that are meant."""
    return choose(ctx.view, what, selected=ctx.selected or (), split_field=ctx.params.get("split_field"))


def show_notes(form: Form, notes: Sequence[str]) -> None:
    """Show what was spared and what is old."""
    for number, note in enumerate(notes):
        form.warning(f"note_{number}", note[:1].upper() + note[1:], "")
