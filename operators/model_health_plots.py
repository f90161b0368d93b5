"""What the panel of a model's health draws, as plain Plotly, and the rows of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..plugin.workflows.health_figures import Health, Share, VersionHealth
from .panel_style import GREY, LEGEND, SERIES, names_axis

MOST_CLASSES = 30
_MOST_VERSIONS, _MOST_POINTS = 5, 300
_BANDS = ("rgba(255,109,4,.18)", "rgba(74,144,217,.18)", "rgba(46,158,99,.18)", "rgba(160,107,208,.18)",
          "rgba(154,154,154,.18)")  # fmt: skip
_ROW_HEIGHT = 26


def accuracy_traces(health: Health) -> list[dict[str, Any]]:
    """Return the rolling accuracy of the newest versions in percent, each with its interval."""
    drawn = [each for each in health.versions if len(each.times)][:_MOST_VERSIONS]
    return [trace for number, each in enumerate(drawn) for trace in _version_traces(each, number)]


def accuracy_layout() -> dict[str, Any]:
    """Return the layout of the rolling accuracy."""
    return {
        "height": 260,
        "margin": {"l": 55, "r": 20, "t": 30, "b": 40},
        "xaxis": {"type": "date", "tickangle": 0},
        "yaxis": {"title": {"text": "rolling accuracy, %"}},
        "legend": LEGEND,
        "showlegend": True,
    }


def recall_traces(health: Health) -> list[dict[str, Any]]:
    """Return the recall of the 30 worst classes in percent, and what was to be expected of each."""
    shown = health.classes[:MOST_CLASSES]
    names = [each.name for each in shown]
    bars = {
        "type": "bar",
        "orientation": "h",
        "name": "now",
        "y": names,
        "x": [_percent(each.recall.value) for each in shown],
        "marker": {"color": SERIES[0]},
        "customdata": [each.recall.of for each in shown],
        "hovertemplate": "%{y}: %{x} % of %{customdata:,} answers<extra></extra>",
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_percent(each.recall.high - each.recall.value) for each in shown],
            "arrayminus": [_percent(each.recall.value - each.recall.low) for each in shown],
            "color": GREY,
            "thickness": 1,
        },
    }
    expected = {
        "type": "scatter",
        "mode": "markers",
        "name": "when it was trained",
        "y": names,
        "x": [_percent(each.expected) for each in shown],
        "marker": {"symbol": "line-ns", "size": 14, "color": SERIES[1], "line": {"width": 3, "color": SERIES[1]}},
        "hovertemplate": "%{y}: %{x} % when it was trained<extra></extra>",
    }
    return [bars, expected] if any(value is not None for value in expected["x"]) else [bars]


def recall_layout(health: Health) -> dict[str, Any]:
    """Return the layout of the recall by class, the worst on top."""
    names = [each.name for each in health.classes[:MOST_CLASSES]]
    return {
        "height": 110 + _ROW_HEIGHT * max(len(names), 3),
        "margin": {"l": 20, "r": 20, "t": 30, "b": 40},
        "xaxis": {"title": {"text": "recall, % (95 % interval)"}, "range": [0, 101]},
        "yaxis": {**names_axis(names), "autorange": "reversed"},
        "bargap": 0.4,
        "legend": LEGEND,
        "showlegend": any(np.isfinite(each.expected) for each in health.classes),
    }


def moved_classes(health: Health) -> list[dict[str, Any]]:
    """Return the classes that moved, as `drift_plots.class_traces` takes them."""
    return [
        {
            "name": each.name,
            "p_value": each.p_value,
            "effect_size": each.effect,
            "reference_mean": each.before,
            "current_mean": each.now,
        }
        for each in health.moved
    ]


def drift_history(health: Health) -> list[dict[str, Any]]:
    """Return the checks for drift, as `drift_plots.history_traces` takes them."""
    return [
        {
            "time": each.time.isoformat(),
            "current": each.current,
            "reference": each.reference,
            "is_drift": each.is_drift,
            "p_value": each.p_value,
            "effect_size": round(each.effect, 4),
            "images": each.novel.of,
            "novel": round(each.novel.value * each.novel.of) if each.novel.known else 0,
        }
        for each in health.checks
    ]


def drift_points(health: Health) -> dict[str, list[Any]] | None:
    """Return the images of the newest check in the plane, as `drift_plots.scatter_traces` takes them."""
    cloud = health.scatter
    if cloud is None:
        return None
    places = np.round(np.concatenate([cloud.reference, cloud.current]).astype(float), 4)
    then, now = len(cloud.reference), len(cloud.current)
    return {
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
        "id": [None] * (then + now),
        "side": ["reference"] * then + ["current"] * now,
        "score": [None] * (then + now),
        "novel": [False] * then + cloud.novel.tolist(),
    }


def version_rows(health: Health) -> list[dict[str, str]]:
    """Return a row a version, the newest first."""
    return [
        {
            "version": each.version,
            "answers": f"{each.answers:,}",
            "accuracy": _words(each.accuracy),
            "overrides": _words(each.overrides),
            "blind": _words(each.blind),
        }
        for each in health.versions
    ]


def decision_rows(health: Health) -> list[dict[str, str]]:
    """Return a row a decision about training again, the newest first."""
    return [
        {
            "time": f"{each.time:%Y-%m-%d %H:%M}",
            "decision": f"{each.decision} (dry run)" if each.dry_run else each.decision,
            "reason": each.reason,
        }
        for each in health.decisions
    ]


def _version_traces(each: VersionHealth, number: int) -> list[dict[str, Any]]:
    rows = np.linspace(0, len(each.times) - 1, min(len(each.times), _MOST_POINTS)).round().astype(int)
    times = [datetime.fromtimestamp(float(at), UTC).isoformat() for at in each.times[rows]]
    edges = [_percents(edge[rows]) for edge in (each.high, each.low)]
    hidden = {"type": "scatter", "mode": "lines", "x": times, "line": {"width": 0}, "showlegend": False}
    quiet = {**hidden, "hoverinfo": "skip", "legendgroup": each.version}
    return [
        {**quiet, "y": edges[0]},
        {**quiet, "y": edges[1], "fill": "tonexty", "fillcolor": _BANDS[number]},
        {
            "type": "scatter",
            "mode": "lines",
            "name": each.version,
            "legendgroup": each.version,
            "x": times,
            "y": _percents(each.rolling[rows]),
            "line": {"color": SERIES[number]},
            "hovertemplate": "%{y} %<extra>" + each.version + "</extra>",
        },
    ]


def _percents(values: Sequence[float] | np.ndarray) -> list[float | None]:
    return [_percent(float(value)) for value in values]


def _percent(value: float) -> float | None:
    return round(100 * value, 2) if np.isfinite(value) else None


def _words(share: Share) -> str:
    return share.words() if share.known else ""
