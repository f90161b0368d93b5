from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from winnow.plugin.training.augmentation import augment, mixed
from winnow.plugin.training.randomness import seeded
from winnow.plugin.training.recipe import Recipe

STILL = {"flip": 0.0, "zoom": 0.0, "shift": 0.0}


def images(n: int = 6, size: int = 20) -> torch.Tensor:
    coarse = np.random.default_rng(0).integers(0, 256, (n, 5, 5, 3), dtype=np.uint8)
    return torch.from_numpy(coarse.repeat(size // 5, axis=1).repeat(size // 5, axis=2))


def varied(images: torch.Tensor, recipe: Recipe, seed: int = 0) -> torch.Tensor:
    with seeded(seed):
        return augment(images, recipe)


def test_shape_and_type_stay() -> None:
    found = varied(images(), Recipe())

    assert (found.shape, found.dtype) == (images().shape, torch.uint8)


def test_each_image_gets_a_view_of_its_own() -> None:
    same = images(1).repeat(6, 1, 1, 1)

    found = varied(same, Recipe())

    assert len({view.numpy().tobytes() for view in found}) == 6


def test_the_seed_decides_the_views() -> None:
    first, again, other = (varied(images(), Recipe(), seed) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()

    varied(images(), Recipe())

    assert torch.equal(torch.get_rng_state(), before)


def test_without_anything_to_vary_images_stay_the_same() -> None:
    assert torch.equal(varied(images(), Recipe(**STILL)), images())


def test_a_flip_mirrors_left_and_right() -> None:
    found = varied(images(), Recipe(**STILL | {"flip": 1.0}))

    assert torch.equal(found, images().flip(2))


def test_about_half_of_the_images_are_flipped() -> None:
    many = images(1).repeat(200, 1, 1, 1)

    found = varied(many, Recipe(**STILL))
    flipped = varied(many, Recipe(**STILL | {"flip": 0.5}))

    assert 70 < (found != flipped).flatten(1).any(dim=1).sum() < 130


def test_a_zoom_changes_sizes_by_at_most_its_share() -> None:
    squares = torch.zeros(50, 40, 40, 3, dtype=torch.uint8)
    squares[:, 10:30, 10:30] = 255

    found = varied(squares, Recipe(**STILL | {"zoom": 0.25})).float()[..., 0] / 255

    sides = found.sum(dim=(1, 2)).sqrt()
    assert 14.5 < sides.min() < 17
    assert 23 < sides.max() < 25.5


def test_an_upside_down_view_is_turned_top_to_bottom() -> None:
    assert torch.equal(varied(images(), Recipe(**STILL | {"vertical_flip": 1.0})), images().flip(1))


@pytest.mark.parametrize(
    "setting",
    [{"crop": 0.3}, {"color_jitter": 0.8}, {"rand_augment": 20}, {"erase": 1.0}],
    ids=lambda each: next(iter(each)),
)
def test_each_transform_changes_images_and_keeps_their_shape(setting: dict[str, float]) -> None:
    found = varied(images(), Recipe(**STILL | setting))

    assert (found.shape, found.dtype) == (images().shape, torch.uint8)
    assert (found != images()).flatten(1).any(dim=1).sum() >= 4


def test_mixup_blends_images_and_targets_alike() -> None:
    pictures = torch.stack([torch.full((4, 4, 3), value, dtype=torch.uint8) for value in (0, 200)])
    recipe = Recipe(mixup=1.0)

    with seeded(0):
        blended, targets, weights = mixed(pictures, torch.eye(2), torch.ones(2), recipe)

    share = targets[0, 0]
    assert 0.02 < share < 0.98
    assert torch.allclose(targets.sum(dim=1), torch.ones(2))
    assert torch.allclose(blended[0], torch.full((4, 4, 3), float(200 * (1 - share))), atol=1e-3)
    assert torch.allclose(weights, torch.ones(2))


def test_cutmix_takes_a_rectangle_of_the_share_that_it_says() -> None:
    pictures = torch.stack([torch.full((20, 20, 3), value, dtype=torch.uint8) for value in (0, 100)])

    with seeded(3):
        blended, targets, _ = mixed(pictures, torch.eye(2), torch.ones(2), Recipe(cutmix=1.0))

    assert set(blended.unique().tolist()) == {0.0, 100.0}
    assert float((blended[0] == 100).float().mean()) == pytest.approx(float(targets[0, 1]), abs=1e-6)


def test_what_nobody_annotated_stays_unknown_when_images_are_blended() -> None:
    targets = torch.tensor([[1.0, math.nan], [0.0, 1.0], [1.0, 0.0]])

    with seeded(0):
        _, found, _ = mixed(images(3), targets, torch.ones(3), Recipe(mixup=1.0))

    assert not found[:, 0].isnan().any()
    assert found[:, 1].isnan().sum() == 2  # the image itself, and the one that it has a part in


def test_a_single_image_is_not_blended() -> None:
    with seeded(0):
        found, *_ = mixed(images(1), torch.eye(1), torch.ones(1), Recipe(mixup=1.0))

    assert torch.equal(found, images(1))


def test_a_shift_moves_by_at_most_its_share_of_the_side() -> None:
    dots = torch.zeros(50, 21, 21, 3, dtype=torch.uint8)
    dots[:, 10, 10] = 255

    found = varied(dots, Recipe(**STILL | {"shift": 0.2})).float()[..., 0]

    places = torch.stack(torch.meshgrid(torch.arange(21.0), torch.arange(21.0), indexing="ij"), dim=-1)
    centres = (found[..., None] * places).sum(dim=(1, 2)) / found.sum(dim=(1, 2))[:, None]
    distances = (centres - 10).abs()
    assert distances.max() <= 0.2 * 21 + 0.1
    assert distances.max(dim=0).values.min() > 2  # in both directions
