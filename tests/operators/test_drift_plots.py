from __future__ import annotations

import json
from typing import Any

import plotly.graph_objects as go
import pytest

from winnow.operators.drift_plots import (
    class_layout,
    class_traces,
    history_layout,
    history_traces,
    scatter_layout,
    scatter_traces,
)

POINTS = {
    "x": [0.0, 1.0, 2.0, 3.0],
    "y": [0.5, 0.5, 0.5, 9.0],
    "id": [None, None, "a", "b"],
    "side": ["reference", "reference", "current", "current"],
    "score": [None, None, 0.25, 0.75],
    "novel": [False, False, False, True],
}
CLASSES = [
    {"name": name, "p_value": 0.01, "effect_size": 0.5, "reference_mean": 0.25, "current_mean": 0.5}
    for name in ["7", "a class of a very long name", *map(str, range(20, 40))]
]
HISTORY = [
    {
        "time": f"2026-01-0{day}T00:00:00+00:00",
        "current": "split test",
        "reference": "split train",
        "is_drift": day == 2,
        "p_value": 0.5,
        "effect_size": 0.1 * day,
        "images": 100,
        "novel": 0,
    }
    for day in (1, 2)
]


@pytest.mark.parametrize(
    ("traces", "layout"),
    [
        (scatter_traces(POINTS), scatter_layout()),
        (class_traces(CLASSES), class_layout(CLASSES)),
        (history_traces(HISTORY), history_layout()),
        (class_traces([]), class_layout([])),
        (history_traces([]), history_layout()),
    ],
)
def test_plotly_accepts_every_plot_and_it_is_plain_json(traces: list[dict[str, Any]], layout: dict[str, Any]) -> None:
    assert len(go.Figure(traces, layout).data) == len(traces)
    assert json.loads(json.dumps([traces, layout], allow_nan=False))


def test_what_is_new_is_a_cloud_of_its_own_with_the_ids_of_its_samples() -> None:
    clouds = {trace["name"]: trace for trace in scatter_traces(POINTS)}

    assert {name: cloud["ids"] for name, cloud in clouds.items()} == {
        "reference": [None, None],
        "checked": ["a"],
        "new": ["b"],
    }
    assert clouds["new"]["text"] == ["drift score 0.75"]


def test_classes_keep_their_order_up_to_fifteen_and_long_names_are_cut() -> None:
    traces, layout = class_traces(CLASSES), class_layout(CLASSES)

    assert [trace["y"][0] for trace in traces] == [25.0, 50.0]
    assert all(trace["x"] == [each["name"] for each in CLASSES[:15]] for trace in traces)
    assert layout["xaxis"]["type"] == "category"
    assert layout["xaxis"]["ticktext"][:2] == ["7", "a class of a very…"]


def test_checks_that_found_a_drift_are_marked() -> None:
    colours = history_traces(HISTORY)[0]["marker"]["color"]

    assert colours[0] != colours[1]
