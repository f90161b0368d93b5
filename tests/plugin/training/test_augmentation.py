from __future__ import annotations

import numpy as np
import torch

from winnow.plugin.training.augmentation import augment
from winnow.plugin.training.recipe import Recipe

STILL = {"flip": 0.0, "scale": (1.0, 1.0), "shift": 0.0}


def images(n: int = 6, size: int = 20) -> torch.Tensor:
    coarse = np.random.default_rng(0).integers(0, 256, (n, 5, 5, 3), dtype=np.uint8)
    return torch.from_numpy(coarse.repeat(size // 5, axis=1).repeat(size // 5, axis=2))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shape_and_type_stay() -> None:
    found = augment(images(), Recipe(), seeded())

    assert (found.shape, found.dtype) == (images().shape, torch.uint8)


def test_each_image_gets_a_view_of_its_own() -> None:
    same = images(1).repeat(6, 1, 1, 1)

    found = augment(same, Recipe(), seeded())

    assert len({view.numpy().tobytes() for view in found}) == 6


def test_the_seed_decides_the_views() -> None:
    first, again, other = (augment(images(), Recipe(), seeded(seed)) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()

    augment(images(), Recipe(), seeded())

    assert torch.equal(torch.get_rng_state(), before)


def test_without_anything_to_vary_images_stay_the_same() -> None:
    assert torch.equal(augment(images(), Recipe(**STILL), seeded()), images())


def test_a_flip_mirrors_left_and_right() -> None:
    found = augment(images(), Recipe(**STILL | {"flip": 1.0}), seeded())

    assert torch.equal(found, images().flip(2))


def test_about_half_of_the_images_are_flipped() -> None:
    many = images(1).repeat(200, 1, 1, 1)

    found = augment(many, Recipe(**STILL), seeded())
    flipped = augment(many, Recipe(**STILL | {"flip": 0.5}), seeded())

    assert 70 < (found != flipped).flatten(1).any(dim=1).sum() < 130


def test_a_zoom_enlarges_the_middle() -> None:
    square = torch.zeros(1, 20, 20, 3, dtype=torch.uint8)
    square[:, 8:12, 8:12] = 255

    found = augment(square, Recipe(**STILL | {"scale": (2.0, 2.0)}), seeded())

    assert (found[0, 7:13, 7:13] == 255).all()
    assert (found[0, :5] == 0).all()


def test_a_shift_moves_by_at_most_its_share_of_the_side() -> None:
    dots = torch.zeros(50, 21, 21, 3, dtype=torch.uint8)
    dots[:, 10, 10] = 255

    found = augment(dots, Recipe(**STILL | {"shift": 0.2}), seeded()).float()[..., 0]

    places = torch.stack(torch.meshgrid(torch.arange(21.0), torch.arange(21.0), indexing="ij"), dim=-1)
    centres = (found[..., None] * places).sum(dim=(1, 2)) / found.sum(dim=(1, 2))[:, None]
    distances = (centres - 10).abs()
    assert distances.max() <= 0.2 * 21 + 0.1
    assert distances.max(dim=0).values.min() > 2  # in both directions
