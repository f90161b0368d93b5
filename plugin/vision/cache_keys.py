"""What the cache of embeddings keeps things under: a space for each way of making vectors, a key for each content."""

from __future__ import annotations

import hashlib

import numpy as np

from .ahead import work_ahead
from .backbones import Backbone
from .cache import Storage
from .file_index import FileIndex, stamp_of
from .preprocessing import Preprocessing
from .shards import KEY_BYTES

_LOOKED_UP_AT_ONCE = 2048


def space_of(backbone: Backbone, preprocessing: Preprocessing, storage: Storage) -> str:
    """Return the name of the folder that holds the vectors made in this way."""
    space = f"{backbone.architecture}-{backbone.weights_hash}-{preprocessing.hash()}"
    return space if storage == "float32" else f"{space}-{storage}"


def content_key(digest: bytes, box: np.ndarray | None) -> bytes:
    """Return what the vector of a file with this SHA-256, or of a (4,) float64 box in it, is kept under: 32 bytes."""
    return digest if box is None else hashlib.sha256(digest + box.astype("<f8").tobytes()).digest()


def known_keys(
    paths: np.ndarray, boxes: np.ndarray | None, index: FileIndex
) -> tuple[np.ndarray, np.ndarray, list[bytes | None]]:
    """Look up what unchanged files are kept under, without reading them.

    Args:
        paths: n files.
        boxes: (n, 4) float64: what is looked at in each; None = the whole image.
        index: Knows the content of files that have not changed.

    Returns:
        (n,) bool, whose content is known; the (m, 32) uint8 keys of these; the stamp of each of the n files.
    """
    known = np.zeros(len(paths), bool)
    keys: list[bytes] = []
    stamps: list[bytes | None] = []
    for start in range(0, len(paths), _LOOKED_UP_AT_ONCE):
        part = [str(path) for path in paths[start : start + _LOOKED_UP_AT_ONCE]]
        found = list(work_ahead(stamp_of, part, chunk=256, window=_LOOKED_UP_AT_ONCE))
        for row, digest in enumerate(index.lookup(part, found), start):
            if digest is not None:
                known[row] = True
                keys.append(content_key(digest, None if boxes is None else boxes[row]))
        stamps += found
    return known, np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES), stamps
