"""Winnow: open the menu."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from .menu_panel import NAME
from .winnow_operator import WinnowOperator


class OpenMenu(WinnowOperator):
    """The one button with a name in the grid's bar: it opens the panel with all of Winnow's jobs beside the grid."""

    operator_name = "open_menu"
    title = "open the menu"
    summary = "See all of Winnow's jobs and panels, and where each of them stands"
    icon = "menu_open"
    risk = types.RiskLevel.LOW

    @property
    def config(self) -> foo.OperatorConfig:
        return self.configured(view_target=False)

    def resolve_placement(self, ctx: Any) -> types.Placement:
        # Without an icon the App shows the name, in a colour, before all other actions of plugins.
        return types.Placement(types.Places.SAMPLES_GRID_ACTIONS, types.Button(label="Winnow", prompt=False))

    def execute(self, ctx: Any) -> dict[str, Any]:
        ctx.ops.open_panel(NAME, layout="horizontal")
        return {}
