from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.orientation import ORIENTATIONS, canonical_orientation, orient, oriented


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)


def test_the_eight_orientations_differ(images: np.ndarray) -> None:
    assert len({oriented(images[:1], number).tobytes() for number in ORIENTATIONS}) == 8


def test_each_image_is_put_in_its_own_orientation(images: np.ndarray) -> None:
    numbers = np.arange(20) % 8

    turned = orient(images, numbers)

    for row, number in enumerate(numbers):
        assert np.array_equal(turned[row], oriented(images[row : row + 1], number)[0])


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_image_and_its_turned_copy_get_the_same_picture(images: np.ndarray, orientation: int) -> None:
    copies = oriented(images, orientation)

    of_images = orient(images, canonical_orientation(images))
    of_copies = orient(copies, canonical_orientation(copies))

    assert np.array_equal(of_images, of_copies)


def test_no_images_have_no_orientation() -> None:
    assert canonical_orientation(np.empty((0, 8, 8), np.uint8)).shape == (0,)
