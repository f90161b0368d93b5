"""A classifier learns the boxes of detections, each as an image of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from winnow.plugin.datasets import runs
from winnow.plugin.datasets.patch_values import write_patch_values
from winnow.plugin.datasets.patches import read_patches
from winnow.plugin.training.recipe import RecipeChanges
from winnow.plugin.workflows.findings import PATCH_ISSUES_RUN
from winnow.plugin.workflows.predict import PredictParams, apply_classifier
from winnow.plugin.workflows.train import TrainParams, TrainReport, train_classifier

from .conftest import CLASSES, TILE, tile

PER_CLASS = 36
CHANGES = RecipeChanges(epochs=1, image_size=64)
PROBE = RecipeChanges(epochs=0, image_size=64)


@pytest.fixture
def pairs(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return images of two garments beside each other, three quarters of them to train on."""
    shown = [(name, number) for name in CLASSES for number in range(PER_CLASS)]
    np.random.default_rng(0).shuffle(shown)
    samples = []
    for start in range(0, len(shown), 2):
        image, found = Image.new("L", (2 * TILE, TILE)), []
        for place, (name, number) in enumerate(shown[start : start + 2]):
            image.paste(tile("train", name, int(number)), (TILE * place, 0))
            found.append(fo.Detection(label=str(name), bounding_box=[place / 2, 0, 0.5, 1]))
        path = tmp_path / f"{start:03d}.png"
        image.save(path)
        split = "test" if start % 8 == 0 else "train"
        samples.append(fo.Sample(filepath=str(path), split=split, garments=fo.Detections(detections=found)))
    made = fo.Dataset()
    made.add_samples(samples, progress=False)
    yield made
    made.delete()


def trained(made: fo.Dataset | fo.DatasetView, output: Path, **settings: object) -> TrainReport:
    return train_classifier(made, TrainParams(**{"changes": CHANGES, "output": output} | settings))


def test_boxes_are_learnt_and_recognised(pairs: fo.Dataset, tmp_path: Path) -> None:
    report = trained(pairs, tmp_path / "made", patches_field="garments")
    apply_classifier(pairs, PredictParams(tmp_path / "made", patches_field="garments"))

    test = pairs.match(fo.ViewField("split") == "test")
    truth, found = (test.values(f"garments.detections.{name}", unwind=True) for name in ("label", "prediction"))
    assert report.summary()["unit"] == "patch"
    assert report.trained.classifier.classes == CLASSES
    accuracy = np.mean([a == b for a, b in zip(truth, found, strict=True)])
    assert accuracy > 0.5  # one of five by chance


def test_a_view_of_patches_teaches_the_same(pairs: fo.Dataset, tmp_path: Path) -> None:
    by_field = trained(pairs, tmp_path / "one", patches_field="garments", changes=PROBE)
    by_view = trained(pairs.to_patches("garments"), tmp_path / "two", changes=PROBE)

    assert by_view.trained.classifier.version == by_field.trained.classifier.version


def test_flagged_labels_of_boxes_are_left_out(pairs: fo.Dataset, tmp_path: Path) -> None:
    patches = read_patches(pairs, "garments")
    trainable = np.isin(patches.sample_ids, pairs.match(fo.ViewField("split") == "train").values("id"))
    flagged = trainable & (patches.names == CLASSES[0])
    flagged &= np.cumsum(flagged) <= 2
    quality = write_patch_values(pairs, patches, "label_quality", patches.ids, np.where(flagged, 0.1, 1), kind="float")
    issue = write_patch_values(pairs, patches, "label_issue", patches.ids, flagged, kind="bool")
    settings = {"patches_field": "garments"}
    runs.save_run(pairs, PATCH_ISSUES_RUN, method="test", params=settings, fields=[quality, issue], summary={})

    report = trained(pairs, tmp_path / "made", patches_field="garments", changes=PROBE)

    assert report.summary()["excluded_label_issues"] == {CLASSES[0]: 2}
    assert report.summary()["training_images"] == trainable.sum() - 2
