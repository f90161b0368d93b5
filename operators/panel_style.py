"""What Winnow's panels look alike in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fiftyone.operators import types

_LONGEST_NAME = 18
# Of FiftyOne's orange and colours beside it that are read on its dark and its light background alike.
ORANGE, BLUE, GREEN, PURPLE, GREY, RED = "#ff6d04", "#4a90d9", "#2e9e63", "#a06bd0", "#9a9a9a", "#d62728"
SERIES = (ORANGE, BLUE, GREEN, PURPLE, GREY)
LEGEND = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
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


def add_table(panel: types.Object, name: str, columns: dict[str, str], on_row: Any = None) -> None:
    """Add a table whose rows are the panel's data under its name.

    Args:
        panel: The panel.
        name: Of the table; another number of rows needs another name, see `rows_name`.
        columns: Key of a column -> its heading.
        on_row: The panel's method for a click on a row; None = a click does nothing.
    """
    table = types.TableView(**({} if on_row is None else {"on_click_row": on_row}))
    for key, label in columns.items():
        table.add_column(key, label=label)
    panel.list(name, types.Object(), view=table)


def rows_name(what: str, rows: Sequence[Any]) -> str:
    """Return a name for a table of so many rows.

    The App lays new data over what it had under a name, so that a shorter list would keep the end of a longer one.
    """
    return f"{what}_{len(rows)}"


def add_reload(panel: types.Object, on_click: Any) -> None:
    """Add the button that every panel ends with."""
    panel.btn("reload", "Reload", on_click=on_click, icon="refresh", variant="outlined")
