"""Image files that are to be shown to annotators: read once, so that what can't be shown is not sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from ..errors import UnreadableImageError
from ..vision.decoder import DECODING_ERRORS, Decode, decode, read_file
from .display_copies import needs_copy

# Label Studio takes uploads by the end of their name, and these formats alone among those that browsers show.
_UPLOADABLE = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp"}
# A JPEG is decoded at an eighth of its size where that is enough: it finds files that were cut off.
_TRIED = Decode(draft=True)
_TRIED_SIDE = 32


@dataclass(frozen=True, slots=True)
class OutgoingImage:
    """A readable image file.

    Attributes:
        path: The file.
        sha256: Of its content, 64 hexadecimal digits.
        size: In bytes.
        needs_copy: Whether browsers can't show it as it is meant; such an image has not been decoded yet.
        extension: By its content, for an upload; "" where Label Studio takes no upload of its format.
    """

    path: str
    sha256: str
    size: int
    needs_copy: bool
    extension: str


def look_at(path: str) -> OutgoingImage:
    """Read an image file.

    Raises:
        UnreadableImageError: It is gone, or damaged.
    """
    data = read_file(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if needs_copy(data):
        return OutgoingImage(path, sha256, len(data), True, "")
    try:
        decode(BytesIO(data), _TRIED, target=_TRIED_SIDE)
    except UnreadableImageError as error:
        raise UnreadableImageError(path, error.reason) from None
    return OutgoingImage(path, sha256, len(data), False, _extension(data))


def _extension(data: bytes) -> str:
    try:
        with Image.open(BytesIO(data)) as image:
            return _UPLOADABLE.get(image.format or "", "")
    except (*DECODING_ERRORS, Image.DecompressionBombError):
        return ""
