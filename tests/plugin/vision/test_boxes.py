from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.vision.boxes import box_faults, crop

NOTHING, OUTSIDE, ODD = "the box has no area", "the box lies outside the image", "the box has no four finite numbers"


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ([0, 0, 1, 1], ""),
        ([-0.5, 0.2, 0.6, 0.1], ""),  # partly outside
        ([0.5, 0.5, 1e-9, 1e-9], ""),  # less than a pixel: one is shown
        ([0.1, 0.1, 0, 0.5], NOTHING),
        ([0.1, 0.1, 0.5, -0.2], NOTHING),
        ([1, 0, 0.2, 0.2], OUTSIDE),
        ([0, -0.4, 0.2, 0.4], OUTSIDE),
        ([np.nan, 0, 1, 1], ODD),
        ([0, 0, np.inf, 1], ODD),
    ],
)
def test_a_box_that_shows_nothing_says_why(box: list[float], fault: str) -> None:
    assert box_faults(np.array([box], float)).tolist() == [fault]


def test_faults_of_no_boxes_are_none() -> None:
    assert box_faults(np.empty((0, 4))).tolist() == []


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ([0, 0, 1, 1], slice(0, 30), slice(0, 40)),
        ([0.25, 0.5, 0.5, 0.5], slice(15, 30), slice(10, 30)),
        ([-0.5, -0.5, 0.75, 0.6], slice(0, 3), slice(0, 10)),
        ([0.9, 0.9, 5, 5], slice(27, 30), slice(36, 40)),
        ([0.5, 0.5, 1e-9, 1e-9], slice(15, 16), slice(20, 21)),
        ([0.999, 0.999, 1, 1], slice(29, 30), slice(39, 40)),  # rounded, it would begin beyond the last pixel
    ],
)
def test_crop_takes_the_pixels_inside_the_box(box: list[float], rows: slice, columns: slice) -> None:
    image = np.arange(30 * 40 * 3).reshape(30, 40, 3)

    assert np.array_equal(crop(image, np.array(box)), image[rows, columns])
