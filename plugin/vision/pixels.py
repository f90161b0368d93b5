"""What an image shows, as a number: equal pixels, whatever file format, name or metadata they came in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import UnreadableImageError
from .ahead import work_ahead
from .preprocessing import Preprocessing


def pixel_digests(paths: Sequence[str] | np.ndarray, preprocessing: Preprocessing) -> Iterator[bytes | None]:
    """Yield the SHA-256 of each file's decoded pixels and their size, None for a file that can't be read any more."""
    whole = preprocessing.without_draft()

    def digest(path: str) -> bytes | None:
        try:
            pixels = whole.read(path)
        except UnreadableImageError:
            return None
        return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()

    # Few at a time: photos of many megapixels are decoded whole.
    yield from work_ahead(digest, (str(path) for path in paths), window=16, chunk=1)
