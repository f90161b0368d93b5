"""Display copies: what annotators see in place of images that browsers can't show (more than 8 bits, TIFF, DICOM).

A copy is a PNG of 8 bits, windowed as the classifier's input would be. It carries nothing of the original but its
pixels and its hash: no EXIF data, no DICOM entries, no file name. What is written *into* the pixels stays there; a
DICOM file that says so of itself is refused.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import TargetError, UnreadableImageError
from ..vision.decoder import DECODING_ERRORS, Decode, decode, read_file
from ..vision.dicom import is_dicom
from ..vision.high_bit import is_high_bit
from .originals import COPY_MARK, Original, original_data

_SHOWN_BY_BROWSERS = frozenset({"PNG", "JPEG", "GIF", "WEBP", "BMP", "AVIF", "ICO"})


@dataclass(frozen=True, slots=True)
class DisplayCopy:
    """A copy for annotators.

    Attributes:
        path: The PNG file, named by a hash.
        original: What it is a copy of.
    """

    path: Path
    original: Original

    def task_data(self, key: str, address: str) -> dict[str, str]:
        """Return what a task's data holds to show the copy, at `address`, under `key` of the labeling config."""
        return {key: address} | original_data(self.original, key)


def needs_display_copy(path: Path) -> bool:
    """Tell whether browsers can't show an image as it is meant: by its content, not its name.

    Raises:
        UnreadableImageError: The file cannot be read at all. Damaged images need no copy.
    """
    return needs_copy(read_file(path))


def needs_copy(data: bytes) -> bool:
    """Tell the same of a file's content."""
    if is_dicom(data):
        return True
    try:
        with Image.open(BytesIO(data)) as image:
            return image.format not in _SHOWN_BY_BROWSERS or is_high_bit(image)
    except (*DECODING_ERRORS, Image.DecompressionBombError):
        return False


def make_display_copy(original: Path, root: Path, folder: Path, settings: Decode | None = None) -> DisplayCopy:
    """Write the display copy of an image, unless it is there already.

    Args:
        original: A file below `root`.
        root: The folder of originals, as the backend knows it (WINNOW_ORIGINALS_ROOT).
        folder: Where the copy is written. Its name is made of the hash of the original and of how it was windowed, so
            that the same copy always has the same name, and another one never does.
        settings: The value range that becomes 0..255 where the file itself names none, and the limit of pixels: best
            those of the classifier.

    Raises:
        UnreadableImageError: The image can't be decoded, or needs a value range, or says that it shows personal data.
        TargetError: The original is not below `root`.
    """
    settings = settings or Decode()
    try:
        path = original.resolve().relative_to(root.resolve())
    except ValueError:
        raise TargetError(
            f"'{original}' is not below the folder of originals '{root}', where the backend looks for it. "
            "Move it there, or name another folder."
        ) from None
    data = read_file(original)
    if is_dicom(data) and _shows_personal_data(data):
        raise UnreadableImageError(str(original), "it says that personal data is written into the picture")
    sha256 = hashlib.sha256(data).hexdigest()
    name = hashlib.sha256(f"{sha256} {settings.value_range}".encode()).hexdigest()
    copy = folder / f"{name[:32]}.png"
    if not copy.exists():
        _write(_png(decode(BytesIO(data), settings), sha256), copy)
    return DisplayCopy(copy, Original(path.as_posix(), sha256))


def _shows_personal_data(data: bytes) -> bool:
    """Tell whether a DICOM file says so of itself: Burned In Annotation, PS3.3 C.7.6.1.1."""
    try:
        from pydicom import dcmread
    except ImportError:  # without it the file is not decoded either, which is told then
        return False
    try:
        header = dcmread(BytesIO(data), force=True, stop_before_pixels=True, specific_tags=["BurnedInAnnotation"])
        return str(header.get("BurnedInAnnotation", "NO")).strip().upper() == "YES"
    except Exception:  # pydicom raises many kinds on damaged files, which the decoder then tells of
        return False


def _png(pixels: np.ndarray, sha256: str) -> bytes:
    grey = np.ptp(pixels, axis=2).max() == 0
    mark, buffer = PngInfo(), BytesIO()
    mark.add_text(COPY_MARK, sha256)
    Image.fromarray(pixels[..., 0] if grey else pixels).save(buffer, "PNG", pnginfo=mark)
    return buffer.getvalue()


def _write(data: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(data)
    os.chmod(file.name, 0o644)  # Label Studio, which serves it, may be another user
    os.replace(file.name, path)
