from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import pytest
import torch

from tests.small_classifier import small_classifier
from winnow.plugin.datasets.runs import save_run
from winnow.plugin.errors import ClassifierError
from winnow.plugin.home import winnow_home
from winnow.plugin.training.classifier import save_classifier
from winnow.plugin.workflows.classifiers import (
    delete_classifier,
    find_classifier,
    list_classifiers,
    promote_classifier,
)


def classifier_of(dataset: fo.Dataset, folder: Path, bias: float) -> str:
    """Save a classifier as training leaves it; return its version."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "dataset": dataset.name,
        "trained_at": f"2026-01-0{round(bias) + 1}T00:00:00+00:00",
        "kept": "probe",
        "metric": "accuracy",
        "validation": {"probe": 0.75},
        "training_images": 24,
        "training_fingerprint": "abc",
    }
    made = small_classifier(folder.parent, details=about)
    with torch.no_grad():
        made.network.head.bias += bias
    save_classifier(made, folder)
    return made.version


@pytest.fixture
def two(some: fo.Dataset) -> list[str]:
    """Save two classifiers, the second in a folder of its own that only a training run tells of."""
    first = classifier_of(some, winnow_home() / "classifiers" / some.name, 0)
    second = classifier_of(some, winnow_home() / "elsewhere" / "second", 1)
    folder = str(winnow_home() / "elsewhere" / "second")
    save_run(some, "winnow_training", method="test", params={}, fields=[], summary={"classifier": folder})
    return [first, second]


def names(dataset: fo.Dataset) -> list[str]:
    return [entry.name for entry in list_classifiers(dataset).entries]


def test_classifiers_of_a_dataset_are_listed_wherever_they_lie(two: list[str], some: fo.Dataset) -> None:
    assert set(names(some)) == {some.name, "second"}
    entry = find_classifier(some, "second")
    assert entry.version == two[1]
    assert (entry.training_images, entry.validation, entry.classes) == (24, 0.75, 3)


def test_classifiers_of_other_datasets_are_not_listed(two: list[str]) -> None:
    other = fo.Dataset()

    assert names(other) == []
    with pytest.raises(ClassifierError, match=r"there are: none\. `winnow train` makes one"):
        find_classifier(other, None)
    other.delete()


def test_what_is_promoted_is_taken_where_no_name_is_given(two: list[str], some: fo.Dataset) -> None:
    promoted = promote_classifier(some, some.name)
    again = promote_classifier(some, two[1])
    some.reload()

    assert (promoted.before, again.before) == ("", two[0])
    assert find_classifier(some, None).name == "second"
    assert [entry.name for entry in list_classifiers(some).entries if entry.promoted] == ["second"]


def test_a_classifier_that_was_replaced_is_not_the_promoted_one(two: list[str], some: fo.Dataset) -> None:
    promote_classifier(some, "second")

    classifier_of(some, winnow_home() / "elsewhere" / "second", 2)

    assert not [entry for entry in list_classifiers(some).entries if entry.promoted]


def test_a_deleted_classifier_lies_in_the_trash(two: list[str], some: fo.Dataset) -> None:
    promote_classifier(some, "second")

    done = delete_classifier(some, some.name)

    assert names(some) == ["second"]
    assert (done.moved_to / "model.safetensors").exists()
    assert done.moved_to.parent == winnow_home() / "trash" / "classifiers"


def test_the_classifier_in_use_is_not_deleted(two: list[str], some: fo.Dataset) -> None:
    promote_classifier(some, "second")

    with pytest.raises(ClassifierError, match=r"'second' is in use\. Promote another"):
        delete_classifier(some, "second")


def test_an_unknown_name_is_answered_with_the_known_ones(two: list[str], some: fo.Dataset) -> None:
    with pytest.raises(ClassifierError, match=f"no classifier 'best' of '{some.name}'; there are: .*second"):
        promote_classifier(some, "best")


def test_a_training_that_has_not_ended_is_listed_with_its_curve(some: fo.Dataset) -> None:
    logs = winnow_home() / "classifiers" / f"{some.name}-9" / "logs"
    logs.mkdir(parents=True)
    (logs / "curves.csv").write_text("step,epoch,loss\n3,0.5,1.25\n")

    (entry,) = [entry for entry in list_classifiers(some).entries if entry.name.endswith("-9")]

    assert entry.version == ""
    assert entry.curves() == [{"step": 3, "epoch": 0.5, "loss": 1.25}]
    with pytest.raises(ClassifierError):
        find_classifier(some, entry.name)


def test_a_damaged_description_is_passed_over(two: list[str], some: fo.Dataset) -> None:
    (winnow_home() / "classifiers" / some.name / "classifier.json").write_text("{")

    assert names(some) == ["second"]
