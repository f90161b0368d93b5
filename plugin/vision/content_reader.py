"""What embedding reads of a file: its pixels, and what they are known by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np

from ..errors import UnreadableImageError
from .boxes import crop
from .cache_keys import content_key
from .decoder import read_file
from .file_index import stamp_of
from .preprocessing import Preprocessing
from .regions import LastFile, Prepared, Region
from .thumbnails import thumbnail

# Looks a key up: (d,) float32 vector and (32, 32) uint8 thumbnail, None where they are not known.
Known = Callable[[bytes], tuple[np.ndarray, np.ndarray] | None]


@dataclass(slots=True)
class Content:
    """What was found in one file.

    Attributes:
        stamp: Of the file before it was read, None where it could not be had.
        digest: SHA-256 of its bytes.
        key: What the cache knows the vector by: the digest, for a box of the digest and the box.
        thumbnail: (32, 32) uint8; empty where it could not be decoded, or none is wanted.
        vector: (d,) float32; empty where the content was not known.
    """

    stamp: bytes | None = None
    digest: bytes = b""
    key: bytes = b""
    thumbnail: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.uint8))
    vector: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))


class _File:
    """A file that is read, and decoded once that is wanted."""

    def __init__(self, path: str) -> None:
        self.stamp = stamp_of(path)
        self._data = read_file(path)
        self.digest = hashlib.sha256(self._data).digest()
        self._image: np.ndarray | None = None

    def image(self, preprocessing: Preprocessing) -> np.ndarray:
        """Return the decoded pixels."""
        if self._image is None:
            self._image = preprocessing.read(BytesIO(self._data))
        return self._image


class ContentReader:
    """Reads regions, each with a `Content` as its note; in threads or in processes, and never raises for a bad image.

    Args:
        preprocessing: How a file becomes pixels. Where boxes are read it should decode whole images.
        thumbnails: Whether they are wanted.
    """

    def __init__(self, preprocessing: Preprocessing, *, thumbnails: bool = True) -> None:
        self._preprocessing, self._thumbnails = preprocessing, thumbnails
        self._last: LastFile[_File] = LastFile()

    def __call__(self, region: Region, known: Known | None = None) -> Prepared:
        """Return the pixels; where the content is known, what is known of it instead, without decoding it."""
        content = Content()
        try:
            file = _File(region.path) if region.box is None else self._last.get(region.path, _File)
            content.stamp, content.digest = file.stamp, file.digest
            content.key = content_key(file.digest, region.box)
            found = None if known is None else known(content.key)
            if found is not None:
                content.vector, content.thumbnail = found
                return Prepared(note=content)
            image = file.image(self._preprocessing)
            if region.box is not None:
                image = crop(image, region.box)
            if self._thumbnails:
                content.thumbnail = thumbnail(image)
            return Prepared(self._preprocessing.input.fit(image), note=content)
        except UnreadableImageError as error:
            return Prepared(reason=error.reason, note=content)
