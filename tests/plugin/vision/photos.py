"""scikit-image's photos, and images that are easily taken for each other."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

WORDS = ("lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed", "eiusmod", "tempor")


def photo(name: str) -> Image.Image:
    """Return one of the photos in colour."""
    return Image.fromarray(getattr(data, name)()).convert("RGB")


def page(seed: int) -> Image.Image:
    """Return a page of random words, 400 x 500."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (400, 500), "white")
    for top in range(20, 480, 22):
        ImageDraw.Draw(image).text((20, top), " ".join(rng.choice(WORDS, 7)), fill="black", font_size=16)
    return image


def chessboard(square: int) -> Image.Image:
    """Return squares of so many pixels, 300 x 300."""
    down, right = np.mgrid[:300, :300] // square
    return Image.fromarray(((down + right) % 2 * 255).astype(np.uint8)).convert("RGB")
