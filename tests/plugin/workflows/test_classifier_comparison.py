"""Classifiers side by side: what was measured of each is kept, and only that in which they differ is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import pytest

from tests.classifier_folders import classifier_folder, predict
from winnow.plugin.workflows.classifier_comparison import ClassifierComparison, Difference, compare_classifiers
from winnow.plugin.workflows.classifiers import list_classifiers
from winnow.plugin.workflows.evaluate import EvaluateParams, evaluate_predictions
from winnow.plugin.workflows.measured_classifiers import confused_samples, read_measured

LABELS = ["cat", "cat", "cat", "dog", "dog", "dog"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "home"))


@pytest.fixture
def six(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> fo.Dataset:
    made = dataset()
    made.add_samples(
        fo.Sample(
            filepath=str(tmp_path / f"{row}.png"), media_type="image", ground_truth=fo.Classification(label=label)
        )
        for row, label in enumerate(LABELS)
    )
    return made


def compared(made: fo.Dataset, *folders: Path) -> ClassifierComparison:
    return compare_classifiers(made, list_classifiers(made).entries, [str(folder) for folder in folders])


def test_only_settings_that_differ_are_told(six: fo.Dataset) -> None:
    first = classifier_folder(six, "first", number=1, mixup=0.0)
    second = classifier_folder(six, "second", number=2, mixup=0.25, amp=False)

    found = compared(six, second, first)

    assert found.differences == (Difference("amp", ("no", "yes")), Difference("mixup", ("0.25", "0")))


def test_a_training_that_goes_on_makes_no_differences(six: fo.Dataset) -> None:
    first = classifier_folder(six, "first", number=1)
    going = classifier_folder(six, f"{six.name}-2", number=2, curves=True, finished=False)

    found = compared(six, going, first)

    assert [entry.name for entry in found.entries] == [going.name, "first"]
    assert found.differences == ()


def test_a_classifier_that_is_gone_is_passed_over(six: fo.Dataset) -> None:
    first = classifier_folder(six, "first", number=1)

    found = compared(six, first, first.parent / "gone")

    assert [entry.name for entry in found.entries] == ["first"]


def test_figures_of_a_classifier_outlast_the_evaluation_of_another(six: fo.Dataset) -> None:
    predict(six, "one", "version1", ["cat", "cat", "dog", "dog", "dog", "dog"])
    predict(six, "two", "version2", LABELS)

    for field in ("one", "two"):
        evaluate_predictions(six, EvaluateParams(field))

    measured = read_measured(six)
    assert list(measured) == ["version1", "version2"]
    assert measured["version1"].shown("accuracy") == "83.3%"
    assert measured["version2"].shown("accuracy") == "100.0%"
    assert measured["version1"].confusions == (("cat", "dog", 1),)


def test_predictions_of_two_classifiers_in_one_field_are_no_figure_of_either(six: fo.Dataset) -> None:
    predict(six, "one", "version1", LABELS)
    sample = six.first()
    sample.one.model_version = "version2"
    sample.save()

    evaluate_predictions(six, EvaluateParams("one"))

    assert read_measured(six) == {}


def test_figures_of_different_images_and_missing_ones_are_pointed_out(six: fo.Dataset) -> None:
    folders = [classifier_folder(six, name, number=number) for number, name in enumerate(("a", "b", "c"), start=1)]
    predict(six, "one", "version1", LABELS)
    predict(six, "two", "version2", LABELS)
    evaluate_predictions(six, EvaluateParams("one"))
    evaluate_predictions(six.limit(4), EvaluateParams("two"))

    found = compared(six, *folders)

    assert found.fields == ("one", "two")
    assert found.notes[0].startswith("Not evaluated yet: c.")
    assert "different images (4 of all labelled images, 6 of all labelled images)" in found.notes[1]


def test_the_samples_of_a_confusion_are_found(six: fo.Dataset) -> None:
    predict(six, "one", "version1", ["cat", "dog", "cat", "dog", "dog", "cat"])
    evaluate_predictions(six, EvaluateParams("one"))
    measured = read_measured(six)["version1"]

    found = confused_samples(six, measured, "cat", "dog")

    assert found is not None
    assert found.values("id") == six.values("id")[1:2]
