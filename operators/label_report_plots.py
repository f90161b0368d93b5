"""What the panel of the label report draws, as plain Plotly."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..plugin.curation.label_report import LabelReport
from .panel_style import GREY, ORANGE, names_axis

MOST_CLASSES = 30
MOST_PAIRS = 20
_NUMBERED_UP_TO = 15  # with more classes, numbers in the cells cannot be read
# Opaque, so that white numbers are read in the App's dark and light mode alike.
_ORANGES = [[0.0, "#7a6152"], [1.0, ORANGE]]
_GREYS = [[0.0, "#5c5c5c"], [1.0, "#5c5c5c"]]
_ROW_HEIGHT, _LOW_ROW_HEIGHT = 28, 18


def matrix_traces(report: LabelReport) -> list[dict[str, Any]]:
    """Return the noise matrix of the worst 30 classes: labels as rows, true classes as columns, the diagonal dimmed.

    The colour goes with the logarithm of the expected number, so that rare confusions are seen beside frequent ones.
    """
    chosen = report.worst_classes(MOST_CLASSES)
    names = [report.classes[row] for row in chosen]
    expected, flagged = report.joint[np.ix_(chosen, chosen)], report.flagged[np.ix_(chosen, chosen)]
    share = np.nan_to_num(report.true_given_label()[np.ix_(chosen, chosen)])
    seen, diagonal = (expected >= 0.5) | (flagged > 0), np.eye(len(chosen), dtype=bool)
    details = np.stack([expected.round(1), flagged, (100 * share).round(1)], axis=2).tolist()
    wrong = np.where(seen & ~diagonal, np.log1p(expected), np.nan)
    return [
        {**_cells(names, wrong, expected, details), "colorscale": _ORANGES, "zmin": 0},
        {**_cells(names, np.where(diagonal, 1.0, np.nan), expected, details), "colorscale": _GREYS},
    ]


def matrix_layout(report: LabelReport) -> dict[str, Any]:
    """Return the layout of the noise matrix."""
    names = [report.classes[row] for row in report.worst_classes(MOST_CLASSES)]
    return {
        "height": 190 + _row_height(names) * max(len(names), 4),
        "margin": {"l": 20, "r": 20, "t": 20, "b": 20},
        "xaxis": {
            "title": {"text": "true class (estimated)"},
            "side": "top",
            "tickangle": _tick_angle(names),
            "showgrid": False,
            **names_axis(names),
        },
        "yaxis": {"title": {"text": "label"}, "autorange": "reversed", "showgrid": False, **names_axis(names)},
    }


def rate_traces(report: LabelReport) -> list[dict[str, Any]]:
    """Return the error rates of the 30 classes with the most wrong labels, with their intervals."""
    shown = _rated(report)
    percent = [round(100 * each.rate, 2) for each in shown]
    return [
        {
            "type": "bar",
            "orientation": "h",
            "y": [each.name for each in shown],
            "x": percent,
            "marker": {"color": ORANGE},
            "customdata": [[round(each.wrong, 1), each.labels] for each in shown],
            "hovertemplate": "%{y}: %{x} %<br>%{customdata[0]:,} of %{customdata[1]:,} labels<extra></extra>",
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [round(100 * (each.interval[1] - each.rate), 2) for each in shown],
                "arrayminus": [round(100 * (each.rate - each.interval[0]), 2) for each in shown],
                "color": GREY,
                "thickness": 1,
            },
        }
    ]


def rate_layout(report: LabelReport) -> dict[str, Any]:
    """Return the layout of the error rates."""
    names = [each.name for each in _rated(report)]
    return {
        "height": 90 + _row_height(names) * max(len(names), 3),
        "margin": {"l": 20, "r": 20, "t": 10, "b": 40},
        "xaxis": {"title": {"text": "wrong labels, % (90 % interval)"}, "rangemode": "tozero", "automargin": True},
        "yaxis": {"autorange": "reversed", **names_axis(names)},
        "bargap": 0.4,
    }


def pair_rows(report: LabelReport) -> list[dict[str, str]]:
    """Return the rows of the table of confused classes."""
    return [
        {
            "given": pair.given,
            "true": pair.true,
            "expected": f"{pair.expected:,.0f}" if pair.expected >= 1 else "< 1",
            "flagged": f"{pair.flagged:,}",
        }
        for pair in report.worst_pairs(MOST_PAIRS)
    ]


def _cells(names: list[str], z: np.ndarray, expected: np.ndarray, details: list[Any]) -> dict[str, Any]:
    """Return a trace whose cells are coloured by z; those without one stay empty."""
    return {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": [[None if np.isnan(value) else round(float(value), 4) for value in row] for row in z],
        "text": np.where(np.isnan(z), "", np.char.mod("%d", expected.round())).tolist(),
        "textfont": {"color": "#ffffff"},
        "texttemplate": "%{text}" if len(names) <= _NUMBERED_UP_TO else "",
        "customdata": details,
        "hovertemplate": (
            "label %{y}<br>image %{x}<br>%{customdata[0]:,} expected (%{customdata[2]} % of the label)"
            "<br>%{customdata[1]:,} flagged<extra></extra>"
        ),
        "hoverongaps": False,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }


def _rated(report: LabelReport) -> list[Any]:
    return [each for each in report.class_errors()[:MOST_CLASSES] if each.labels]


def _row_height(names: list[str]) -> int:
    return _ROW_HEIGHT if len(names) <= _NUMBERED_UP_TO else _LOW_ROW_HEIGHT


def _tick_angle(names: list[str]) -> int:
    return -40 if len(names) <= _NUMBERED_UP_TO else -90
