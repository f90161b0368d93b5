"""The small grey picture of a whole image that duplicates are confirmed on."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 32


def thumbnail(image: Image.Image) -> np.ndarray:
    """Return (32, 32) uint8 grey: the whole image, squashed, antialiased."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC))
