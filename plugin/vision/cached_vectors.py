"""Vectors that are in the cache already, looked up without a network: nothing is computed, and no image is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .cache import EmbeddingCache, Storage
from .cache_keys import known_keys
from .cache_store import embeddings_root
from .file_index import FileIndex
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
    boxes: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Look up the vectors of files, or of boxes in them, scaled to length 1.

    Args:
        paths: n files.
        weights_hash: Of the backbone that made the vectors.
        preprocessing: How files became its input.
        storage: How the cache keeps them.
        root: Folder of the cache; None = below `winnow_home()`.
        boxes: (n, 4) float64: what was looked at in each file, see `vision.boxes`; None = the whole image.

    Returns:
        (n,) bool: the file is as it was when its vector was computed, and that is in the cache. And the (m, d) float32
        unit vectors of these; those that have no direction, or are damaged, are 0.
    """
    root = root or embeddings_root()
    space = _space(root, weights_hash, preprocessing, storage)
    if space is None:
        return np.zeros(len(paths), bool), np.empty((0, 0), np.float32)
    index = FileIndex(root / "files.sqlite")
    try:
        known, keys, _ = known_keys(np.asarray(paths, object), boxes, index)
    finally:
        index.close()
    cache, rows = EmbeddingCache(*space, storage), np.flatnonzero(known)
    found, count = np.empty((len(rows), space[1]), np.float32), 0
    for start in range(0, len(rows), _LOOKED_UP_AT_ONCE):
        part = slice(start, start + _LOOKED_UP_AT_ONCE)
        held, vectors, _ = cache.get_many(keys[part], check=False)
        known[rows[part]] = held
        found[count : count + len(vectors)] = _directions(vectors)
        count += len(vectors)
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
