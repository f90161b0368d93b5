"""Vectors that are in the cache already, looked up without a network: nothing is computed, and no image is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .ahead import work_ahead
from .cache import EmbeddingCache, Storage
from .cache_store import embeddings_root
from .file_index import FileIndex, stamp_of
from .preprocessing import Preprocessing
from .shards import width_of

_LOOKED_UP_AT_ONCE = 2048
_LOOKED_AT = 200


def cached_directions(
    paths: Sequence[str] | np.ndarray,
    weights_hash: str,
    preprocessing: Preprocessing,
    storage: Storage = "float32",
    root: Path | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Look up the vectors of files, scaled to length 1.

    Args:
        paths: n files.
        weights_hash: Of the backbone that made the vectors.
        preprocessing: How files became its input.
        storage: How the cache keeps them.
        root: Folder of the cache; None = below `winnow_home()`.

    Returns:
        (n,) bool: the file is as it was when its vector was computed, and that is in the cache. And the (m, d) float32
        unit vectors of these; those that have no direction, or are damaged, are 0.
    """
    root = root or embeddings_root()
    space = _space(root, weights_hash, preprocessing, storage)
    known = np.zeros(len(paths), bool)
    if space is None:
        return known, np.empty((0, 0), np.float32)
    cache, index = EmbeddingCache(*space, storage), FileIndex(root / "files.sqlite")
    found, count = np.empty((len(paths), space[1]), np.float32), 0
    try:
        for start in range(0, len(paths), _LOOKED_UP_AT_ONCE):
            part = [str(path) for path in paths[start : start + _LOOKED_UP_AT_ONCE]]
            stamps = list(work_ahead(stamp_of, part, chunk=256, window=_LOOKED_UP_AT_ONCE))
            digests = index.lookup(part, stamps)
            rows = np.array([row for row, digest in enumerate(digests) if digest is not None], np.int64)
            if not len(rows):
                continue
            keys = np.frombuffer(b"".join(digest for digest in digests if digest), np.uint8).reshape(len(rows), -1)
            held, vectors, _ = cache.get_many(keys, check=False)
            known[start + rows[held]] = True
            found[count : count + len(vectors)] = _directions(vectors)
            count += len(vectors)
    finally:
        index.close()
    return known, found[:count]


def share_cached(
    paths: Sequence[str] | np.ndarray,
    weights_hash: str,
    preprocessing: Preprocessing,
    storage: Storage = "float32",
    root: Path | None = None,
) -> float:
    """Return the share of files whose vector is in the cache, 0 to 1, by some 200 of them, evenly spaced.

    Arguments are those of `cached_directions`.
    """
    chosen = paths[:: max(1, len(paths) // _LOOKED_AT)]
    known, _ = cached_directions(chosen, weights_hash, preprocessing, storage, root)
    return float(known.mean()) if len(known) else 0.0


def _directions(vectors: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    usable = np.isfinite(length) & (length > 0)
    scale = np.divide(1, length, out=np.zeros_like(length), where=usable)
    return np.where(usable[:, None], vectors, 0) * scale[:, None]


def _space(root: Path, weights_hash: str, preprocessing: Preprocessing, storage: Storage) -> tuple[Path, int] | None:
    """Return folder and width of the vectors; the architecture, with which the folder's name begins, may be any."""
    ending = f"-{weights_hash}-{preprocessing.hash()}" + ("" if storage == "float32" else f"-{storage}")
    for folder in sorted(root.glob("*")):
        if folder.name.endswith(ending) and (width := width_of(folder)) is not None:
            return folder, width
    return None
