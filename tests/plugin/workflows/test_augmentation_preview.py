from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from winnow.plugin.errors import DataError
from winnow.plugin.training.recipe import RecipeChanges
from winnow.plugin.workflows.augmentation_preview import PreviewParams, preview_augmentation

STILL = RecipeChanges(flip=0.0, zoom=0.0, shift=0.0)


def test_each_row_begins_with_the_image_itself(some: fo.Dataset) -> None:
    report = preview_augmentation(some.limit(3), PreviewParams(changes=STILL, views=2, side=64))

    rows = report.sheet.reshape(-1, report.sheet.shape[1], 3)
    assert report.sheet.shape == (3 * 68 - 4, 3 * 68 - 4, 3)
    for column in (1, 2):
        assert np.array_equal(rows[:, 68 * column : 68 * column + 64], rows[:, :64])


def test_views_differ_as_the_recipe_says(some: fo.Dataset) -> None:
    changes = RecipeChanges(flip=1.0, zoom=0.0, shift=0.0)

    report = preview_augmentation(some.limit(1), PreviewParams(changes=changes, views=1, side=64))

    assert np.array_equal(report.sheet[:, 68:], report.sheet[:, 63::-1])


def test_the_sheet_is_shown_as_a_picture(some: fo.Dataset) -> None:
    report = preview_augmentation(some.limit(2), PreviewParams(preset="strong"))

    kind, data = report.summary()["image"].split(",")
    assert kind == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(BytesIO(base64.b64decode(data)))), report.sheet)


def test_an_image_that_cannot_be_read_is_left_out_and_told(some: fo.Dataset, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    some.add_sample(fo.Sample(filepath=str(tmp_path / "broken.png")))
    broken = some.match(fo.ViewField("filepath").ends_with("broken.png"))

    report = preview_augmentation(some.limit(1).concat(broken), PreviewParams(side=32))

    assert (report.images, len(report.failures)) == (1, 1)
    with pytest.raises(DataError, match="none of the 1 images can be read"):
        preview_augmentation(broken)


def test_an_impossible_recipe_is_refused(some: fo.Dataset) -> None:
    with pytest.raises(DataError, match="mixup must be from 0 to 10"):
        preview_augmentation(some, PreviewParams(changes=RecipeChanges(mixup=-1)))
