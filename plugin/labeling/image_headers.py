"""What the first bytes of an image tell, before it is decoded: its format, its size, and if it is a display copy."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from ..vision.decoder import DECODING_ERRORS
from ..vision.heif import can_read_heif
from .image_access import AccessProblem, ImageAccessError
from .originals import COPY_MARK

# Pillow knows many more, among them EPS, for which it starts Ghostscript. (MPO: the JPEGs of many phones.)
_FORMATS = frozenset(
    {"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA", "ICO", "HEIF"}
)


def check_header(source: Path | BytesIO, max_pixels: int) -> None:
    """Refuse an image of an odd format, one that would take too much memory, and a display copy.

    Files that Pillow does not know, or that are damaged, are let through: the decoder says what is wrong with them, and
    holds DICOM files to a limit of its own.

    Args:
        source: A file, or its bytes; these are left at their beginning.
        max_pixels: Width times height.

    Raises:
        ImageAccessError: See `AccessProblem`.
    """
    can_read_heif()
    try:
        with Image.open(source) as image:
            kind, pixels, is_copy = image.format, image.width * image.height, COPY_MARK in image.info
    except Image.DecompressionBombError:
        raise ImageAccessError(AccessProblem.TOO_LARGE, f"more pixels than the limit of {max_pixels:,}") from None
    except DECODING_ERRORS:
        return
    finally:
        if isinstance(source, BytesIO):
            source.seek(0)
    if kind not in _FORMATS:
        raise ImageAccessError(AccessProblem.UNSUPPORTED, f"images of the format {kind} are not read")
    if pixels > max_pixels:
        raise ImageAccessError(AccessProblem.TOO_LARGE, f"{pixels:,} pixels are more than the limit of {max_pixels:,}")
    if is_copy:
        raise ImageAccessError(
            AccessProblem.UNSUPPORTED, "it is a display copy, and the task does not name its original"
        )
