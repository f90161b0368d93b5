"""Which values images of more than 8 bits really use, so that they can be scaled without losing what is in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import UnreadableImageError
from .decoder import DECODING_ERRORS, read_high_bit
from .dicom import is_dicom
from .high_bit import is_high_bit

_EIGHT_BIT_FORMATS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp"})
_SAMPLE = 256


def detect_value_range(paths: Sequence[str]) -> tuple[float, float] | None:
    """Return the (low, high) that the images of more than 8 bits among `paths` use, None without such images.

    Whole numbers give (0, 2^b - 1) for the smallest b >= 8 that holds the largest value seen (12-bit X-rays in 16-bit
    files give 4095), so that a few more images hardly ever change the answer. Floating-point images give (0, 1) when
    they stay inside it, else their smallest and largest finite value. Values are read from at most 256 of the images,
    evenly spaced; unreadable files are passed over (whoever decodes them reports them).
    """
    high_bit = [path for path in paths if Path(path).suffix.lower() not in _EIGHT_BIT_FORMATS and _may_be(path)]
    low, high, whole = np.inf, -np.inf, True
    for path in high_bit[:: max(1, math.ceil(len(high_bit) / _SAMPLE))]:
        try:
            values = read_high_bit(path)
        except UnreadableImageError:
            continue
        if values is None:
            continue
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            whole = whole and values.dtype.kind in "iu"
    if not np.isfinite(high):
        return None
    if whole:
        return min(0.0, low), float(2 ** max(8, int(high).bit_length()) - 1)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1.0


def _may_be(path: str) -> bool:
    """Read the header only; a DICOM file's is not told apart from its pixels."""
    try:
        with Image.open(path) as image:
            return is_high_bit(image)
    except UnidentifiedImageError:
        return Path(path).suffix.lower() == ".dcm" or _has_dicom_preamble(path)
    except (*DECODING_ERRORS, Image.DecompressionBombError):
        return False


def _has_dicom_preamble(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return is_dicom(file.read(132))
    except OSError:
        return False
