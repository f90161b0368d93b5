"""The small grey picture of a whole image that duplicates are confirmed on."""

from __future__ import annotations

import numpy as np

from .resizing import resize

SIDE = 32
_LUMA = np.array([19595, 38470, 7471], np.uint32)  # ITU-R 601-2 in 16 bits, as in Pillow's mode "L"


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return (32, 32) uint8 grey of the (h, w, 3) uint8 image: the whole of it, squashed, antialiased."""
    return ((resize(image, SIDE, SIDE) @ _LUMA + 0x8000) >> 16).astype(np.uint8)
