"""What Winnow's panels look alike in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fiftyone.operators import types

_LONGEST_NAME = 18
PLOT_CONFIG = {"displayModeBar": False, "responsive": True}
# One column that is as wide as the panel, however wide its plots would like to be.
COLUMN = types.GridView(
    orientation="vertical",
    px=2,
    py=2,
    gap=1,
    componentsProps={"grid": {"sx": {"gridTemplateColumns": "minmax(0, 1fr)"}}},
)
# One of many parts, with a frame around what belongs together.
CARD = types.GridView(orientation="vertical", px=2, py=1, gap=1, variant="outline")
# Buttons side by side, as many as fit, each with the properties of `IN_ROW`: by itself each would fill a line.
ROW = types.GridView(orientation="2d", gap=1)
IN_ROW = {"item": {"sx": {"width": "auto"}}}


def names_axis(names: Sequence[str]) -> dict[str, Any]:
    """Return an axis of class names, which a name like "7" would otherwise turn into numbers; long names are cut."""
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in names]
    return {"type": "category", "tickmode": "array", "tickvals": list(names), "ticktext": shown, "automargin": True}
