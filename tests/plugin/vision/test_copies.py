from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.copies import embed_copies, make_copy
from winnow.plugin.vision.preprocessing import Preprocessing


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 5), (300, 200)])
def test_a_copy_of_any_size_can_be_made(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)

    for _ in range(30):
        copy = make_copy(image, rng)

        assert (copy.ndim, copy.shape[2], copy.dtype) == (3, 3, np.uint8)


def test_the_same_seed_makes_the_same_copy() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)

    one, other, different = (make_copy(image, np.random.default_rng(seed)) for seed in (1, 1, 2))

    assert np.array_equal(one, other)
    assert one.shape != different.shape or not np.array_equal(one, different)


def test_unreadable_images_are_passed_over(
    tiny_vit: Backbone, image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = image_folder("a.png", "b.png")
    paths = [str(folder / "a.png"), str(tmp_path / "missing.png"), str(folder / "b.png")]

    copies = embed_copies(paths, tiny_vit, Preprocessing(input=tiny_vit.input))

    assert copies.source.tolist() == [0, 2]
    assert (copies.vectors.shape, copies.thumbnails.shape) == ((2, tiny_vit.width), (2, 32, 32))
    assert len(copies.features) == 2


def test_no_more_copies_are_made_than_wanted(tiny_vit: Backbone, image_folder: Callable[..., Path]) -> None:
    folder = image_folder(*(f"{number}.png" for number in range(6)))
    paths = [str(folder / f"{number}.png") for number in range(6)]

    one, other = (embed_copies(paths, tiny_vit, Preprocessing(input=tiny_vit.input), most=3) for _ in range(2))

    assert len(one.source) == 3
    assert one.source.tolist() == other.source.tolist() == sorted(one.source)


def test_no_images_have_no_copies(tiny_vit: Backbone) -> None:
    copies = embed_copies([], tiny_vit, Preprocessing(input=tiny_vit.input))

    assert len(copies.source) == len(copies.vectors) == len(copies.thumbnails) == len(copies.features) == 0
