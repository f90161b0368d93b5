from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.vision.quality import sharpness
from winnow.plugin.vision.statistics import STATISTICS, image_statistics


def picture(path: Path, values: np.ndarray) -> str:
    Image.fromarray(values.astype(np.uint8)).convert("RGB").save(path)
    return str(path)


def column(statistics: np.ndarray, name: str) -> list[float]:
    return statistics[:, STATISTICS.index(name)].tolist()


@pytest.fixture
def halves(tmp_path: Path) -> str:
    """Return a picture of 20 x 10 pixels whose left half is black and whose right half is white."""
    return picture(tmp_path / "halves.png", np.repeat([[0, 255]], 10, axis=1).repeat(10, axis=0))


def test_light_and_shape_are_measured_in_the_stated_units(halves: str) -> None:
    found = image_statistics([halves], Preprocessing())

    measured = {name: column(found, name)[0] for name in STATISTICS if name != "sharpness"}
    assert measured == pytest.approx(
        {"brightness": 0.5, "contrast": 0.5, "width": 20, "height": 10, "aspect ratio": 2}, abs=1e-6
    )


def test_sharpness_is_that_of_keepers(halves: str) -> None:
    found = image_statistics([halves], Preprocessing())

    assert column(found, "sharpness") == sharpness([halves], Preprocessing()).tolist()
    assert found[0, STATISTICS.index("sharpness")] > 0


def test_a_box_is_measured_alone(halves: str) -> None:
    found = image_statistics([halves, halves], Preprocessing(), np.array([[0, 0, 0.5, 1], [0.5, 0, 0.5, 0.5]]))

    assert column(found, "brightness") == [0, 1]
    assert (column(found, "width"), column(found, "height")) == ([10, 10], [10, 5])


def test_what_cannot_be_read_is_a_row_of_nan_of_its_own(halves: str, tmp_path: Path) -> None:
    paths, boxes = [str(tmp_path / "gone.png"), halves, halves], np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 1, 1]])

    found = image_statistics(paths, Preprocessing(), boxes)

    assert np.isnan(found).all(axis=1).tolist() == [True, False, True]
    assert image_statistics([], Preprocessing()).shape == (0, len(STATISTICS))
