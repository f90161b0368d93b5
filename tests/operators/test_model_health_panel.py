"""The panel of a model's health, as the App calls it, and its plots."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import fiftyone as fo
import pytest

from tests.healths import HOSTILE, answer, health, make_classifier, serve
from tests.operators import panels
from tests.operators.panels import data_of, drawn
from winnow.operators import model_health_plots as plots
from winnow.plugin.datasets.fields import write_values
from winnow.plugin.datasets.runs import save_run
from winnow.plugin.training.versions import default_state
from winnow.plugin.workflows.classifiers import PROMOTED
from winnow.plugin.workflows.drift_record import RUN

sent_by = partial(panels.sent_by, "model_health")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_classifier(tmp_path / "pets")


@pytest.fixture
def at_work(dataset: Callable[..., fo.Dataset], folder: Path) -> fo.Dataset:
    """Return a dataset whose classifier's predictions were answered: of six in sight, the first was changed."""
    made = answer(dataset())
    made.info[PROMOTED] = {"folder": str(folder), "version": "v1"}
    made.save()
    return made


def test_without_a_classifier_the_panel_says_how_to_get_one(dataset: Callable[..., fo.Dataset]) -> None:
    shown = drawn(sent_by(dataset()))

    assert "No classifier yet" in shown["nothing"]["default"]
    assert "headline" not in shown


def test_three_signals_come_first_and_what_is_not_known_is_named(at_work: fo.Dataset) -> None:
    shown = drawn(sent_by(at_work))

    signals = [name for name in shown if name.startswith("lead_")]
    assert signals == ["lead_overrides", "lead_recall", "lead_novel"]
    assert "**Overridden by annotators: 16.7 %** (95 % interval 0.4 to 64.1 %)" in shown["lead_overrides"]["default"]
    assert "winnow drift" in shown["missing"]["default"]
    assert shown["check"]["view"]["operator"] == "@winnow/curation/check_drift"


def test_nothing_is_plotted_of_what_is_not_known(at_work: fo.Dataset) -> None:
    shown = drawn(sent_by(at_work))

    assert "recall_head" in shown
    assert not {"accuracy_head", "drift_head", "scatter_head", "compare"} & set(shown)


def test_overridden_samples_are_shown_by_what_their_fields_say(at_work: fo.Dataset) -> None:
    sent = sent_by(at_work, "show_overridden")

    stages = sent["set_view"][0]["view"]
    view = fo.DatasetView._build(at_work, stages)
    assert view.values("id") == at_work.values("id")[:1]
    assert str(view.first().id) not in json.dumps(stages)


def test_click_on_a_class_shows_what_was_missed_of_it(at_work: fo.Dataset) -> None:
    sent = sent_by(at_work, "on_class", y="dog")

    view = fo.DatasetView._build(at_work, sent["set_view"][0]["view"])
    assert sorted(view.values("id")) == sorted(at_work.values("id")[row] for row in (0, 6))


def test_samples_unlike_the_training_are_shown_once_a_check_has_marked_them(at_work: fo.Dataset) -> None:
    ids = at_work.values("id")
    before = sent_by(at_work, "show_novel")
    write_values(at_work, "drift_score", ids[:3], [0.7, 0.9, 0.2], kind="float")
    write_values(at_work, "drift_novel", ids[:3], [True, True, False], kind="bool")
    fields = {"novel_field": "drift_novel", "score_field": "drift_score"}
    save_run(at_work, RUN, method="check_drift", params=fields, fields=list(fields.values()), summary={})

    after = sent_by(at_work, "show_novel")

    assert before["notify"][0]["message"] == "This dataset holds no image unlike anything trained on."
    assert fo.DatasetView._build(at_work, after["set_view"][0]["view"]).values("id") == [ids[1], ids[0]]


def test_what_is_served_is_compared_when_asked_for(at_work: fo.Dataset, folder: Path) -> None:
    serve(default_state(folder), ["cat", "dog"] * 40, ["cat"] * 80, shift=3.0)

    first, compared = sent_by(at_work), sent_by(at_work, "compare")

    assert "compare" in drawn(first)
    assert "scatter_head" not in drawn(first)
    (trace, *_) = next(traces for name, traces in data_of(compared).items() if name.startswith("scatter"))
    assert len(trace["x"]) == 120  # those of the reference


def test_classifier_that_is_damaged_is_told(at_work: fo.Dataset, folder: Path) -> None:
    (folder / "reference.safetensors").write_bytes(b"nothing")

    shown = drawn(sent_by(at_work))

    assert "is damaged" in shown["error"]["view"]["label"]


def test_what_is_drawn_is_plain_json() -> None:
    known = health()

    traces = [plots.accuracy_traces(known), plots.recall_traces(known), plots.drift_points(known)]
    rows = [
        plots.version_rows(known),
        plots.decision_rows(known),
        plots.drift_history(known),
        plots.moved_classes(known),
    ]

    json.dumps([traces, rows, plots.accuracy_layout(), plots.recall_layout(known)], allow_nan=False)


def test_each_check_tells_how_many_images_were_unlike_the_training() -> None:
    history = plots.drift_history(health())

    assert [(each["is_drift"], each["novel"], each["images"]) for each in history] == [(False, 1, 100), (True, 30, 100)]


def test_versions_have_lines_of_their_own_and_bands_around_them() -> None:
    (version,) = health().versions
    two = health(versions=())
    both = replace(two, versions=(version, replace(version, version="old")))

    traces = plots.accuracy_traces(both)

    assert [trace["name"] for trace in traces if "name" in trace] == ["new", "old"]
    assert len({trace["line"]["color"] for trace in traces if "name" in trace}) == 2
    assert sum(trace.get("fill") == "tonexty" for trace in traces) == 2


def test_worst_class_is_on_top_and_long_names_are_cut() -> None:
    layout = plots.recall_layout(health())

    assert layout["yaxis"]["autorange"] == "reversed"
    assert layout["yaxis"]["tickvals"][0] == "dog"
    assert HOSTILE in layout["yaxis"]["tickvals"]
    assert all(len(name) <= 18 for name in layout["yaxis"]["ticktext"])
