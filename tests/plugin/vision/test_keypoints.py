from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps

from winnow.plugin.vision.keypoints import LocalFeatures, Match, local_features, match

from .photos import chessboard, page, photo

FEWEST, LEAST = 12, 0.5  # keypoints and agreement of every copy below


def features(image: Image.Image) -> LocalFeatures:
    found = local_features(np.array(image.convert("RGB")))
    assert found is not None
    return found


def half(image: Image.Image) -> Image.Image:
    """Return the middle half of the area."""
    width, height = image.size
    return image.crop((round(0.15 * width), round(0.15 * height), round(0.85 * width), round(0.85 * height)))


def tilted(image: Image.Image) -> Image.Image:
    """Return it as seen from the left: the right side is a fifth lower."""
    width, height = image.size
    corners = (0, 0, 0, height, width, 1.1 * height, width, -0.1 * height)
    return image.transform(image.size, Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "rotation by 25 degrees": lambda image: image.rotate(25, Image.Resampling.BICUBIC),
    "border": lambda image: ImageOps.expand(image, round(0.12 * min(image.size)), (200, 30, 60)),
    "crop to half": half,
    "perspective": tilted,
    "mirror image": ImageOps.mirror,
    "upside-down mirror image, half the size": lambda image: ImageOps.flip(
        image.resize((image.width // 2, image.height // 2))
    ),
}


@pytest.mark.parametrize("name", ["astronaut", "coffee", "grass"])
@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_matches_its_source(name: str, edit: str) -> None:
    image = photo(name)

    found = match(features(image), features(EDITS[edit](image)))

    assert found.inliers >= FEWEST
    assert found.agreement >= LEAST


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (photo("astronaut"), photo("coffee")),
        (photo("grass"), photo("gravel")),
        (page(0), page(1)),
        (chessboard(20), chessboard(30)),
        (photo("brick").crop((0, 0, 256, 256)), photo("brick").crop((256, 256, 512, 512))),
    ],
    ids=["photos", "textures", "pages of text", "chessboards", "two places of one wall"],
)
def test_different_images_do_not_agree(one: Image.Image, other: Image.Image) -> None:
    found = match(features(one), features(other))

    assert found.inliers < FEWEST or found.agreement < LEAST


def test_keypoints_in_a_corner_of_the_overlap_prove_nothing() -> None:
    logo = photo("coffee").crop((200, 100, 300, 200))
    cards = []
    for name in ("brick", "moon"):
        cards.append(photo(name).resize((600, 600)))
        cards[-1].paste(logo, (20, 20))

    assert match(features(cards[0]), features(cards[1])).agreement == 0


def test_order_of_the_two_images_does_not_matter() -> None:
    one, other = features(photo("chelsea")), features(photo("chelsea").rotate(10))

    assert match(one, other) == match(other, one)


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (128, 128), (1, 2000), (2000, 100)])
def test_small_images_and_strips_have_no_features(size: tuple[int, int]) -> None:
    assert local_features(np.array(photo("astronaut").resize(size))) is None


def test_images_without_keypoints_match_nothing() -> None:
    blank = features(Image.new("RGB", (300, 200), "white"))

    assert match(blank, blank) == Match()
    assert match(blank, features(photo("astronaut"))) == Match()
