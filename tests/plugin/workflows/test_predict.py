from __future__ import annotations

import csv
from pathlib import Path

import fiftyone as fo
import pytest

from winnow.plugin.datasets.runs import load_run
from winnow.plugin.errors import ClassifierError, FieldError
from winnow.plugin.workflows.predict import PredictParams, PredictReport, apply_classifier
from winnow.plugin.workflows.train import TrainParams, train_classifier

from .conftest import CLASSES, IMAGES, MakeDataset, truncated_png


@pytest.fixture(scope="module")
def classifier(shared: fo.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("classifier")
    return train_classifier(shared, TrainParams(preset="probe", output=output)).classifier_dir


@pytest.fixture(scope="module")
def report(shared: fo.Dataset, classifier: Path) -> PredictReport:
    return apply_classifier(shared, PredictParams(classifier))


def test_every_image_gets_a_label_and_a_confidence(report: PredictReport, shared: fo.Dataset) -> None:
    predictions = shared.values("prediction")

    assert len(predictions) == IMAGES
    assert {found.label for found in predictions} == set(CLASSES)
    assert all(1 / len(CLASSES) <= found.confidence <= 1 for found in predictions)


def test_most_predictions_are_right(report: PredictReport, shared: fo.Dataset) -> None:
    pairs = list(zip(*shared.values(["prediction.label", "ground_truth.label"]), strict=True))

    assert sum(found == true for found, true in pairs) > 0.9 * IMAGES


def test_run_names_the_version_of_the_classifier(report: PredictReport, shared: fo.Dataset) -> None:
    run = load_run(shared, "winnow_predictions")

    assert run.params["version"] == report.version
    assert run.fields == ("prediction",)


def test_csv_has_a_row_an_image(report: PredictReport, tmp_path: Path) -> None:
    report.write_csv(tmp_path / "predictions.csv")

    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "confidence"]
    assert [row["path"] for row in rows] == report.paths.tolist()
    assert {row["label"] for row in rows} == set(CLASSES)
    assert all(0 <= float(row["confidence"]) <= 1 for row in rows)


def test_an_image_that_cannot_be_read_costs_only_its_own_prediction(
    garments: MakeDataset, classifier: Path, tmp_path: Path
) -> None:
    (tmp_path / "cut off.png").write_bytes(truncated_png())
    made = garments("test/bag/*")
    broken = fo.Sample(filepath=str(tmp_path / "cut off.png"))
    made.add_sample(broken)

    report = apply_classifier(made, PredictParams(classifier, batch_size=4))

    assert made.count("prediction") == len(made) - 1
    assert made[broken.id].winnow_failure
    assert [failure.id for failure in report.failures] == [broken.id]


def test_unlabelled_images_are_predicted_too(garments: MakeDataset, classifier: Path) -> None:
    made = garments("test/bag/*")
    made.delete_sample_fields(["ground_truth", "split"])

    apply_classifier(made, PredictParams(classifier))

    assert made.count("prediction") == len(made)


def test_predictions_go_to_the_field_that_was_asked_for(garments: MakeDataset, classifier: Path) -> None:
    made = garments("test/bag/00*")

    apply_classifier(made, PredictParams(classifier, prediction_field="second_model"))

    assert made.count("second_model") == len(made)
    assert not made.has_field("prediction")


def test_labels_are_never_overwritten_by_predictions(garments: MakeDataset, classifier: Path) -> None:
    made = garments("test/bag/00*")

    with pytest.raises(FieldError, match="holds the labels that were read"):
        apply_classifier(made, PredictParams(classifier, prediction_field="ground_truth"))
    assert made.distinct("ground_truth.label") == ["bag"]


@pytest.mark.parametrize("existing", [True, False])
def test_a_folder_without_a_classifier_is_an_error_that_names_it(
    shared: fo.Dataset, tmp_path: Path, existing: bool
) -> None:
    folder = tmp_path if existing else tmp_path / "nowhere"

    with pytest.raises(ClassifierError, match=f"no classifier in '{folder}'.*`winnow train` makes one"):
        apply_classifier(shared, PredictParams(folder))
