"""What the operators share that change the user's data: a form that says in numbers what happens, and a report."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types

from ..plugin.errors import WinnowError
from ..plugin.workflows.choosing import SELECTED, Chosen, choices, choose
from .forms import Form, mark_invalid
from .params import check_names, params_from
from .stream import in_app

_HINTS = {
    "copies": "copies: images of duplicate groups that are not the one to keep",
    "leaked training images": "leaked training images",
    "label issues": "images with a label issue",
}

logger = logging.getLogger(__name__)


class ActionOperator(foo.Operator, ABC):
    """Base of the operators that change something at once, and can be undone.

    Attributes:
        operator_name: Name within the plugin.
        title: What it does, as shown in buttons and lists.
        summary: One sentence for the operator browser.
        icon: Name of a Material icon.
        verb: Text of the button that does it.
        params_type: Dataclass with the settings.
        preferred: Which samples are meant unless some are selected, the first finding that there is.
        risk: How much harm a mistake does.
    """

    operator_name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    icon: ClassVar[str]
    verb: ClassVar[str]
    params_type: ClassVar[type]
    preferred: ClassVar[tuple[str, ...]] = ()
    risk: ClassVar[types.RiskLevel] = types.RiskLevel.MEDIUM

    @abstractmethod
    def fill(self, form: Form) -> None:
        """Add the settings, and a sentence with what will happen."""

    @abstractmethod
    def act(self, ctx: Any, params: Any) -> Any:
        """Do it and return the report."""

    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name=self.operator_name,
            label=f"Winnow: {self.title}",
            description=self.summary,
            icon=self.icon,
            dynamic=True,
            view_target=False,
            risk_level=self.risk,
        )

    def resolve_placement(self, ctx: Any) -> types.Placement:
        button = types.Button(label=f"Winnow: {self.title}", icon=self.icon, prompt=True)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def resolve_input(self, ctx: Any) -> types.Property:
        prompt = types.PromptView(label=f"Winnow: {self.title}", submit_button_label=self.verb)
        try:
            if not in_app(ctx):
                check_names(self.params_type, ctx.params)
            form = Form(ctx, self.params_type)
            self.fill(form)
            return types.Property(form.inputs, view=prompt)
        except WinnowError as error:
            inputs = types.Object()
            mark_invalid(inputs.view("problem", types.Error(label=str(error))), str(error))
            return types.Property(inputs, view=prompt)

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Act, and show it in the App.

        Returns:
            `text` (markdown), `summary` (plain JSON) and, where there is one, `action`: the key to undo it by.

        Raises:
            WinnowError: In a call from Python only; the App shows the message.
        """
        try:
            report = self.act(ctx, params_from(self.params_type, ctx.params))
        except WinnowError as error:
            if not in_app(ctx):
                raise
            return {"error": str(error)}
        except Exception as error:
            if not in_app(ctx):
                raise
            logger.exception("%s failed", self.operator_name)
            return {"error": f"{type(error).__name__}: {error}. The log of the FiftyOne server has the details."}
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
        return types.Property(outputs, view=types.View(label=f"Winnow: {self.title}"))


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
