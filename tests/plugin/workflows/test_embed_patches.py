"""Vectors of the boxes of detections."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from winnow.plugin.datasets import patches as patches_module
from winnow.plugin.datasets.brain import BrainKeys
from winnow.plugin.datasets.patches import read_patches
from winnow.plugin.datasets.runs import delete_run
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.embed import PATCHES_RUN, EmbedParams, compute_embeddings

from .conftest import MakeDataset, truncated_png

BOXES = {  # of each image: label -> box
    "0.png": {"left half": [0, 0, 0.5, 1], "corner": [0.5, 0.5, 0.5, 0.5]},
    "1.png": {"all": [0, 0, 1, 1], "flat": [0.2, 0.2, 0.3, 0]},
    "2.png": {},
    "cut off.png": {"unknown": [0.1, 0.1, 0.2, 0.2]},
}


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


def vectors_by_label(dataset: fo.Dataset) -> dict[str, Any]:
    found = dataset.values(["objects.detections.label", "objects.detections.vector"], unwind=True)
    return {label: None if vector is None else np.array(vector) for label, vector in zip(*found, strict=True)}


def test_a_patch_gets_the_vector_of_its_crop_saved_as_a_file(
    boxes: fo.Dataset, dataset: MakeDataset, tmp_path: Path
) -> None:
    params = EmbedParams(image_size=64, vector_field="vector")
    cropped = dataset()
    with Image.open(boxes.first().filepath) as image:
        image.crop((0, 0, image.width // 2, image.height)).save(tmp_path / "crop.png")
    cropped.add_sample(fo.Sample(filepath=str(tmp_path / "crop.png")))

    compute_embeddings(boxes, EmbedParams(image_size=64, vector_field="vector", patches_field="objects"))
    compute_embeddings(cropped, params)

    np.testing.assert_allclose(vectors_by_label(boxes)["left half"], cropped.first().vector, atol=1e-4)


def test_boxes_that_show_nothing_are_reported_by_label_and_cost_only_themselves(boxes: fo.Dataset) -> None:
    report = compute_embeddings(boxes, EmbedParams(patches_field="objects", vector_field="vector"))

    held = vectors_by_label(boxes)
    labels = dict(zip(*boxes.values(["objects.detections.id", "objects.detections.label"], unwind=True), strict=True))
    assert report.images == 3
    assert {label for label, vector in held.items() if vector is None} == {"flat", "unknown"}
    assert {labels[failure.id] for failure in report.failures} == {"flat", "unknown"}
    assert "3 patches" in report.text()
    assert "the box has no area" in report.text()
    assert [bool(reason) for reason in boxes.values("winnow_failure")] == [False, True, False, True]
    assert "the box has no area" in boxes.values("winnow_failure")[1]


def test_a_mended_box_loses_its_mark_and_others_keep_theirs(boxes: fo.Dataset) -> None:
    compute_embeddings(boxes)  # marks the file that is cut off
    boxes.set_values("winnow_failure", {boxes.values("id")[2]: "another job's"}, key_field="id")
    compute_embeddings(boxes, EmbedParams(patches_field="objects"))
    mended = boxes.values("objects.detections", unwind=True)[3]
    boxes.set_label_values("objects.detections.bounding_box", {mended.id: [0.2, 0.2, 0.3, 0.3]})

    compute_embeddings(
        boxes.match(fo.ViewField("objects.detections").length() > 1), EmbedParams(patches_field="objects")
    )

    assert [bool(reason) for reason in boxes.values("winnow_failure")] == [False, False, True, True]


def test_the_app_sorts_patches_and_lays_them_out_beside_whole_images(boxes: fo.Dataset) -> None:
    compute_embeddings(boxes)
    compute_embeddings(boxes, EmbedParams(patches_field="objects"))

    keys = BrainKeys("objects")
    view = boxes.to_patches("objects")
    assert view.sort_by_similarity(view.first().id, brain_key=keys.similarity).values("id")[0] == view.first().id
    assert len(boxes.load_brain_results(keys.points).label_ids) == 3
    assert len(boxes.load_brain_results(BrainKeys().points).points) == 3


def test_a_view_of_patches_is_embedded_as_patches(boxes: fo.Dataset) -> None:
    view = boxes.to_patches("objects").match(fo.ViewField("objects.label").is_in(["corner", "all"]))

    report = compute_embeddings(view, EmbedParams(vector_field="vector"))

    assert report.unit == "patch"
    assert report.images == 2
    assert {label for label, vector in vectors_by_label(boxes).items() if vector is not None} == {"corner", "all"}


def test_patches_of_another_field_than_the_view_shows_are_refused(boxes: fo.Dataset) -> None:
    with pytest.raises(DataError, match="shows patches of 'objects', not of 'others'"):
        compute_embeddings(boxes.to_patches("objects"), EmbedParams(patches_field="others"))


def test_a_second_run_computes_nothing_and_a_moved_box_is_computed(boxes: fo.Dataset) -> None:
    params = EmbedParams(patches_field="objects")
    compute_embeddings(boxes, params)
    again = compute_embeddings(boxes, params)
    moved = boxes.first().objects.detections[0]
    boxes.set_label_values("objects.detections.bounding_box", {moved.id: [0.1, 0, 0.5, 1]})

    assert (again.computed, compute_embeddings(boxes, params).computed) == (0, 1)


def test_one_box_an_image_works_too(dataset: MakeDataset, image_folder: Callable[..., Path]) -> None:
    made, folder = dataset(), image_folder("a.png", "b.png")
    box = fo.Detection(label="thing", bounding_box=[0, 0, 0.5, 0.5])
    made.add_sample(fo.Sample(filepath=str(folder / "a.png"), thing=box))
    made.add_sample(fo.Sample(filepath=str(folder / "b.png")))

    report = compute_embeddings(made, EmbedParams(patches_field="thing", vector_field="vector"))

    assert report.images == 1
    assert len(made.first().thing.vector) == report.width


def test_deleting_the_run_removes_the_vectors_from_the_labels(boxes: fo.Dataset) -> None:
    compute_embeddings(boxes, EmbedParams(patches_field="objects", vector_field="vector"))

    delete_run(boxes, PATCHES_RUN)

    assert not boxes.has_field("objects.detections.vector")
    assert boxes.first().objects.detections[0].label == "left half"


def test_an_attribute_of_the_labels_that_is_not_ours_is_refused_before_long_work(boxes: fo.Dataset) -> None:
    boxes.set_values("objects.detections.mine", [[[1.0]] * len(found) for found in BOXES.values()])
    steps: list[str] = []

    with pytest.raises(FieldError, match=r"objects.detections.mine"):
        compute_embeddings(
            boxes,
            EmbedParams(patches_field="objects", vector_field="mine"),
            lambda step, done, total: steps.append(step),
        )

    assert steps == []


@pytest.mark.parametrize(("field", "says"), [("filepath", "holds StringField"), ("nothing", "does not exist")])
def test_a_field_without_boxes_is_an_error_that_names_those_with(boxes: fo.Dataset, field: str, says: str) -> None:
    with pytest.raises(FieldError, match=f"{says}.*Fields of detections are: objects"):
        compute_embeddings(boxes, EmbedParams(patches_field=field))


def test_no_detection_at_all_is_an_error(boxes: fo.Dataset) -> None:
    with pytest.raises(DataError, match="no image has a detection in field 'objects'"):
        compute_embeddings(boxes.skip(2).limit(1), EmbedParams(patches_field="objects"))


def test_boxes_that_all_show_nothing_are_an_error_that_names_the_first(boxes: fo.Dataset) -> None:
    only = boxes.to_patches("objects").match(fo.ViewField("objects.label") == "flat")

    with pytest.raises(DataError, match=r"none of the 1 patches can be read.*no area"):
        compute_embeddings(only)


def test_a_box_of_three_numbers_is_one_without_four_finite_numbers(boxes: fo.Dataset) -> None:
    boxes.set_values("objects.detections.bounding_box", [[[0, 0, 1]] * len(found) for found in BOXES.values()])

    assert np.isnan(read_patches(boxes, "objects").boxes).all()
    assert patches_module.shown_patches(boxes) is None
