"""What the panel of classifiers draws, as plain Plotly, and the rows of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..plugin.workflows.classifier_comparison import ClassifierComparison
from ..plugin.workflows.classifiers import ClassifierEntry
from .panel_style import LEGEND, SERIES


def curve_traces(entries: Sequence[ClassifierEntry]) -> list[dict[str, Any]]:
    """Return the training loss (dotted), and what was measured on the validation images, over the epochs.

    Args:
        entries: Classifiers, a colour each; those without curves are left out.
    """
    traces = []
    for number, entry in enumerate(entries):
        points, colour = entry.curves(), SERIES[number % len(SERIES)]
        if not points:
            continue
        name = f"{entry.name}: " if len(entries) > 1 else ""
        loss = _trace(f"{name}training loss", points, "loss", "y", "lines")
        traces.append({**loss, "line": {"color": colour, "dash": "dot", "width": 1.5}})
        measured = dict.fromkeys(key for point in points for key in point if key.startswith("validation_"))
        for key in measured:
            if key != "validation_loss":
                shown = key.removeprefix("validation_").replace("_", " ")
                line = _trace(f"{name}{shown}", points, key, "y2", "lines+markers")
                traces.append({**line, "line": {"color": colour}})
    return traces


def curve_layout(count: int) -> dict[str, Any]:
    """Return the layout of so many classifiers' curves."""
    return {
        "height": 260 + 10 * count,
        "margin": {"l": 55, "r": 55, "t": 20 + 10 * count, "b": 40},
        "xaxis": {"title": {"text": "epoch"}},
        "yaxis": {"title": {"text": "training loss"}, "rangemode": "tozero"},
        "yaxis2": {"title": {"text": "validation"}, "overlaying": "y", "side": "right", "showgrid": False},
        "legend": LEGEND,
        "showlegend": True,
    }


def score_rows(found: ClassifierComparison) -> list[dict[str, str]]:
    """Return a row a classifier with its figures."""
    return [
        {
            "name": entry.name,
            "validation": entry.score,
            "accuracy": "" if measured is None else measured.shown("accuracy") or measured.shown("exact_match"),
            "macro_f1": "" if measured is None else measured.shown("macro_f1"),
            "calibration_error": "" if measured is None else measured.shown("calibration_error"),
            "on": "not evaluated" if measured is None else f"{measured.images:,} of {measured.evaluated_on}",
        }
        for entry, measured in zip(found.entries, found.measured, strict=True)
    ]


def difference_rows(found: ClassifierComparison) -> list[dict[str, str]]:
    """Return a row a setting in which the classifiers differ, with a column a classifier: `of_0`, `of_1` and so on."""
    return [
        {"setting": each.setting, **{f"of_{number}": value for number, value in enumerate(each.values)}}
        for each in found.differences
    ]


def _trace(name: str, points: list[dict[str, float]], key: str, axis: str, mode: str) -> dict[str, Any]:
    found = [(point["epoch"], point[key]) for point in points if key in point]
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": [x for x, _ in found],
        "y": [y for _, y in found],
        "yaxis": axis,
    }
