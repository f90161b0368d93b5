"""Images of more than 8 bits a channel: found by their header, read without losing a bit."""

from __future__ import annotations

import numpy as np
from PIL import Image

_BITS_PER_SAMPLE, _PLANAR_CONFIGURATION = 258, 284  # TIFF tags
_SEPARATE = 2


def is_high_bit(image: Image.Image) -> bool:
    """Tell whether an opened image holds more than 8 bits a channel; its pixels are not read."""
    return image.mode.startswith("I") or image.mode == "F" or _is_wide_colour(image)


def high_bit_values(image: Image.Image, data: bytes) -> np.ndarray:
    """Return the values of an opened image of more than 8 bits.

    Args:
        image: For which `is_high_bit` holds.
        data: The file that it was opened from.

    Returns:
        (h, w) of any number type, or (h, w, 3 or 4) uint16 RGB or RGBA. Those of a TIFF lie upright (Pillow and OpenCV
        both see to that), others as they are stored.

    Raises:
        ValueError: 16-bit colour that OpenCV cannot read, or misreads.
    """
    if not _is_wide_colour(image):
        return np.asarray(image)
    if image.format == "TIFF" and image.tag_v2.get(_PLANAR_CONFIGURATION) == _SEPARATE:  # type: ignore[attr-defined]
        raise ValueError("16-bit colour in separate planes; save it with interleaved channels")  # OpenCV mixes them up
    import cv2  # Pillow keeps the high byte of 16-bit colour alone

    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3:
        raise ValueError("16-bit colour in a layout that OpenCV cannot read")
    return cv2.cvtColor(values, cv2.COLOR_BGRA2RGBA if values.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def _is_wide_colour(image: Image.Image) -> bool:
    """Tell whether Pillow's decoder would drop the low byte of each of several channels."""
    if image.format not in ("PNG", "TIFF") or image.mode not in ("RGB", "RGBA", "LA"):
        return False
    if image.format == "TIFF":  # where channels lie in planes of their own, the raw modes do not tell
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))) > 8  # type: ignore[attr-defined]
    return any(";16" in str(argument) for tile in getattr(image, "tile", ()) for argument in _arguments(tile[3]))


def _arguments(found: object) -> tuple:
    return found if isinstance(found, tuple) else (found,)
