"""The panel of the label report, as the App calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from tests.label_reports import fill, save_report
from tests.label_sets import make_judged
from tests.operators import panels
from tests.operators.panels import data_of, drawn


@pytest.fixture
def judged(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> fo.Dataset:
    made = dataset()
    fill(made, tmp_path)
    return made


sent_by = partial(panels.sent_by, "label_report")


def labels_shown(sent: dict[str, list[dict[str, Any]]], dataset: fo.Dataset) -> list[str]:
    view = fo.DatasetView._build(dataset, sent["set_view"][0]["view"])
    return view.values("ground_truth.label")


def test_without_a_run_the_panel_says_which_job_to_run(dataset: Callable[..., fo.Dataset]) -> None:
    shown = drawn(sent_by(dataset()))

    assert "find label issues" in shown["nothing"]["default"]
    assert shown["run"]["view"]["operator"] == "@winnow/curation/find_label_issues"
    assert "matrix" not in shown


def test_matrix_rates_and_pairs_are_drawn(judged: fo.Dataset) -> None:
    sent = sent_by(judged)
    data = data_of(sent)

    assert {"head", "matrix", "rates", "pairs"} <= set(drawn(sent))
    assert "6 labels of `ground_truth` flagged" in drawn(sent)["head"]["default"]
    assert data["matrix"][0]["customdata"][0][1][:2] == [4.0, 4]
    assert data["rates"][0]["y"][0] == "cat"
    assert [(row["given"], row["true"], row["flagged"]) for row in data["pairs"]] == [
        ("cat", "dog", "4"),
        ("dog", "犬", "2"),
    ]


def test_click_on_a_cell_shows_its_flagged_samples(judged: fo.Dataset) -> None:
    assert labels_shown(sent_by(judged, "on_cell", y="cat", x="dog"), judged) == ["cat"] * 4


def test_click_on_the_diagonal_or_a_bar_shows_all_flagged_samples_of_the_class(judged: fo.Dataset) -> None:
    assert sorted(labels_shown(sent_by(judged, "on_cell", y="dog", x="dog"), judged)) == ["Dog", "dog"]
    assert sorted(labels_shown(sent_by(judged, "on_bar", y="dog", x=16.7), judged)) == ["Dog", "dog"]


def test_rows_of_the_table_can_be_clicked(judged: fo.Dataset) -> None:
    table = drawn(sent_by(judged))["pairs"]["view"]

    assert table["on_click_row"] == "@winnow/curation/label_report#on_row"


def test_click_on_a_row_of_the_table_shows_its_samples(judged: fo.Dataset) -> None:
    assert sorted(labels_shown(sent_by(judged, "on_row", row=1), judged)) == ["Dog", "dog"]


def test_click_on_a_cell_without_flagged_samples_says_so_and_keeps_the_view(judged: fo.Dataset) -> None:
    sent = sent_by(judged, "on_cell", y="犬", x="cat")

    assert "set_view" not in sent
    assert sent["notify"][0]["message"] == "No label '犬' is flagged as 'cat'."


def test_report_that_is_older_than_the_dataset_says_so(judged: fo.Dataset) -> None:
    judged.add_sample(fo.Sample(filepath="new.png", media_type="image"))

    assert "1 samples were added" in drawn(sent_by(judged))["stale"]["view"]["label"]


def test_where_nothing_is_certainly_wrong_the_report_says_so(judged: fo.Dataset) -> None:
    save_report(judged, {("cat", "dog"): 4}, noise="none")

    head = drawn(sent_by(judged))["head"]

    assert "4 labels of `ground_truth` flagged, none of them certainly wrong." in str(head)


# Several labels an image


@pytest.fixture
def judged_sets(tmp_path: Path) -> Iterator[fo.Dataset]:
    made = make_judged(tmp_path)
    yield made
    made.delete()


def test_of_several_labels_an_image_a_table_of_classes_is_drawn(judged_sets: fo.Dataset) -> None:
    sent = sent_by(judged_sets)

    assert "4 labels of `things` flagged, 4 expected" in drawn(sent)["head"]["default"]
    assert drawn(sent)["classes"]["view"]["on_click_row"] == "@winnow/curation/label_report#on_class"
    assert "matrix" not in drawn(sent)
    assert data_of(sent)["classes"] == [
        {"label": "fox", "missing": 1, "extra": 1},
        {"label": "cat", "missing": 1, "extra": 0},
        {"label": "dog", "missing": 0, "extra": 1},
    ]


def test_click_on_a_class_shows_the_images_whose_labels_lack_it_or_have_it_too_many(judged_sets: fo.Dataset) -> None:
    sent = sent_by(judged_sets, "on_class", row=0)

    view = fo.DatasetView._build(judged_sets, sent["set_view"][0]["view"])
    assert view.values("id") == [judged_sets.values("id")[row] for row in (0, 2)]
