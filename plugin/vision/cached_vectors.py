"""Vectors that are in the cache already, looked up without a network: nothing is computed, and no image is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .ahead import work_ahead
from .cache import EmbeddingCache, Storage
from .cache_store import embeddings_root
from .file_index import FileIndex, stamp_of
from .preprocessing import Preprocessing
from .shards import width_of

_LOOKED_UP_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class CachedVectors:
    """What the cache holds of n files.

    Attributes:
        known: (n,) bool. The file is as it was when its vector was computed, and that is in the cache.
        vectors: (m, d) float32 of the known ones, not normalised.
    """

    known: np.ndarray
    vectors: np.ndarray


def cached_vectors(
    paths: Sequence[str] | np.ndarray,
    weights_hash: str,
    preprocessing: Preprocessing,
    storage: Storage = "float32",
    root: Path | None = None,
) -> CachedVectors:
    """Look up the vectors of files.

    Args:
        paths: n files.
        weights_hash: Of the backbone that made the vectors.
        preprocessing: How files became its input.
        storage: How the cache keeps them.
        root: Folder of the cache; None = below `winnow_home()`.
    """
    root = root or embeddings_root()
    folder = _space(root, weights_hash, preprocessing, storage)
    known = np.zeros(len(paths), bool)
    if folder is None or not len(paths):
        return CachedVectors(known, np.empty((0, 0), np.float32))
    cache = EmbeddingCache(*folder, storage)
    index = FileIndex(root / "files.sqlite")
    found: list[np.ndarray] = []
    try:
        for start in range(0, len(paths), _LOOKED_UP_AT_ONCE):
            part = [str(path) for path in paths[start : start + _LOOKED_UP_AT_ONCE]]
            stamps = list(work_ahead(stamp_of, part, chunk=256, window=_LOOKED_UP_AT_ONCE))
            digests = index.lookup(part, stamps)
            rows = np.array([row for row, digest in enumerate(digests) if digest is not None], np.int64)
            keys = np.frombuffer(b"".join(digest for digest in digests if digest), np.uint8).reshape(len(rows), -1)
            if len(rows):
                held, vectors, _ = cache.get_many(keys)
                known[start + rows[held]] = True
                found.append(vectors)
    finally:
        index.close()
    vectors = np.concatenate(found) if found else np.empty((0, folder[1]), np.float32)
    return CachedVectors(known, vectors)


def _space(root: Path, weights_hash: str, preprocessing: Preprocessing, storage: Storage) -> tuple[Path, int] | None:
    """Return folder and width of the vectors; the architecture, with which the folder's name begins, may be any."""
    ending = f"-{weights_hash}-{preprocessing.hash()}" + ("" if storage == "float32" else f"-{storage}")
    for folder in sorted(root.glob("*")):
        if folder.name.endswith(ending) and (width := width_of(folder)) is not None:
            return folder, width
    return None
