"""DICOM files (radiology) as 8-bit pixels; needs pydicom, which is an extra."""

from __future__ import annotations

import warnings
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np

from ..errors import UnreadableImageError

_PREAMBLE = 128


def is_dicom(data: bytes) -> bool:
    """Tell whether a file's content is DICOM (PS3.10, 7.1); older programs leave the preamble out."""
    return data[_PREAMBLE : _PREAMBLE + 4] == b"DICM" or (data[:2] == b"\2\0" and data[4:6] in (b"UL", b"OB", b"UI"))


def read_dicom(data: bytes, name: str, max_pixels: int = 2**31) -> tuple[np.ndarray, tuple[float, float] | None, bool]:
    """Read the first frame of a DICOM file.

    Args:
        data: The file's content.
        name: What messages call it.
        max_pixels: Larger images are refused before they are decoded.

    Returns:
        Its values: (h, w) of any type after the modality transform (Hounsfield units in a CT), or (h, w, 3) uint8 or
        uint16 RGB; the range that the file itself wants shown, as (low, high): its first window by the linear function
        of PS3.3 C.11.2.1.2.1, else all that up to 8 bits or colour can hold, None where it says nothing; whether low
        means white (MONOCHROME1).

    Raises:
        UnreadableImageError: pydicom or a decoder is not installed, the file is damaged, too large, or holds no pixels.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
    except ImportError:
        raise UnreadableImageError(name, 'DICOM needs pydicom: pip install "fiftyone-winnow[dicom]"') from None
    _silence_pydicom()
    try:
        dataset = pydicom.dcmread(BytesIO(data), force=True)
        size = f"{dataset.Columns} x {dataset.Rows} pixels"
        if dataset.Columns * dataset.Rows > max_pixels:
            raise UnreadableImageError(name, f"{size} are more than the limit of {max_pixels:,}")
        frame = pixel_array(dataset, index=0)
        if frame.ndim == 3:
            return frame[..., :3], (0.0, 2.0**dataset.BitsStored - 1), False
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            colours = apply_color_lut(frame, dataset)[..., :3]
            return colours, (0.0, float(np.iinfo(colours.dtype).max)), False
        shown = _window(dataset) or _all_of_8_bits(dataset, frame.dtype)
        return _whole(apply_modality_lut(frame, dataset)), shown, dataset.PhotometricInterpretation == "MONOCHROME1"
    except UnreadableImageError:
        raise
    except Exception as cause:  # pydicom raises what its parsers and decoders raise, of any type
        text = " ".join(str(cause).split())  # of several lines where it lists the decoders that are not installed
        raise UnreadableImageError(name, f"damaged or unsupported DICOM ({type(cause).__name__}: {text})") from cause


@cache
def _silence_pydicom() -> None:
    """Hide its warnings, once: `warnings.catch_warnings` is not safe in threads. What cannot be read is an error."""
    warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")


def _window(dataset: Any) -> tuple[float, float] | None:
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is not None and width is not None and width >= 1:
        half = max(width - 1, 1e-3) / 2
        return center - 0.5 - half, center - 0.5 + half
    return None


def _all_of_8_bits(dataset: Any, dtype: np.dtype) -> tuple[float, float] | None:
    """Return what the values of an image of at most 8 bits can be after the modality transform, None for more bits."""
    if dataset.BitsStored > 8:
        return None
    from pydicom.pixels import apply_modality_lut

    lowest = -(2 ** (dataset.BitsStored - 1)) if dtype.kind == "i" else 0
    ends = apply_modality_lut(np.array([lowest, lowest + 2**dataset.BitsStored - 1], dtype), dataset)
    return (float(ends.min()), float(ends.max())) if ends.min() < ends.max() else None


def _whole(values: np.ndarray) -> np.ndarray:
    """Return whole numbers as such: slope and intercept make floats of them, which another range would be found for."""
    rounded = np.rint(values)
    return rounded.astype(np.int64) if np.array_equal(rounded, values) else values


def _first(value: Any) -> float | None:
    """Return the first of a header entry's values."""
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
