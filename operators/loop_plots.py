"""What the panel of a loop draws, as plain Plotly, and the rows of its tables."""

from __future__ import annotations

from typing import Any

from .panel_style import GREY, ORANGE

_MOST_CLASSES = 15


def curve_traces(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the learning curve of a loop's summary, in percent, with its intervals."""
    points = [point for point in summary["rounds"] if point["score"] is not None]
    scores = [100 * point["score"] for point in points]
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": [point["labels"] for point in points],
            "y": [round(score, 2) for score in scores],
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": [round(100 * point["interval"][1] - y, 2) for point, y in zip(points, scores, strict=True)],
                "arrayminus": [
                    round(y - 100 * point["interval"][0], 2) for point, y in zip(points, scores, strict=True)
                ],
                "color": GREY,
                "thickness": 1,
            },
            "text": [f"round {point['round']}" for point in points],
            "hovertemplate": "%{text}: %{x:,} labels, %{y:.1f} %<extra></extra>",
            "line": {"color": ORANGE},
            "marker": {"color": ORANGE, "size": 8},
        }
    ]


def curve_layout(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the layout of the learning curve."""
    return {
        "height": 280,
        "margin": {"l": 55, "r": 20, "t": 10, "b": 45},
        "xaxis": {"title": {"text": "labels to train on"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": f"{summary['metric']}, %"}},
        "showlegend": False,
    }


def round_rows(summary: dict[str, Any]) -> list[dict[str, str]]:
    """Return a row a round, the newest first."""
    return [_round_row(point) for point in reversed(summary["rounds"])]


def class_rows(summary: dict[str, Any]) -> list[dict[str, str]]:
    """Return what the last trained round did for each class, those first of which it brought most."""
    trained = [point for point in summary["rounds"] if point["trained"]]
    if not trained:
        return []
    return [
        {
            "name": name,
            "added": f"+{of['added']:,}",
            "labels": f"{of['labels']:,}",
            "before": _percent(of["found_before"]),
            "found": _percent(of["found"]),
        }
        for name, of in list(trained[-1]["classes"].items())[:_MOST_CLASSES]
    ]


def _round_row(point: dict[str, Any]) -> dict[str, str]:
    gain, (low, high) = point["gain"], point["gain_interval"]
    interval = point["interval"]
    return {
        "round": str(point["round"]),
        "labels": f"{point['labels']:,}",
        "score": _percent(point["score"]) or point["why_not"] or "not measured",
        "interval": "" if point["score"] is None else f"{_percent(interval[0])} to {_percent(interval[1])}",
        "gain": "" if gain is None else f"{100 * gain:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})",
    }


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
