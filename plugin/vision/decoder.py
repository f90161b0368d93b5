"""The one decoder: any image file to upright 8-bit RGB, or a typed error that says why not.

Pillow reads the formats (torchvision the plain JPEGs, with the same pixels); what is decided here is what Pillow leaves
to its caller: EXIF orientation is applied, alpha is composited on white, the first frame of an animation is taken, and
images of more than 8 bits are scaled by a range that the caller states. (Pillow's own `convert("RGB")` clips 16-bit
grey to white and drops alpha.)
"""

from __future__ import annotations

import math
import os
import stat
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from ..errors import UnreadableImageError
from .dicom import is_dicom, read_dicom
from .heif import INSTALL, can_read_heif, is_heif
from .high_bit import high_bit_values, is_high_bit

IMAGE_EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "avif", "jp2"),
        *("ppm", "pgm", "pbm", "pnm", "tga", "ico", "heic", "heif", "dcm"),
    )
)
# What Pillow raises on damaged files; which one depends on the format and on where the damage lies.
DECODING_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, OverflowError, MemoryError),
    *(RuntimeError, struct.error, zlib.error),
)

NEEDS_RANGE = "no value range given"  # part of the reason for images of more than 8 bits without a value range
_ORIENTATION = 0x0112  # EXIF tag


@dataclass(frozen=True, slots=True)
class Decode:
    """How a file becomes 8-bit RGB.

    Attributes:
        value_range: For images of more than 8 bits whose file does not say (as a DICOM window does): the (low, high)
            values that become 0 and 255; values outside are clipped. None = such images are an error, since no range
            is right for all of them (12-bit X-rays in 16-bit files are the usual case).
            `value_range.detect_value_range` finds it for a set of files.
        max_pixels: Larger images are refused before they are decoded (decompression bombs). More than the default
            needs a higher `PIL.Image.MAX_IMAGE_PIXELS` too, which is one for the whole process.
        draft: Decode a JPEG at the smallest of 1/2, 1/4 and 1/8 of its size that the input still needs: several times
            as fast for photos of many megapixels, and vectors differ a little from those of the whole image.
    """

    value_range: tuple[float, float] | None = None
    max_pixels: int = 178_956_970
    draft: bool = False

    def __post_init__(self) -> None:
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise ValueError(f"value_range must be (low, high) with low < high, got {self.value_range}")


def decode(source: str | Path | BinaryIO, settings: Decode = Decode(), *, target: int | None = None) -> np.ndarray:
    """Return the image as (h, w, 3) uint8 RGB, upright.

    Args:
        source: A path, or an open binary file.
        settings: Value range, size limit, draft mode.
        target: For draft mode: pixels that the shorter side needs to keep; None = all.

    Raises:
        UnreadableImageError: For anything that is not a whole, readable image within the limits.
    """
    if isinstance(source, (str, Path)):
        name, data = str(source), read_file(source)
    else:
        source.seek(0)
        name, data = getattr(source, "name", "<bytes>"), source.read()
    try:
        if is_dicom(data):
            return _rgb_of_dicom(data, settings, name)
        if is_heif(data) and not can_read_heif():
            raise UnreadableImageError(name, INSTALL)
        with Image.open(BytesIO(data)) as opened:
            image: Image.Image = opened
            _check_size(image.width, image.height, settings, name)
            if settings.draft and target is not None and isinstance(image, JpegImageFile):
                scale = target / min(image.size)
                image.draft(image.mode, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
            elif (pixels := _plain_jpeg(image, data)) is not None:
                return pixels
            if is_high_bit(image):
                image = _narrowed(image, high_bit_values(image, data), settings, name)
            image.load()
            return np.array(_to_rgb(_upright(image)))  # a copy, since torch wants to write
    except UnidentifiedImageError:
        raise UnreadableImageError(name, "not an image, or in a format that Pillow does not know") from None
    except Image.DecompressionBombError:
        limit = min(settings.max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or settings.max_pixels))  # Pillow refuses at twice
        raise UnreadableImageError(name, f"more pixels than the limit of {limit:,}") from None
    except DECODING_ERRORS as cause:
        raise UnreadableImageError(name, f"damaged or truncated ({type(cause).__name__}: {cause})") from cause


