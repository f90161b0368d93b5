from __future__ import annotations

import json
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.datasets.runs import load_run
from winnow.plugin.errors import ClassifierError, DataError, FieldError
from winnow.plugin.home import winnow_home
from winnow.plugin.training.classifier import load_classifier
from winnow.plugin.workflows.label_issues import find_label_issues
from winnow.plugin.workflows.leaks import find_leaks
from winnow.plugin.workflows.train import TrainParams, TrainReport, train_classifier

from .conftest import CLASSES, PER_SPLIT, MakeDataset


@pytest.fixture(scope="module")
def report(shared: fo.Dataset, tmp_path_factory: pytest.TempPathFactory) -> TrainReport:
    """Train after the leaks and the label issues were looked for."""
    find_leaks(shared)
    find_label_issues(shared)
    output = tmp_path_factory.mktemp("trained") / "classifier"
    return train_classifier(shared, TrainParams(preset="probe", output=output))


def test_classifier_is_saved_where_it_was_asked_for(report: TrainReport) -> None:
    assert {path.name for path in report.classifier_dir.iterdir()} == {"classifier.json", "model.safetensors"}


def test_saved_classifier_knows_its_classes(report: TrainReport) -> None:
    classifier = load_classifier(report.classifier_dir)

    assert classifier.classes == CLASSES
    assert classifier.version == report.summary()["version"]


def test_leaked_training_images_are_left_out(report: TrainReport, shared: fo.Dataset) -> None:
    leaked = shared.match(fo.ViewField("split") == "train").count("leak_score")

    assert leaked >= len(CLASSES)
    assert report.summary()["excluded_leaks"] == leaked
    assert report.selection.train.sum() <= len(CLASSES) * PER_SPLIT["train"] - leaked


def test_classifier_is_good_on_images_that_it_was_not_trained_on(report: TrainReport) -> None:
    samples, rows = report.samples, np.flatnonzero(report.selection.evaluation)[::3]

    predicted = load_classifier(report.classifier_dir).predict(samples.paths[rows].tolist()).probabilities

    assert (predicted.argmax(axis=1) == samples.labels[rows]).mean() > 0.85


def test_run_is_saved_with_the_folder(report: TrainReport, shared: fo.Dataset) -> None:
    run = load_run(shared, "winnow_training")

    assert run.params["output"] == str(report.classifier_dir)
    assert run.summary["classes"] == list(CLASSES)


def test_what_has_not_been_looked_for_is_said(report: TrainReport) -> None:
    assert "duplicates have not been looked for on this dataset" in report.summary()["notes"]


def test_what_was_looked_for_before_the_dataset_grew_is_said(garments: MakeDataset) -> None:
    made = garments("train/[bs]*/*")
    find_label_issues(made.limit(60))
    made.add_sample(made.first().copy())

    report = train_classifier(made, TrainParams(preset="probe"))

    assert any("label issues are older than the dataset" in note for note in report.summary()["notes"])


def test_without_an_output_the_classifier_goes_below_winnows_home(some: fo.Dataset) -> None:
    report = train_classifier(some, TrainParams(preset="probe", name="鞄 & co/1"))

    assert report.classifier_dir == winnow_home() / "classifiers" / "鞄-co-1"


def test_a_class_without_a_training_image_is_never_predicted(some: fo.Dataset) -> None:
    some.match(fo.ViewField("ground_truth.label") == "bag").set_values("split", ["test"] * 10)

    report = train_classifier(some, TrainParams(preset="probe"))

    assert report.summary()["classes"] == ["sandal", "trouser"]
    assert "classes without a training image, so never predicted: bag" in report.summary()["notes"]


def test_the_same_seed_gives_the_same_classifier(some: fo.Dataset) -> None:
    versions = [train_classifier(some, TrainParams(preset="probe", seed=seed)).summary()["version"] for seed in (3, 3)]

    assert versions[0] == versions[1]


def test_fine_tuning_is_kept_only_where_it_is_no_worse(some: fo.Dataset) -> None:
    report = train_classifier(some, TrainParams(preset="quick"))

    accuracy = report.summary()["validation_accuracy"]
    assert set(accuracy) == {"probe", "fine-tuned"}
    assert (report.trained.kept == "fine-tuned") == (accuracy["fine-tuned"] >= accuracy["probe"])


def test_recipe_and_versions_are_written_into_the_classifier(report: TrainReport) -> None:
    described = json.loads((report.classifier_dir / "classifier.json").read_text(encoding="utf-8"))

    assert described["recipe"]["preset"] == "probe"
    assert described["training_images"] == int(report.selection.train.sum())
    assert {"python", "torch", "timm"} <= set(described["versions"])


def test_a_folder_with_other_files_is_not_written_to(some: fo.Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")

    with pytest.raises(ClassifierError, match="holds other files"):
        train_classifier(some, TrainParams(preset="probe", output=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones(some: fo.Dataset) -> None:
    with pytest.raises(DataError, match="preset must be one of probe, quick, got 'huge'"):
        train_classifier(some, TrainParams(preset="huge"))


@pytest.mark.parametrize("preset", ["probe", "quick"])
def test_one_class_in_the_training_split_is_an_error(some: fo.Dataset, preset: str) -> None:
    others = some.match(fo.ViewField("ground_truth.label") != "bag")
    others.set_values("split", ["test"] * len(others))

    with pytest.raises(DataError, match=r"the training split has 1 class \(bag\)"):
        train_classifier(some, TrainParams(preset=preset))


@pytest.mark.parametrize("preset", ["probe", "quick"])
def test_hardly_any_images_are_an_error(some: fo.Dataset, preset: str) -> None:
    with pytest.raises(DataError, match=r"only \d labelled images; at least 10 are needed"):
        train_classifier(some.limit(15).match(fo.ViewField("filepath").re_match("00[0-3]")), TrainParams(preset=preset))


def test_a_label_field_of_the_wrong_type_is_an_error(some: fo.Dataset) -> None:
    with pytest.raises(FieldError, match=r"'split' of .* holds StringField, not Classification"):
        train_classifier(some, TrainParams(label_field="split"))
