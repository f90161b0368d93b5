"""The panel of a dataset's health, as the App calls it, and its plot."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import fiftyone as fo
import numpy as np
import pytest

from tests.dataset_healths import fill, save_duplicates, save_leaks
from tests.operators import panels
from tests.operators.panels import data_of, drawn
from winnow.operators import OPERATORS
from winnow.operators import dataset_health_plots as plots
from winnow.plugin.datasets.class_counts import ClassCounts

sent_by = partial(panels.sent_by, "dataset_health")


@pytest.fixture
def pets(dataset: Callable[..., fo.Dataset]) -> fo.Dataset:
    made = dataset()
    ids = fill(made)
    save_duplicates(made, [(ids[1], ids[2])])
    save_leaks(made, {ids[0]: "same file", ids[1]: "same file"})
    return made


def counts(classes: int, splits: tuple[str, ...] = ("train", "test")) -> ClassCounts:
    """Return classes of 1, 2, 3, ... images a split."""
    images = np.repeat(np.arange(1, classes + 1)[:, None], len(splits), axis=1)
    none = np.zeros(len(splits), np.int64)
    return ClassCounts(tuple(f"c{row:02}" for row in range(classes)), splits, images, none, images.sum(axis=0))


def buttons_of(shown: dict, figure: str) -> dict:
    """Return the buttons of a figure by their label."""
    row = shown[figure]["type"]["properties"]["buttons"]["type"]["properties"]
    return {each["view"]["label"]: each["view"] for each in row.values()}


def test_what_needs_attention_is_drawn_first(pets: fo.Dataset) -> None:
    shown = drawn(sent_by(pets))

    names = list(shown)
    assert shown["headline"]["default"].startswith("**2 things need attention.**")
    assert names.index("leaks") < names.index("duplicates") < names.index("unknown_head") < names.index("good_head")
    assert "1 image is a copy of another: 1.6 %." in shown["duplicates"]["type"]["properties"]["text"]["default"]


def test_button_shows_the_samples_by_what_their_fields_say(pets: fo.Dataset) -> None:
    show = buttons_of(drawn(sent_by(pets)), "duplicates")["Show the 1 copy"]

    sent = sent_by(pets, "show", **show["params"])

    stages = sent["set_view"][0]["view"]
    copy = pets.match({"duplicate_role": "copy"}).first().id
    assert fo.DatasetView._build(pets, stages).values("id") == [copy]
    assert copy not in json.dumps(stages)


def test_button_opens_the_operator_that_mends_it(pets: fo.Dataset) -> None:
    mend = buttons_of(drawn(sent_by(pets)), "duplicates")["Delete copies"]

    assert (mend["operator"], mend["prompt"], mend["params"]) == (
        "@winnow/curation/delete_samples",
        True,
        {"what": "copies"},
    )


def test_every_button_opens_an_operator_that_there_is(pets: fo.Dataset) -> None:
    known = {
        f"@winnow/curation/{operator.operator_name}" for operator in OPERATORS if hasattr(operator, "operator_name")
    }

    shown = drawn(sent_by(pets))

    figures = [name for name in shown if "buttons" in shown[name]["type"].get("properties", {})]
    opened = {each["operator"] for name in figures for each in buttons_of(shown, name).values() if each["prompt"]}
    assert len(opened) >= 5
    assert opened <= known


def test_samples_that_are_gone_are_told(pets: fo.Dataset) -> None:
    sent = sent_by(pets, "show", figure="duplicates", key="conflicts")

    assert "Count again" in sent["notify"][0]["message"]
    assert "set_view" not in sent


def test_click_on_a_bar_shows_a_class_in_a_split(pets: fo.Dataset) -> None:
    sent = sent_by(pets, "on_bar", y="dog", trace_idx=1, panel_state={"shown": {"splits": ["train", "test"]}})

    view = fo.DatasetView._build(pets, sent["set_view"][0]["view"])
    assert set(view.values("ground_truth.label")) == {"dog"}
    assert set(view.values("split")) == {"test"}


def test_more_of_a_figure_is_in_a_panel_of_its_own(pets: fo.Dataset) -> None:
    sent = sent_by(pets, "open_panel", panel="label_report")

    assert sent["open_panel"][0]["name"] == "label_report"


def test_plot_has_a_bar_a_class_and_split(pets: fo.Dataset) -> None:
    (traces,) = (value for name, value in data_of(sent_by(pets)).items() if name.startswith("balance"))

    assert [(trace["name"], trace["y"], trace["customdata"]) for trace in traces] == [
        ("train", ["cat", "dog"], [30, 18]),
        ("test", ["cat", "dog"], [10, 6]),
    ]
    assert sum(traces[0]["x"]) == pytest.approx(100)


def test_dataset_without_labels_is_drawn_without_a_plot(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    made.add_sample(fo.Sample(filepath="/nowhere/1.png", media_type="image"))

    shown = drawn(sent_by(made))

    assert "balance_head" not in shown
    assert "There is no field of labels." in shown["unlabelled"]["type"]["properties"]["text"]["default"]


def test_of_many_classes_the_largest_and_the_smallest_are_drawn() -> None:
    many = counts(100)

    (trace, _), layout = plots.balance_traces(many), plots.balance_layout(many)

    assert trace["y"][:2] == ["c99", "c98"]
    assert trace["y"][-1] == "c00"
    assert len(trace["y"]) == len(layout["yaxis"]["tickvals"]) == 30
    assert "the 15 largest and the 15 smallest of 100" in plots.balance_head(many)
    json.dumps([plots.balance_traces(many), layout], allow_nan=False)
