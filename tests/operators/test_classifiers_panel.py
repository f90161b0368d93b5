"""The panel of classifiers, as the App calls it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from tests.classifier_folders import classifier_folder, predict
from tests.operators import panels
from tests.operators.panels import data_of, drawn
from winnow.plugin.workflows.classifiers import find_classifier
from winnow.plugin.workflows.evaluate import EvaluateParams, evaluate_predictions

sent_by = partial(panels.sent_by, "classifiers")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "home"))


@pytest.fixture
def two(colours: fo.Dataset) -> tuple[Path, Path]:
    """Save a probe, and a network that was trained after it and has curves."""
    return (
        classifier_folder(colours, "probe", number=1, preset="probe"),
        classifier_folder(colours, "network", number=2, curves=True),
    )


def named(given: dict[str, Any], prefix: str) -> Any:
    """Return the one value whose name begins so."""
    (found,) = (value for name, value in given.items() if name.startswith(prefix))
    return found


def state(*others: Path, chosen: Path) -> dict[str, Any]:
    return {"chosen": str(chosen), "others": [str(folder) for folder in others]}


def measure(dataset: fo.Dataset, field: str, version: str, wrong: int) -> None:
    labels = dataset.values("ground_truth.label")
    said = ["green" if row < wrong and label == "blue" else label for row, label in enumerate(labels)]
    predict(dataset, field, version, said)
    evaluate_predictions(dataset, EvaluateParams(field))


def test_without_a_classifier_the_panel_offers_to_train_one(colours: fo.Dataset) -> None:
    shown = drawn(sent_by(colours))

    assert "No classifier yet" in shown["nothing"]["default"]
    assert shown["train"]["view"]["operator"] == "@winnow/curation/train_classifier"


def test_the_newest_classifier_is_shown_with_its_curves(colours: fo.Dataset, two: tuple[Path, Path]) -> None:
    sent = sent_by(colours)
    traces = named(data_of(sent), "curves_")

    assert [row["name"] for row in data_of(sent)["entries_2"]] == ["network", "probe"]
    assert drawn(sent)["head"]["default"].startswith("**network**, version `version2`")
    assert [(trace["name"], trace["x"]) for trace in traces] == [
        ("training loss", [0.5, 1.0, 2.0]),
        ("accuracy", [1.0, 2.0]),
    ]


def test_curves_of_compared_classifiers_lie_over_each_other_in_different_colours(
    colours: fo.Dataset, two: tuple[Path, Path]
) -> None:
    third = classifier_folder(colours, "third", number=3, curves=True)

    sent = sent_by(colours, panel_state=state(two[1], chosen=third))

    traces = named(data_of(sent), "curves_")
    assert [trace["name"] for trace in traces] == [
        "third: training loss",
        "third: accuracy",
        "network: training loss",
        "network: accuracy",
    ]
    assert traces[1]["line"]["color"] != traces[3]["line"]["color"]


def test_choosing_others_shows_figures_and_what_differs(colours: fo.Dataset, two: tuple[Path, Path]) -> None:
    measure(colours, "one", "version1", wrong=0)
    measure(colours, "two", "version2", wrong=12)

    sent = sent_by(colours, "choose_others", value=[str(two[0])])
    data = data_of(sent)

    scores = named(data, "scores_")
    assert [(row["name"], row["on"]) for row in scores] == [("network", "12 of test"), ("probe", "12 of test")]
    assert scores[1]["accuracy"] == "100.0%"
    assert {row["setting"]: (row["of_0"], row["of_1"]) for row in named(data, "differences_")} == {
        "preset": ("quick", "probe"),
        "kept": ("fine-tuned", "probe"),
    }
    assert drawn(sent)["compare"]["view"]["params"] == {"prediction_field": "two", "other_field": "one"}


def test_a_click_on_a_confusion_shows_its_samples(colours: fo.Dataset, two: tuple[Path, Path]) -> None:
    test = colours.match_tags("test")
    blue = test.match(fo.ViewField("ground_truth.label") == "blue").values("id")
    ids, given = colours.values(["id", "ground_truth.label"])
    labels = ["green" if key in blue[:2] else label for key, label in zip(ids, given, strict=True)]
    predict(colours, "two", "version2", labels)
    evaluate_predictions(colours, EvaluateParams("two"))

    told, sent = sent_by(colours), sent_by(colours, "on_confusion", row=0)

    assert named(data_of(told), "confusions_") == [{"label": "blue", "prediction": "green", "images": 2}]
    view = fo.DatasetView._build(colours, sent["set_view"][0]["view"])
    assert sorted(view.values("id")) == sorted(blue[:2])


def test_a_classifier_is_taken_into_use(colours: fo.Dataset, two: tuple[Path, Path]) -> None:
    sent = sent_by(colours, "promote", panel_state=state(chosen=two[0]))

    colours.reload()
    assert find_classifier(colours, None).name == "probe"
    assert sent["notify"][0]["variant"] == "success"


def test_a_training_that_goes_on_is_looked_at_again_and_again(colours: fo.Dataset, two: tuple[Path, Path]) -> None:
    finished = drawn(sent_by(colours))
    classifier_folder(colours, f"{colours.name}-3", number=3, curves=True, finished=False)

    going = drawn(sent_by(colours))

    assert "timer" not in finished
    assert "timer" in going
    assert "still in training" in going["head"]["default"]
