"""Vectors in the cache, as if a job had embedded a dataset's images or detections."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import fiftyone as fo


def put_into_cache(
    made: fo.Dataset, run: str, paths: Sequence[str], vectors: np.ndarray, boxes: np.ndarray | None = None
) -> None:
    """Keep the vector of each file, or of a box in it, and remember them as those of this run.

    A test that uses files of its own sets `file_index._SETTLED_NS` to 0: they are younger than an index trusts.
    """
    from winnow.plugin.datasets import runs
    from winnow.plugin.vision.cache import EmbeddingCache
    from winnow.plugin.vision.cache_keys import content_key
    from winnow.plugin.vision.cache_store import embeddings_root
    from winnow.plugin.vision.decoder import Decode
    from winnow.plugin.vision.file_index import FileIndex, stamp_of
    from winnow.plugin.vision.preprocessing import Input, Preprocessing

    preprocessing, weights = Preprocessing(Decode(None), Input(64)), uuid.uuid4().hex
    cache = EmbeddingCache(embeddings_root() / f"arch-{weights}-{preprocessing.hash()}", vectors.shape[1])
    index = FileIndex(embeddings_root() / "files.sqlite")
    for row, path in enumerate(paths):
        digest, stamp = hashlib.sha256(Path(path).read_bytes()).digest(), stamp_of(path)
        assert stamp is not None
        key = content_key(digest, None if boxes is None else boxes[row])
        cache.put(key, vectors[row], np.zeros((32, 32), np.uint8))
        index.remember(path, stamp, digest)
    cache.flush()
    index.close()
    params = {"storage": "float32", "weights": weights, "preprocessing": preprocessing.to_dict()}
    runs.save_run(made, run, method="compute_embeddings", params=params, fields=[], summary={})
