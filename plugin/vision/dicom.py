"""DICOM files (radiology) as 8-bit pixels; needs pydicom, which is an extra."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from ..errors import UnreadableImageError

_PREAMBLE = 128


def is_dicom(data: bytes) -> bool:
    """Tell whether a file's content is DICOM (PS3.10, 7.1)."""
    return data[_PREAMBLE : _PREAMBLE + 4] == b"DICM"


def read_dicom(data: bytes, name: str, max_pixels: int = 2**31) -> tuple[np.ndarray, tuple[float, float] | None, bool]:
    """Read the first frame of a DICOM file.

    Args:
        data: The file's content.
        name: What messages call it.
        max_pixels: Larger images are refused before they are decoded.

    Returns:
        Its values: (h, w) of any type after the modality transform (Hounsfield units in a CT), or (h, w, 3) uint8 for
        colour; the range that the file itself wants shown, as (low, high): its first window by the linear function of
        PS3.3 C.11.2.1.2.1, or all of 8 bits, None where it says nothing; whether low means white (MONOCHROME1).

    Raises:
        UnreadableImageError: pydicom or a decoder is not installed, the file is damaged, too large, or holds no pixels.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut, pixel_array
    except ImportError:
        raise UnreadableImageError(name, 'DICOM needs pydicom: pip install "fiftyone-winnow[dicom]"') from None
    try:
        dataset = pydicom.dcmread(BytesIO(data))
        size = f"{dataset.Columns} x {dataset.Rows} pixels"
        if dataset.Columns * dataset.Rows > max_pixels:
            raise UnreadableImageError(name, f"{size} are more than the limit of {max_pixels:,}")
        frame = pixel_array(dataset, index=0)
        if frame.ndim == 3:
            return np.ascontiguousarray(frame[..., :3]).astype(np.uint8), (0.0, 255.0), False
        values = np.asarray(apply_modality_lut(frame, dataset))
        return values, _wanted_range(dataset, values), dataset.PhotometricInterpretation == "MONOCHROME1"
    except UnreadableImageError:
        raise
    except Exception as cause:  # pydicom raises what its parsers and decoders raise, of any type
        text = str(cause).splitlines()[0] if str(cause) else ""
        raise UnreadableImageError(name, f"damaged or unsupported DICOM ({type(cause).__name__}: {text})") from cause


def _wanted_range(dataset: Any, values: np.ndarray) -> tuple[float, float] | None:
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is not None and width is not None and width >= 1:
        half = max(width - 1, 1e-3) / 2
        return center - 0.5 - half, center - 0.5 + half
    return (0.0, 255.0) if values.dtype == np.uint8 else None


def _first(value: Any) -> float | None:
    """Return the first of a header entry's values."""
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
