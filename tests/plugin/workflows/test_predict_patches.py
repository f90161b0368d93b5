"""Predictions for the boxes of detections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest
from fiftyone import ViewField
from PIL import Image

from tests.small_classifier import CLASSES, small_classifier
from winnow.plugin.datasets.runs import delete_run, list_runs
from winnow.plugin.errors import FieldError
from winnow.plugin.training.classifier import save_classifier
from winnow.plugin.workflows.predict import PATCHES_RUN, PredictParams, apply_classifier

from .conftest import MakeDataset, truncated_png

BOXES = {  # of each image: label -> box
    "0.png": {"left half": [0, 0, 0.5, 1], "corner": [0.5, 0.5, 0.5, 0.5]},
    "1.png": {"all": [0, 0, 1, 1], "flat": [0.2, 0.2, 0.3, 0]},
    "2.png": {},
    "cut off.png": {"unknown": [0.1, 0.1, 0.2, 0.2]},
}
GOOD = {"left half", "corner", "all"}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(small_classifier(tmp_path_factory.mktemp("weights")), tmp_path_factory.mktemp("classifier"))


@pytest.fixture
def boxes(dataset: MakeDataset, image_folder: Callable[..., Path]) -> fo.Dataset:
    """Return images with detections, one of them flat and one in a file that is cut off."""
    made, folder = dataset(), image_folder(*BOXES)
    (folder / "cut off.png").write_bytes(truncated_png())
    for name, found in BOXES.items():
        detections = [fo.Detection(label=label, bounding_box=box) for label, box in found.items()]
        objects = fo.Detections(detections=detections) if detections else None
        made.add_sample(fo.Sample(filepath=str(folder / name), objects=objects))
    return made


def predictions_of(dataset: fo.Dataset, name: str = "prediction") -> dict[str, Any]:
    """Return what is predicted for each detection, read from the database anew."""
    dataset.reload()
    found = [detection for sample in dataset if sample.objects for detection in sample.objects.detections]
    return {detection.label: getattr(detection, name, None) for detection in found}


def test_a_patch_gets_the_prediction_of_its_crop_saved_as_a_file(
    boxes: fo.Dataset, dataset: MakeDataset, classifier: Path, tmp_path: Path
) -> None:
    with Image.open(boxes.first().filepath) as image:
        image.crop((0, 0, image.width // 2, image.height)).save(tmp_path / "crop.png")
    cropped = dataset()
    cropped.add_sample(fo.Sample(filepath=str(tmp_path / "crop.png")))
    apply_classifier(cropped, PredictParams(classifier))

    report = apply_classifier(boxes, PredictParams(classifier, patches_field="objects"))

    boxes.reload()
    found, expected = boxes.first().objects.detections[0], cropped.first().prediction
    assert report.prediction_field == "objects.detections.prediction"
    assert (found.prediction, found.prediction_model_version) == (expected.label, report.version)
    for name in ("confidence", "entropy", "margin"):
        assert found[f"prediction_{name}"] == pytest.approx(expected[name], abs=1e-4)


def test_patches_can_be_filtered_by_what_is_predicted(boxes: fo.Dataset, classifier: Path) -> None:
    apply_classifier(boxes, PredictParams(classifier, patches_field="objects"))
    wanted = predictions_of(boxes)["corner"]

    chosen = boxes.filter_labels("objects", ViewField("prediction") == wanted)

    expected = {name for name, found in predictions_of(boxes).items() if found == wanted}
    assert set(chosen.values("objects.detections.label", unwind=True)) == expected
    kinds = {name: type(boxes.get_field(f"objects.detections.{name}")) for name in ("prediction", "prediction_margin")}
    assert kinds == {"prediction": fo.StringField, "prediction_margin": fo.FloatField}  # what the sidebar can filter by


def test_boxes_that_show_nothing_are_reported_and_cost_only_themselves(boxes: fo.Dataset, classifier: Path) -> None:
    report = apply_classifier(boxes, PredictParams(classifier, patches_field="objects"))

    assert {label for label, found in predictions_of(boxes).items() if found is not None} == GOOD
    assert "3 patches" in report.text()
    assert sorted(failure.reason.split(" (")[0] for failure in report.failures)[-1] == "the box has no area"
    assert [bool(reason) for reason in boxes.values("winnow_failure")] == [False, True, False, True]


def test_a_view_of_patches_is_predicted_as_patches_and_others_keep_theirs(boxes: fo.Dataset, classifier: Path) -> None:
    apply_classifier(boxes, PredictParams(classifier, patches_field="objects"))
    boxes.set_values("objects.detections.prediction_model_version", [["old"] * len(found) for found in BOXES.values()])
    view = boxes.to_patches("objects").match(ViewField("objects.label").is_in(["corner", "all"]))

    report = apply_classifier(view, PredictParams(classifier))

    versions = predictions_of(boxes, "prediction_model_version")
    assert (report.unit, len(report.paths)) == ("patch", 2)
    assert {label for label, version in versions.items() if version == report.version} == {"corner", "all"}


def test_a_patch_that_shows_nothing_any_more_loses_its_prediction(boxes: fo.Dataset, classifier: Path) -> None:
    apply_classifier(boxes, PredictParams(classifier, patches_field="objects"))
    corner = boxes.first().objects.detections[1]
    boxes.set_label_values("objects.detections.bounding_box", {corner.id: [0.5, 0.5, 0, 0]})

    apply_classifier(boxes, PredictParams(classifier, patches_field="objects"))

    assert {label for label, found in predictions_of(boxes).items() if found is not None} == {"left half", "all"}


def test_deleting_the_run_removes_the_predictions_from_the_labels(boxes: fo.Dataset, classifier: Path) -> None:
    apply_classifier(boxes, PredictParams(classifier, patches_field="objects"))

    delete_run(boxes, PATCHES_RUN)

    assert not [name for name in boxes.get_field_schema(flat=True) if "prediction" in name]
    assert boxes.first().objects.detections[0].label == "left half"
    assert list_runs(boxes) == []


def test_an_attribute_of_the_labels_that_is_not_ours_is_refused_before_the_work(
    boxes: fo.Dataset, classifier: Path
) -> None:
    boxes.set_values("objects.detections.prediction", [["mine"] * len(found) for found in BOXES.values()])
    steps: list[str] = []

    with pytest.raises(FieldError, match=r"objects\.detections\.prediction"):
        apply_classifier(
            boxes, PredictParams(classifier, patches_field="objects"), lambda step, done, total: steps.append(step)
        )

    assert steps == []
    assert predictions_of(boxes)["corner"] == "mine"


def test_independent_classes_become_several_labels_of_a_patch(
    boxes: fo.Dataset, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    several = replace(small_classifier(tmp_path), multilabel=True, thresholds=(0.0, 0.0, 2.0))
    folder = save_classifier(several, tmp_path_factory.mktemp("several"))

    apply_classifier(boxes, PredictParams(folder, patches_field="objects", prediction_field="kinds"))

    assert predictions_of(boxes, "kinds")["all"] == list(CLASSES[:2])
    assert len(predictions_of(boxes, "kinds_confidence")["all"]) == 2
    assert predictions_of(boxes, "kinds_model_version")["all"] == several.version


def test_logits_of_an_earlier_run_do_not_stay(boxes: fo.Dataset, classifier: Path) -> None:
    apply_classifier(boxes, PredictParams(classifier, patches_field="objects", logits=True))
    lengths = {
        label: len(found) for label, found in predictions_of(boxes, "prediction_logits").items() if label in GOOD
    }

    apply_classifier(boxes, PredictParams(classifier, patches_field="objects"))

    assert lengths == dict.fromkeys(GOOD, len(CLASSES))
    assert set(predictions_of(boxes, "prediction_logits").values()) == {None}


def test_one_box_an_image_works_too(dataset: MakeDataset, image_folder: Callable[..., Path], classifier: Path) -> None:
    made, folder = dataset(), image_folder("a.png", "b.png")
    box = fo.Detection(label="thing", bounding_box=[0, 0, 0.5, 0.5])
    made.add_sample(fo.Sample(filepath=str(folder / "a.png"), thing=box))
    made.add_sample(fo.Sample(filepath=str(folder / "b.png")))

    for _ in range(2):
        report = apply_classifier(made, PredictParams(classifier, patches_field="thing"))

    made.reload()
    assert (report.prediction_field, len(report.paths)) == ("thing.prediction", 1)
    assert made.first().thing.prediction in CLASSES
    assert made.last().thing is None
