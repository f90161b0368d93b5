from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate, zoom

from winnow.plugin.curation.alignment import (
    SIDE,
    Agreement,
    align_coarsely,
    align_finely,
    invert,
    orientation_agreement,
)
from winnow.plugin.curation.orientation import ORIENTATIONS, UPRIGHT, oriented
from winnow.plugin.errors import JobCancelled

CANVAS = 48


def scene(seed: int) -> np.ndarray:
    """Return (48, 48) float: smooth random patches, as in a photograph seen small."""
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(CANVAS, CANVAS)), 2)
    return 127 + 110 * smooth / np.abs(smooth).max()


def cut(image: np.ndarray, down: int = 0, right: int = 0, magnified: float = 1.0) -> np.ndarray:
    """Return the middle (32, 32) uint8 pixels of a scene, moved by `down` and `right`, magnified."""
    larger = zoom(image, magnified, order=1)
    top, left = (len(larger) - SIDE) // 2 + down, (len(larger) - SIDE) // 2 + right
    return np.clip(larger[top : top + SIDE, left : left + SIDE], 0, 255).astype(np.uint8)


def align(
    first: np.ndarray, second: np.ndarray, orientation: int = UPRIGHT, angles: tuple[float, ...] = (0.0,)
) -> Agreement:
    """Align one pair of thumbnails in both stages."""
    thumbnails, pairs, turned = np.stack([first, second]), np.array([[0, 1]]), np.array([orientation])
    coarse = align_coarsely(thumbnails, pairs, turned, angles)
    return align_finely(thumbnails, pairs, coarse.placement, turned)


@pytest.mark.parametrize(
    "moved",
    [
        partial(cut, down=3, right=-2),
        partial(cut, down=-4),
        partial(cut, magnified=1.15),
        partial(cut, magnified=0.87),
        partial(cut, magnified=1.28),
        partial(cut, right=2, magnified=1.1),
    ],
    ids=["shifted", "shifted far", "magnified", "shrunk", "magnified much", "both"],
)
def test_a_moved_copy_agrees_once_aligned(moved: partial) -> None:
    image = scene(seed=1)

    agreement = align(cut(image), moved(image))

    assert agreement.correlation[0] > 0.99
    assert agreement.detail[0] > 0.9


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_mirrored_or_turned_copy_agrees_in_the_orientation_that_undoes_it(orientation: int) -> None:
    image = cut(scene(seed=1))
    copies = oriented(image[None], orientation).copy()
    (undone,) = [number for number in ORIENTATIONS if np.array_equal(oriented(copies, number)[0], image)]

    agreement = align(image, copies[0], undone)

    assert orientation_agreement(np.stack([image, copies[0]]), np.array([[0, 1]])).argmax() == undone
    assert agreement.correlation[0] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("degrees", [-22, 15, 25])
def test_a_copy_at_an_angle_agrees_where_angles_are_searched(degrees: float) -> None:
    image = scene(seed=1)

    agreement = align(cut(image), cut(rotate(image, degrees, reshape=False, order=1)), angles=(-18.0, 18.0))

    assert agreement.correlation[0] > 0.97


def test_coarse_correlations_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    thumbnails = rng.integers(0, 256, (12, SIDE, SIDE)).astype(np.uint8)
    pairs = np.array([[row, (5 * row + 1) % 12] for row in range(12)])

    found = align_coarsely(thumbnails, pairs).correlation

    half = (thumbnails.astype(np.float32)[:, ::2] + thumbnails[:, 1::2]) / 2
    small = (half[:, :, ::2] + half[:, :, 1::2]) / 2  # what sampling between pixels gives
    for (one, two), correlation in zip(pairs, found, strict=True):
        middle = small[one, 2:14, 2:14].ravel()
        shifted = [
            np.corrcoef(middle, small[two, down : down + 12, right : right + 12].ravel())[0, 1]
            for down in range(5)
            for right in range(5)
        ]
        assert correlation >= max(shifted) - 1e-3  # zoomed placements may be better still


def test_an_inverted_placement_leads_back() -> None:
    placement = np.array([[1.1, 0.2, -0.1, 0.9, 3, -2]], np.float32)

    np.testing.assert_allclose(invert(invert(placement)), placement, atol=1e-5)


def test_brightness_and_contrast_do_not_matter() -> None:
    image = scene(seed=1)

    agreement = align(cut(image), cut(40 + 0.6 * image, down=2))

    assert agreement.correlation[0] > 0.99


def test_an_unrelated_image_does_not_agree() -> None:
    agreements = [align(cut(scene(seed)), cut(scene(seed + 100))) for seed in range(20)]

    assert max(found.correlation[0] for found in agreements) < 0.7
    assert max(found.detail[0] for found in agreements) < 0.7


def test_an_image_agrees_with_itself_where_it_lies() -> None:
    thumbnails, pairs = np.stack([cut(scene(seed=1))] * 2), np.array([[0, 1]])

    coarse = align_coarsely(thumbnails, pairs)

    assert coarse.placement[0].tolist() == [1, 0, 0, 1, 0, 0]
    assert coarse.correlation[0] == pytest.approx(1, abs=1e-3)


def test_coarse_search_finds_how_far_a_copy_was_moved() -> None:
    image = scene(seed=1)
    thumbnails = np.stack([cut(image, down=2, right=-4), cut(image)])

    coarse = align_coarsely(thumbnails, np.array([[0, 1]]))

    assert coarse.placement[0].tolist() == [1, 0, 0, 1, 2, -4]


def test_images_without_contrast_agree_with_nothing() -> None:
    flat, other = np.full((SIDE, SIDE), 255, np.uint8), cut(scene(seed=1))

    agreements = [align(flat, flat), align(flat, other)]

    assert all(abs(found.correlation[0]) < 0.01 for found in agreements)
    assert all(abs(found.detail[0]) < 0.01 for found in agreements)


def test_no_pairs_give_no_results() -> None:
    thumbnails, pairs = np.stack([cut(scene(seed=1))] * 2), np.empty((0, 2), np.int64)

    coarse = align_coarsely(thumbnails, pairs)
    agreement = align_finely(thumbnails, pairs, coarse.placement)

    assert coarse.correlation.shape == agreement.correlation.shape == agreement.detail.shape == (0,)
    assert coarse.placement.shape == (0, 6)


def test_results_do_not_depend_on_the_other_pairs() -> None:
    thumbnails = np.stack([cut(scene(seed % 5), down=seed % 3) for seed in range(40)])
    pairs = np.stack(np.triu_indices(40, 1), axis=1)  # more than one block
    coarse = align_coarsely(thumbnails, pairs)

    alone = align_finely(thumbnails, pairs[[600]], coarse.placement[[600]])
    together = align_finely(thumbnails, pairs, coarse.placement)

    np.testing.assert_allclose(alone.correlation[0], together.correlation[600], atol=1e-5)
    np.testing.assert_allclose(alone.detail[0], together.detail[600], atol=1e-5)


def test_raising_from_progress_stops_the_search() -> None:
    def cancel(step: str, done: int, total: int) -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        align_coarsely(np.stack([cut(scene(seed=1))] * 2), np.array([[0, 1]]), progress=cancel)
