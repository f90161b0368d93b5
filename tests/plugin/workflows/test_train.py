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
from winnow.plugin.training.curves import read_curves
from winnow.plugin.training.recipe import RecipeChanges
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
    names = {"classifier.json", "model.safetensors", "reference.safetensors"}
    assert {path.name for path in report.classifier_dir.iterdir()} == names


def test_saved_classifier_knows_its_classes(report: TrainReport) -> None:
    classifier = load_classifier(report.classifier_dir)

    assert classifier.classes == CLASSES
    assert classifier.version == report.summary()["version"]


def test_how_many_images_of_each_class_were_used_is_told(report: TrainReport) -> None:
    used = report.summary()["images_by_class"]

    assert set(used) == set(CLASSES)
    assert sum(counts["train"] for counts in used.values()) == report.summary()["training_images"]
    assert all(counts["test"] >= PER_SPLIT["test"] for counts in used.values())


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

    accuracy = report.summary()["validation"]
    assert set(accuracy) == {"probe", "fine-tuned"}
    assert (report.trained.kept == "fine-tuned") == (accuracy["fine-tuned"] >= accuracy["probe"])
    used, chosen = report.trained.classifier.details["training_images"], int(report.selection.train.sum())
    aside = f" ({chosen - used} others set aside to choose by)" if used < chosen else ""
    assert f"trained on {used} images{aside};" in report.text()


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
    with pytest.raises(DataError, match="preset must be one of probe, quick, strong, got 'huge'"):
        train_classifier(some, TrainParams(preset="huge"))


def test_a_closer_look_at_images_is_refused_before_the_work(some: fo.Dataset) -> None:
    with pytest.raises(DataError, match=r"'lite0\+layers' looks closer.*Train 'lite0'"):
        train_classifier(some, TrainParams(changes=RecipeChanges(backbone="lite0+layers")))


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


def test_a_recipe_file_and_single_settings_decide_the_training(some: fo.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yml"
    path.write_text("epochs: 1\nbatch_size: 8\noptimizer: sgd\n")
    changes = RecipeChanges(batch_size=16, image_size=64)

    report = train_classifier(some, TrainParams(recipe_file=path, changes=changes, output=tmp_path / "made"))

    recipe = load_classifier(tmp_path / "made").details["recipe"]
    assert (recipe["epochs"], recipe["batch_size"], recipe["optimizer"]) == (1, 16, "sgd")
    assert report.trained.classifier.preprocessing.input.size == 64
    assert load_run(some, "winnow_training").params["changes"] == {"batch_size": 16, "image_size": 64}


def test_curves_of_fine_tuning_are_kept_with_the_classifier(some: fo.Dataset, tmp_path: Path) -> None:
    train_classifier(some, TrainParams(changes=RecipeChanges(epochs=2, image_size=64), output=tmp_path / "made"))

    points = read_curves(tmp_path / "made" / "logs" / "curves.csv")
    judged = [point for point in points if "validation_accuracy" in point]
    assert [point["epoch"] for point in judged] == [1, 2]
    assert all(point["loss"] > 0 for point in points)
    assert list((tmp_path / "made" / "logs").glob("events.out.tfevents.*"))


def test_without_an_output_an_earlier_classifier_is_kept(some: fo.Dataset) -> None:
    first, second = (train_classifier(some, TrainParams(preset="probe", name="two")).classifier_dir for _ in range(2))

    assert (first.name, second.name) == ("two", "two-2")
    assert (first / "classifier.json").exists()


def test_several_labels_an_image_are_learnt(some: fo.Dataset, tmp_path: Path) -> None:
    """Each garment is of its class, and some that people wear on their legs."""
    legs = {"trouser", "sandal"}
    for number, sample in enumerate(some.iter_samples(autosave=True)):
        name = sample["ground_truth"].label
        names = [name, "legs"] if name in legs else [name]
        sample["tags_of"] = (
            None
            if number % 10 == 9
            else fo.Classifications(classifications=[fo.Classification(label=n) for n in names])
        )
    changes = RecipeChanges(epochs=1, image_size=64)

    report = train_classifier(some, TrainParams(label_field="tags_of", changes=changes, output=tmp_path / "made"))

    classifier = load_classifier(tmp_path / "made")
    samples, truth = report.samples, report.labels.values
    found = classifier.predict(samples.paths.tolist()).probabilities
    assert classifier.multilabel
    assert classifier.classes == ("bag", "legs", "sandal", "trouser")
    assert report.summary()["metric"] == "average_precision"
    known = np.isfinite(truth)
    assert ((found > 0.5) == (truth == 1))[known].mean() > 0.85
    assert any("are not annotated in 'tags_of'" in note for note in report.notes)


def test_an_earlier_classifier_is_trained_further(some: fo.Dataset, tmp_path: Path) -> None:
    first = TrainParams(changes=RecipeChanges(epochs=1, image_size=64), output=tmp_path / "first")
    train_classifier(some.match(fo.ViewField("ground_truth.label") != "bag"), first)
    further = RecipeChanges(epochs=1, backbone=str(tmp_path / "first"))

    report = train_classifier(some, TrainParams(changes=further, output=tmp_path / "second"))

    assert report.trained.classifier.classes == ("bag", "sandal", "trouser")
    assert load_classifier(tmp_path / "second").details["recipe"]["backbone"] == str(tmp_path / "first")
