"""What the first bytes of an image tell, before it is decoded: its format, its size, and if it is a display copy."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ..vision.decoder import DECODING_ERRORS
from ..vision.dicom import is_dicom
from ..vision.heif import can_read_heif
from .image_access import AccessProblem, ImageAccessError
from .originals import COPY_MARK

# Pillow knows many more, among them EPS, for which it starts Ghostscript. (MPO: the JPEGs of many phones.)
_FORMATS = frozenset(
    ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA", "ICO", "HEIF")
) | {"DICOM"}


def check_header(source: Path | BytesIO, max_pixels: int) -> None:
    """Refuse an image of an odd format, one that would take too much memory, and a display copy.

    Damaged files, and those of formats that Pillow does not know, are let through: the decoder says what is wrong.

    Args:
        source: A file, or its bytes; these are left at their beginning.
        max_pixels: Width times height.

    Raises:
        ImageAccessError: See `AccessProblem`.
    """
    try:
        with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
            header = _header(file)
            file.seek(0)
    except Image.DecompressionBombError:
        raise ImageAccessError(AccessProblem.TOO_LARGE, f"more pixels than the limit of {max_pixels:,}") from None
    except OSError:
        return
    if header is None:
        return
    if header.kind not in _FORMATS:
        raise ImageAccessError(AccessProblem.UNSUPPORTED, f"images of the format {header.kind} are not read")
    if header.pixels > max_pixels:
        reason = f"{header.pixels:,} pixels are more than the limit of {max_pixels:,}"
        raise ImageAccessError(AccessProblem.TOO_LARGE, reason)
    if header.is_copy:
        raise ImageAccessError(
            AccessProblem.UNSUPPORTED, "it is a display copy, and the task does not name its original"
        )


@dataclass(frozen=True, slots=True)
class _Header:
    kind: str | None
    pixels: int
    is_copy: bool


def _header(file: BinaryIO) -> _Header | None:
    """Return what a file's header tells, None where it can't be read.

    DICOM comes first, as in the decoder: a DICOM file may begin as a TIFF does.
    """
    head = file.read(132)
    file.seek(0)
    if is_dicom(head):
        return _dicom_header(file)
    can_read_heif()
    try:
        with Image.open(file) as image:
            return _Header(image.format, image.width * image.height, COPY_MARK in image.info)
    except DECODING_ERRORS:
        return None


def _dicom_header(file: BinaryIO) -> _Header | None:
    try:
        from pydicom import dcmread

        header = dcmread(file, force=True, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
        return _Header("DICOM", int(header.Rows) * int(header.Columns), False)
    except Exception:  # pydicom raises many kinds on damaged files, or is not installed; the decoder tells which
        return None
