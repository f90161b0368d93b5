"""How many files have their vector in the cache already: told from some of them, without reading a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .cache import EmbeddingCache, Storage
from .cache_store import embeddings_root
from .file_index import FileIndex, stamp_of
from .preprocessing import Preprocessing
from .shards import KEY_BYTES

_LOOKED_AT = 200


def share_known(
    paths: Sequence[str], weights: str, width: int, preprocessing: Preprocessing, storage: Storage = "float32"
) -> float:
    """Return the share of files whose vector is known, 0 to 1, by some 200 of them, evenly spaced.

    Args:
        paths: The files.
        weights: Hash of the backbone's weights.
        width: Length of its vectors.
        preprocessing: How files become its input.
        storage: How the cache keeps vectors.
    """
    root = embeddings_root()
    chosen = list(paths[:: max(1, len(paths) // _LOOKED_AT)])
    space = f"*-{weights}-{preprocessing.hash()}" + ("" if storage == "float32" else f"-{storage}")
    folder = next(root.glob(space), None)
    if folder is None or not chosen:
        return 0.0
    digests = _digests(root, chosen)
    if not digests:
        return 0.0
    keys = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, KEY_BYTES)
    known, _, _ = EmbeddingCache(folder, width, storage).get_many(keys)
    return float(known.sum()) / len(chosen)


def _digests(root: Path, paths: list[str]) -> list[bytes]:
    """Return the digests of the files that are as they were when they were last read."""
    index = FileIndex(root / "files.sqlite")
    try:
        return [found for found in index.lookup(paths, [stamp_of(path) for path in paths]) if found is not None]
    finally:
        index.close()