def read_high_bit(path: str) -> np.ndarray | None:
    """Return the values of an image that needs a value range: more than 8 bits, and none of its own in the file.

    Raises:
        UnreadableImageError: It is damaged.
    """
    data = read_file(path)
    try:
        if is_dicom(data):
            values, wanted, _ = read_dicom(data, path)
            return values if wanted is None else None
        with Image.open(BytesIO(data)) as image:
            if not is_high_bit(image):
                return None
            values = high_bit_values(image, data)
            return values if values.ndim == 2 else values[..., :3]  # alpha always uses all its bits
    except (*DECODING_ERRORS, Image.DecompressionBombError) as cause:
        raise UnreadableImageError(path, str(cause)) from cause


def _rgb_of_dicom(data: bytes, settings: Decode, name: str) -> np.ndarray:
    values, wanted, inverted = read_dicom(data, name, settings.max_pixels)
    shown = wanted or settings.value_range
    if shown is None:
        raise UnreadableImageError(name, f"more than 8 bits a pixel, no window in the header, and {NEEDS_RANGE}")
    if values.ndim == 3:
        return np.ascontiguousarray(_scaled(values, shown))
    grey = _scaled(values, shown)
    return np.repeat((255 - grey if inverted else grey)[:, :, None], 3, axis=2)


def _check_size(width: int, height: int, settings: Decode, name: str) -> None:
    if width * height > settings.max_pixels:
        reason = f"{width} x {height} pixels are more than the limit of {settings.max_pixels:,}"
        raise UnreadableImageError(name, reason)


def _narrowed(image: Image.Image, values: np.ndarray, settings: Decode, name: str) -> Image.Image:
    """Return an image of more than 8 bits as one of 8, which lies as its EXIF data says."""
    if settings.value_range is None:
        raise UnreadableImageError(name, f"more than 8 bits a pixel (mode {image.mode}) and {NEEDS_RANGE}")
    scaled = _scaled(values[..., :3] if values.ndim == 3 else values, settings.value_range)
    if values.ndim == 3 and values.shape[2] == 4:
        scaled = np.dstack([scaled, values[..., 3] // 257])
    narrow = Image.fromarray(scaled.astype(np.uint8))
    if image.format != "TIFF":  # whose values lie upright already
        narrow.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
    return narrow


def _plain_jpeg(image: Image.Image, data: bytes) -> np.ndarray | None:
    """Return the pixels of a grey or colour JPEG that lies upright, by torchvision; None = leave it to Pillow.

    Both stand on libjpeg-turbo and give the same pixels; torchvision's way there is a third shorter.
    """
    if type(image) is not JpegImageFile or image.mode not in ("L", "RGB") or image.getexif().get(_ORIENTATION, 1) != 1:
        return None
    import torch  # late: a form that only knows this package should not wait for it

    try:
        from torchvision.io import ImageReadMode, decode_jpeg

        pixels = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
    except (RuntimeError, ImportError):  # truncated, something that only Pillow knows, or a torchvision without codecs
        return None
    return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())


def read_file(path: str | Path) -> bytes:
    """Return a file's bytes, naming what stands in the way: whole files are small, and no handle outlives an error.

    Raises:
        UnreadableImageError: No such file, a dangling link, a folder or device, no permission, an empty file.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadableImageError(str(path), "not a regular file")
        data = path.read_bytes()
    except FileNotFoundError:
        reason = "a link to a file that does not exist" if path.is_symlink() else "no such file"
        raise UnreadableImageError(str(path), reason) from None
    except PermissionError:
        raise UnreadableImageError(str(path), "no permission to read it") from None
    except (OSError, ValueError) as cause:
        raise UnreadableImageError(str(path), f"{type(cause).__name__}: {cause}") from None
    if not data:
        raise UnreadableImageError(str(path), "empty file")
    return data


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except DECODING_ERRORS:  # damaged EXIF data: the pixels are whole, so they are taken as they lie
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _scaled(values: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Map values of any type from `value_range` to uint8; NaN becomes 0."""
    low, high = value_range
    scaled = (values.astype(np.float32) - low) * (255.0 / (high - low))
    return np.nan_to_num(np.clip(np.rint(scaled), 0, 255)).astype(np.uint8)
