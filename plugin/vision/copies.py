"""Near-duplicates made on purpose: what people and programs do to an image and still call it the same.

They show how much a copy of *these* images differs from its source, and so where copies and look-alikes part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from ..errors import UnreadableImageError
from .backbones import Backbone
from .engines import engine_for
from .keypoints import LocalFeatures, local_features
from .pipeline import run_images
from .preprocessing import Preprocessing
from .regions import Prepared
from .thumbnails import SIDE, thumbnail

COPIES = 400


@dataclass(frozen=True, eq=False)
class EmbeddedCopies:
    """Copies of some of n images.

    Attributes:
        source: (c,) int64, ascending: the image that each one is a copy of.
        vectors: (c, d) float32.
        thumbnails: (c, 32, 32) uint8.
        features: c keypoints; None where a copy is too small to have any.
    """

    source: np.ndarray
    vectors: np.ndarray
    thumbnails: np.ndarray
    features: tuple[LocalFeatures | None, ...]


def embed_copies(
    paths: Sequence[str] | np.ndarray,
    backbone: Backbone,
    preprocessing: Preprocessing,
    *,
    most: int = COPIES,
    seed: int = 0,
) -> EmbeddedCopies:
    """Choose some of the images, make one copy of each, and embed it. Files that cannot be read are passed over.

    Args:
        paths: n files.
        backbone: The network.
        preprocessing: How files become its input.
        most: Copies; fewer where there are fewer files.
        seed: The same seed makes the same copies of the same files.
    """
    chosen = np.sort(np.random.default_rng(seed).choice(len(paths), min(len(paths), most), replace=False))

    def read(number: int) -> Prepared:
        try:
            image = preprocessing.read(str(paths[chosen[number]]))
        except UnreadableImageError as error:
            return Prepared(reason=error.reason)
        copy = make_copy(image, np.random.default_rng([seed, number]))
        return Prepared(preprocessing.input.fit(copy), note=(number, thumbnail(copy), local_features(copy)))

    engine = engine_for(backbone.network, preprocessing.input, f"{backbone.architecture}-{backbone.weights_hash}")
    made = [
        (*prepared.note, output)
        for prepared, output in run_images(range(len(chosen)), read, engine)
        if not prepared.reason
    ]
    return EmbeddedCopies(
        source=chosen[[number for number, *_ in made]].astype(np.int64),
        vectors=np.array([vector for *_, vector in made], np.float32).reshape(-1, backbone.width),
        thumbnails=np.array([small for _, small, *_ in made], np.uint8).reshape(-1, SIDE, SIDE),
        features=tuple(features for _, _, features, _ in made),
    )


def make_copy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an edited copy, (h', w', 3) uint8, of an (h, w, 3) uint8 image: one to three random edits."""
    copy = Image.fromarray(image)
    for edit in rng.choice(len(_EDITS), size=int(rng.integers(1, 4)), replace=False, p=_SHARES):
        copy = _EDITS[edit][0](copy, rng)
    return np.array(copy)


def _reencoded(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(20, 90)))
    return Image.open(buffer).convert("RGB")


def _resized(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    wide, high = np.exp(rng.uniform(-0.5, 0.5)), np.exp(rng.uniform(-0.25, 0.25))
    return image.resize((max(1, round(image.width * wide)), max(1, round(image.height * wide * high))))


def _cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    keep = rng.uniform(0.7, 0.97, 2)
    width, height = (max(1, round(side * share)) for side, share in zip(image.size, keep, strict=True))
    left, top = int(rng.integers(0, image.width - width + 1)), int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _mirrored(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(image)


def _turned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Upside down, or by a quarter."""
    return image.transpose(Image.Transpose(int(rng.integers(1, 7))))


def _rotated(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    fill = tuple(int(value) for value in rng.choice([0, 255]) * np.ones(3, int))
    return image.rotate(float(rng.uniform(-25, 25)), Image.Resampling.BILINEAR, fillcolor=fill)


def _relit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    image = ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.6, 1.5)))
    image = ImageEnhance.Contrast(image).enhance(float(rng.uniform(0.7, 1.4)))
    return ImageEnhance.Color(image).enhance(float(rng.choice([0, 1, rng.uniform(0.5, 1.5)])))


def _blurred(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.005, 0.02)) * min(image.size)))


def _bordered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width = max(1, round(float(rng.uniform(0.02, 0.12)) * min(image.size)))
    return ImageOps.expand(image, width, int(rng.choice([0, 255])) if image.mode == "L" else _colour(rng))


def _labelled(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Write over it, as watermarks and time stamps do."""
    image = image.copy()
    x, y = rng.uniform(0, 0.7) * image.width, rng.uniform(0, 0.85) * image.height
    size = max(5.0, float(rng.uniform(0.06, 0.14)) * image.height)
    ImageDraw.Draw(image).text((float(x), float(y)), "2026-11-25", fill=_colour(rng), font_size=size)
    return image


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


_EDITS = (
    (_reencoded, 4.0),
    (_resized, 3.0),
    (_cropped, 4.0),
    (_mirrored, 2.0),
    (_turned, 1.0),
    (_rotated, 1.0),
    (_relit, 3.0),
    (_blurred, 1.0),
    (_bordered, 1.0),
    (_labelled, 1.0),
)
_SHARES = np.array([share for _, share in _EDITS]) / sum(share for _, share in _EDITS)
