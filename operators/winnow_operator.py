"""What all of Winnow's operators share: their names, their place in the App, and what it shows when something fails."""

from __future__ import annotations

import logging
from abc import ABC
from collections.abc import Callable
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types

from ..plugin.errors import JobCancelled, WinnowError
from .forms import mark_invalid

logger = logging.getLogger(__name__)


class WinnowOperator(foo.Operator, ABC):
    """Base of all operators.

    Attributes:
        operator_name: Name within the plugin.
        title: What it does, as shown in buttons and lists.
        summary: One sentence for the operator browser.
        icon: Name of a Material icon.
        in_bar: Whether it has a button of its own above the grid: what works on the samples that are selected there.
            The menu has all.
        risk: How much harm a mistake does.
    """

    operator_name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    icon: ClassVar[str]
    in_bar: ClassVar[bool] = False
    risk: ClassVar[types.RiskLevel] = types.RiskLevel.MEDIUM

    @property
    def label(self) -> str:
        """The title as the App shows it."""
        return f"Winnow: {self.title}"

    def resolve_placement(self, ctx: Any) -> types.Placement | None:
        if not self.in_bar:
            return None
        button = types.Button(label=self.label, icon=self.icon, prompt=True)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def configured(self, **options: Any) -> foo.OperatorConfig:
        """Return the configuration: the names, and the options of this kind of operator."""
        return foo.OperatorConfig(
            name=self.operator_name,
            label=self.label,
            description=self.summary,
            icon=self.icon,
            dynamic=True,
            risk_level=self.risk,
            **options,
        )

    def prompt(self, inputs: types.Object, button: str | None = None) -> types.Property:
        """Return a form with these inputs, under the operator's label.

        Args:
            inputs: The inputs.
            button: Text of the button that executes it; None = FiftyOne's.
        """
        texts = {} if button is None else {"submit_button_label": button}
        return types.Property(inputs, view=types.PromptView(label=self.label, **texts))

    def refusal(self, error: WinnowError, button: str | None = None) -> types.Property:
        """Return a form that says why there is none, and cannot be executed; arguments as for `prompt`."""
        inputs = types.Object()
        mark_invalid(inputs.view("problem", types.Error(label=str(error))), str(error))
        return self.prompt(inputs, button)

    def guarded(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do the work, and turn what goes wrong into a result that the App can show: `error`, perhaps `cancelled`."""
        try:
            return work()
        except JobCancelled as error:
            return {"error": str(error), "cancelled": True}
        except WinnowError as error:
            return {"error": str(error)}
        except Exception as error:
            logger.exception("%s failed", self.operator_name)
            return {"error": f"{type(error).__name__}: {error}. The log of the FiftyOne server has the details."}
