"""Image files of every mode and size that people have: what different programs most easily read differently.

16-bit colour is left out, which Pillow alone cannot read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

VALUE_RANGE = (0.0, 4095.0)  # of the files with more than 8 bits
_ORIENTATION = 0x0112  # EXIF tag
_SIZES = ((500, 375), (90, 160), (224, 224), (31, 17), (400, 20), (8, 8), (640, 427))

Writer = Callable[[Image.Image, Path, int], None]


def write_mixed_files(folder: Path, count: int) -> list[Path]:
    """Write so many files, each kind in turn, of parts of scikit-image's photos; seeded."""
    from skimage import data

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    photos = [Image.fromarray(photo()) for photo in (data.astronaut, data.coffee, data.chelsea, data.rocket)]
    paths = []
    for number in range(count):
        suffix, write = _KINDS[number % len(_KINDS)]
        photo = photos[number % len(photos)]
        size = [round(side * share) for side, share in zip(photo.size, rng.uniform(0.3, 1, 2), strict=True)]
        left, top = (int(rng.integers(0, whole - side + 1)) for whole, side in zip(photo.size, size, strict=True))
        part = photo.crop((left, top, left + size[0], top + size[1]))
        path = folder / f"{number:04d}.{suffix}"
        write(part.resize(_SIZES[number % len(_SIZES)], Image.Resampling.BICUBIC), path, number)
        paths.append(path)
    return paths


def _as(mode: str) -> Writer:
    return lambda photo, path, number: photo.convert(mode).save(path)


def _turned(photo: Image.Image, path: Path, number: int) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 2 + number // len(_KINDS) % 7
    photo.save(path, exif=exif)


def _with_alpha(mode: str) -> Writer:
    def write(photo: Image.Image, path: Path, number: int) -> None:
        photo.putalpha(Image.linear_gradient("L").resize(photo.size))
        photo.convert(mode).save(path)

    return write


def _see_through(photo: Image.Image, path: Path, number: int) -> None:
    photo.quantize(32).save(path, transparency=number % 32)


def _grey_of_12_bits(photo: Image.Image, path: Path, number: int) -> None:
    grey = np.asarray(photo.convert("L"), np.uint16)
    image = Image.fromarray(grey * 16 + 5)
    exif = Image.Exif()
    exif[_ORIENTATION] = 1 + number // len(_KINDS) % 8
    image.save(path, **({"exif": exif} if path.suffix == ".png" else {}))


def _floating_point(photo: Image.Image, path: Path, number: int) -> None:
    Image.fromarray(np.asarray(photo.convert("L"), np.float32) * 16).save(path)


_KINDS: tuple[tuple[str, Writer], ...] = (
    ("jpg", _as("RGB")),
    ("jpg", _turned),
    ("jpg", _as("L")),
    ("jpg", _as("CMYK")),
    ("png", _as("RGB")),
    ("png", _as("P")),
    ("png", _see_through),
    ("png", _with_alpha("RGBA")),
    ("png", _with_alpha("LA")),
    ("png", _as("1")),
    ("png", _grey_of_12_bits),
    ("tif", _grey_of_12_bits),
    ("tif", _floating_point),
    ("webp", _with_alpha("RGBA")),
    ("gif", _as("P")),
    ("bmp", _as("RGB")),
    ("png", _turned),
)
