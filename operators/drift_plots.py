"""What is drawn of a drift check, as plain Plotly: pure functions of what `workflows.drift_record` keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .panel_style import GREY, ORANGE, RED, names_axis

_MOST_CLASSES = 15


def scatter_traces(points: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return both sides in the plane: the reference in grey, what was checked in orange, what is new on top in red.

    Args:
        points: See `drift_record.points_of`; the ids of the samples are the points' `ids`.
    """
    places = range(len(points["x"]))
    reference = [place for place in places if points["side"][place] == "reference"]
    current = [place for place in places if points["side"][place] == "current"]
    return [
        _cloud(points, reference, "reference", GREY, 4),
        _cloud(points, [place for place in current if not points["novel"][place]], "checked", ORANGE, 5),
        _cloud(points, [place for place in current if points["novel"][place]], "new", RED, 7),
    ]


def scatter_layout() -> dict[str, Any]:
    """Return the layout of the plane, whose axes have no unit."""
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False}
    return {
        "height": 360,
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "xaxis": bare,
        "yaxis": {**bare, "scaleanchor": "x"},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.05},
        "showlegend": True,
        "hovermode": "closest",
    }


def class_traces(classes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return two bars a class, its mean probability then and now, in percent; those that moved furthest first.

    Args:
        classes: `classes` of a report's summary.
    """
    shown = classes[:_MOST_CLASSES]
    return [
        {
            "type": "bar",
            "name": title,
            "x": [each["name"] for each in shown],
            "y": [round(100 * each[key], 2) for each in shown],
            "marker": {"color": colour},
            "customdata": [[each["effect_size"], each["p_value"]] for each in shown],
            "hovertemplate": "%{x}: %{y} %<br>distance %{customdata[0]}, p = %{customdata[1]}<extra>"
            + title
            + "</extra>",
        }
        for title, key, colour in (("reference", "reference_mean", GREY), ("checked", "current_mean", ORANGE))
    ]


def class_layout(classes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the layout of the bars of classes."""
    names = [each["name"] for each in classes[:_MOST_CLASSES]]
    return {
        "height": 300,
        "margin": {"l": 55, "r": 20, "t": 10, "b": 20},
        "barmode": "group",
        "xaxis": names_axis(names),
        "yaxis": {"title": {"text": "mean probability, %"}, "rangemode": "tozero"},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.1},
        "showlegend": True,
    }


def history_traces(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the effect size of each check over time; a check that found a drift is marked.

    Args:
        history: See `drift_record.SavedDrift`.
    """
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": [each["time"] for each in history],
            "y": [each["effect_size"] for each in history],
            "line": {"color": GREY, "width": 1},
            "marker": {"color": [RED if each["is_drift"] else GREY for each in history], "size": 8},
            "customdata": [
                [each["current"], each["reference"], each["p_value"], each["images"], each["novel"]] for each in history
            ],
            "hovertemplate": (
                "%{x}: %{y}, p = %{customdata[2]}<br>%{customdata[0]} against %{customdata[1]}"
                "<br>%{customdata[3]:,} images, %{customdata[4]:,} new<extra></extra>"
            ),
        }
    ]


def history_layout() -> dict[str, Any]:
    """Return the layout of the checks over time."""
    return {
        "height": 240,
        "margin": {"l": 55, "r": 20, "t": 10, "b": 40},
        "xaxis": {"type": "date"},
        "yaxis": {"title": {"text": "effect size"}, "range": [0, 1]},
        "showlegend": False,
    }


def _cloud(points: dict[str, list[Any]], places: list[int], name: str, colour: str, size: int) -> dict[str, Any]:
    scores = [points["score"][place] for place in places]
    return {
        "type": "scattergl",
        "mode": "markers",
        "name": name,
        "x": [points["x"][place] for place in places],
        "y": [points["y"][place] for place in places],
        "ids": [points["id"][place] for place in places],
        "text": ["" if score is None else f"drift score {score:.2f}" for score in scores],
        "hovertemplate": "%{text}<extra>" + name + "</extra>",
        "marker": {"color": colour, "size": size, "opacity": 0.7},
    }
