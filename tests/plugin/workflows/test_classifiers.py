from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import pytest

from winnow.plugin.errors import ClassifierError
from winnow.plugin.home import winnow_home
from winnow.plugin.workflows.classifiers import (
    delete_classifier,
    find_classifier,
    list_classifiers,
    promote_classifier,
)
from winnow.plugin.workflows.train import TrainParams, TrainReport, train_classifier


@pytest.fixture
def two(some: fo.Dataset) -> list[TrainReport]:
    """Train two probes, the second with a name and a folder of its own."""
    first = train_classifier(some, TrainParams(preset="probe"))
    second = train_classifier(some, TrainParams(preset="probe", seed=1, output=winnow_home() / "elsewhere"))
    return [first, second]


def names(dataset: fo.Dataset) -> list[str]:
    return [entry.name for entry in list_classifiers(dataset).entries]


def test_classifiers_of_a_dataset_are_listed_wherever_they_lie(two: list[TrainReport], some: fo.Dataset) -> None:
    assert set(names(some)) == {some.name, "elsewhere"}
    entry = find_classifier(some, "elsewhere")
    assert entry.version == two[1].trained.classifier.version
    assert entry.training_images == two[1].selection.train.sum()
    assert entry.validation == pytest.approx(two[1].trained.validation["probe"])


def test_classifiers_of_other_datasets_are_not_listed(two: list[TrainReport]) -> None:
    other = fo.Dataset()

    assert names(other) == []
    with pytest.raises(ClassifierError, match=r"there are: none\. `winnow train` makes one"):
        find_classifier(other, None)
    other.delete()


def test_what_is_promoted_is_taken_where_no_name_is_given(two: list[TrainReport], some: fo.Dataset) -> None:
    promoted = promote_classifier(some, some.name)
    again = promote_classifier(some, two[1].trained.classifier.version)
    some.reload()

    assert (promoted.before, again.before) == ("", two[0].trained.classifier.version)
    assert find_classifier(some, None).name == "elsewhere"
    assert [entry.name for entry in list_classifiers(some).entries if entry.promoted] == ["elsewhere"]


def test_a_classifier_that_was_replaced_is_not_the_promoted_one(two: list[TrainReport], some: fo.Dataset) -> None:
    promote_classifier(some, "elsewhere")

    train_classifier(some, TrainParams(preset="probe", seed=2, output=winnow_home() / "elsewhere"))

    assert not [entry for entry in list_classifiers(some).entries if entry.promoted]


def test_a_deleted_classifier_lies_in_the_trash(two: list[TrainReport], some: fo.Dataset) -> None:
    promote_classifier(some, "elsewhere")

    done = delete_classifier(some, some.name)

    assert names(some) == ["elsewhere"]
    assert (done.moved_to / "model.safetensors").exists()
    assert done.moved_to.parent == winnow_home() / "trash" / "classifiers"


def test_the_classifier_in_use_is_not_deleted(two: list[TrainReport], some: fo.Dataset) -> None:
    promote_classifier(some, "elsewhere")

    with pytest.raises(ClassifierError, match=r"'elsewhere' is in use\. Promote another"):
        delete_classifier(some, "elsewhere")


def test_an_unknown_name_is_answered_with_the_known_ones(two: list[TrainReport], some: fo.Dataset) -> None:
    with pytest.raises(ClassifierError, match=f"no classifier 'best' of '{some.name}'; there are: .*elsewhere"):
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


def test_a_damaged_description_is_passed_over(two: list[TrainReport], some: fo.Dataset) -> None:
    (Path(two[0].classifier_dir) / "classifier.json").write_text("{")

    assert names(some) == ["elsewhere"]
