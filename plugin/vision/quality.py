"""How good a file is beside its copies: its size in pixels and bytes, its age, its sharpness."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import laplace

from ..errors import UnreadableImageError
from .ahead import work_ahead
from .decoder import DECODING_ERRORS
from .preprocessing import Preprocessing
from .resizing import resize

_SHARPNESS_SIDE = 512  # so that an image that was blown up is not the sharper one


def image_sizes(paths: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return (n,) float64 pixels of each image, read off its header; NaN where that can't be read."""

    def pixels(path: str) -> float:
        size = width_and_height(path)
        return float(size[0] * size[1]) if size else float("nan")

    return np.array(list(work_ahead(pixels, (str(path) for path in paths))), np.float64)


def width_and_height(path: str) -> tuple[int, int] | None:
    """Return the pixels of an image as they are stored, read off its header; None where that can't be read."""
    try:
        with Image.open(path) as image:
            return image.width, image.height
    except (*DECODING_ERRORS, Image.DecompressionBombError):
        return None


def file_sizes(paths: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return (n,) float64 bytes of each file; NaN where there is none."""
    return np.array([_stat(path, "st_size") for path in paths], np.float64)


def file_ages(paths: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return (n,) float64: minus each file's modification time in seconds, so that old is large; NaN = no file."""
    return np.array([-_stat(path, "st_mtime") for path in paths], np.float64)


def sharpness(paths: Sequence[str] | np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Return (n,) float64 variance of the Laplacian of each image, at most 512 pixels a side; NaN = unreadable.

    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy: a comparative study".
    """
    whole = preprocessing.without_draft()

    def measure(path: str) -> float:
        try:
            return sharpness_of(whole.read(path))
        except UnreadableImageError:
            return float("nan")

    return np.array(list(work_ahead(measure, (str(path) for path in paths), window=16, chunk=1)), np.float64)


def sharpness_of(image: np.ndarray) -> float:
    """Return the sharpness of (h, w, 3) uint8 pixels, see `sharpness`."""
    height, width = image.shape[:2]
    scale = min(1.0, _SHARPNESS_SIDE / max(height, width))
    small = resize(image, max(1, round(width * scale)), max(1, round(height * scale)))
    return float(laplace(small.mean(axis=2, dtype=np.float32)).var())


def _stat(path: str, name: str) -> float:
    try:
        return float(getattr(os.stat(path), name))
    except (OSError, ValueError):
        return float("nan")
