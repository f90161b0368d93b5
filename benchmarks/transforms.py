"""Edits that make a near-duplicate of an image, each with a random parameter."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

Edit = Callable[[Image.Image, np.random.Generator], Image.Image]


def _jpeg(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(25, 36)))
    return Image.open(buffer).convert("RGB")


def _resize(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    scale = float(rng.choice([rng.uniform(0.4, 0.8), rng.uniform(1.25, 2)]))
    return image.resize((max(8, round(image.width * scale)), max(8, round(image.height * scale))))


def _crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Cut away a fifth of the area, wherever the rest lies."""
    width, height = round(image.width * np.sqrt(0.8)), round(image.height * np.sqrt(0.8))
    left, top = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
    return image.crop((int(left), int(top), int(left) + width, int(top) + height))


def _rotate(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turn by 25 degrees either way; what comes from outside is black."""
    return image.rotate(float(rng.choice([-25, 25])), Image.Resampling.BICUBIC)


def _aspect(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    scale = float(rng.choice([rng.uniform(0.6, 0.8), rng.uniform(1.25, 1.6)]))
    return image.resize((max(8, round(image.width * scale)), image.height))


def _brightness(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(float(rng.choice([rng.uniform(0.5, 0.75), rng.uniform(1.3, 1.6)])))


def _border(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width = max(1, round(float(rng.uniform(0.05, 0.12)) * min(image.size)))
    return ImageOps.expand(image, width, tuple(int(value) for value in rng.integers(0, 256, 3)))


def _text(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    edited = image.copy()
    size = max(6, round(image.height * 0.12))
    place = float(rng.uniform(0.02, 0.2)) * image.width, float(rng.uniform(0.05, 0.8)) * image.height
    ImageDraw.Draw(edited).text(
        place, "SAMPLE 2026", fill=tuple(int(v) for v in rng.integers(0, 256, 3)), font_size=size
    )
    return edited


EDITS: dict[str, Edit] = {
    "JPEG quality 30": _jpeg,
    "resize": _resize,
    "crop 20 %": _crop,
    "horizontal flip": lambda image, rng: ImageOps.mirror(image),
    "vertical flip": lambda image, rng: ImageOps.flip(image),
    "rotation 25 degrees": _rotate,
    "aspect change": _aspect,
    "gray": lambda image, rng: ImageOps.grayscale(image).convert("RGB"),
    "brightness": _brightness,
    "border": _border,
    "text overlay": _text,
    "mirror + crop": lambda image, rng: _crop(ImageOps.mirror(image), rng),
}
