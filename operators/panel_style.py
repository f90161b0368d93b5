"""What Winnow's panels look alike in."""

from __future__ import annotations

from fiftyone.operators import types

PLOT_CONFIG = {"displayModeBar": False, "responsive": True}
# One column that is as wide as the panel, however wide its plots would like to be.
COLUMN = types.GridView(
    orientation="vertical",
    px=2,
    py=2,
    gap=1,
    componentsProps={"grid": {"sx": {"gridTemplateColumns": "minmax(0, 1fr)"}}},
)
