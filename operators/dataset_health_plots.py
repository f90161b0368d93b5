"""What the panel of a dataset's health draws, as plain Plotly."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..plugin.datasets.class_counts import ClassCounts
from .panel_style import names_axis

_MOST_CLASSES = 30
_COLOURS = ("#ff6d04", "#4a90d9", "#2e9e63", "#a06bd0", "#9a9a9a")
_LEGEND = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
_BAR_HEIGHT = 11


def drawn_splits(counts: ClassCounts) -> list[str]:
    """Return the splits that have a bar each: those with labels, of many the largest."""
    labelled = counts.images.sum(axis=0)
    chosen = np.argsort(-labelled, kind="stable")[: len(_COLOURS)]
    return [counts.splits[column] for column in sorted(chosen) if labelled[column]]


def balance_traces(counts: ClassCounts) -> list[dict[str, Any]]:
    """Return the share that each class has of each split's labels, in percent; the largest class first.

    Of more than 30 classes, the 15 largest and the 15 smallest.
    """
    rows = _rows(counts)
    names = [counts.classes[row] for row in rows]
    traces = []
    for number, split in enumerate(drawn_splits(counts)):
        column = counts.images[:, counts.splits.index(split)]
        of_rows = column[rows]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": split or "no split",
                "y": names,
                "x": (100 * of_rows / column.sum()).round(2).tolist(),
                "marker": {"color": _COLOURS[number]},
                "customdata": of_rows.tolist(),
                "hovertemplate": f"%{{y}}: %{{customdata:,}} images, %{{x}} %<extra>{split or 'no split'}</extra>",
            }
        )
    return traces


def balance_layout(counts: ClassCounts) -> dict[str, Any]:
    """Return the layout of the class balance."""
    names = [counts.classes[row] for row in _rows(counts)]
    bars = len(names) * max(2, len(drawn_splits(counts)))
    return {
        "height": 120 + _BAR_HEIGHT * max(bars, 6),
        "margin": {"l": 20, "r": 20, "t": 30, "b": 40},
        "xaxis": {"title": {"text": "share of the split's labels, %"}, "rangemode": "tozero"},
        "yaxis": {**names_axis(names), "autorange": "reversed"},
        "bargap": 0.3,
        "legend": _LEGEND,
        "showlegend": True,
    }


def balance_head(counts: ClassCounts) -> str:
    """Return what the plot shows."""
    many = len(counts.classes) > _MOST_CLASSES
    half = _MOST_CLASSES // 2
    some = f", the {half} largest and the {half} smallest of {len(counts.classes):,}" if many else ""
    return f"**Classes by split**{some} (click a bar to see its images)"


def _rows(counts: ClassCounts) -> list[int]:
    order = np.argsort(-counts.by_class, kind="stable").tolist()
    half = _MOST_CLASSES // 2
    return order if len(order) <= _MOST_CLASSES else order[:half] + order[-half:]
