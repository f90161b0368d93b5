"""Embeddings (and thumbnails) kept by content: a renamed or copied file hits, an edited one misses.

One folder for each space (backbone weights and preprocessing). In it, shards: immutable `.npy` files, written whole
under a temporary name and then renamed, so that a reader sees all of a shard or none of it, and two processes can
write at once. Each record carries a checksum; a shard or a record that does not check out is passed over and computed
again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .thumbnails import SIDE

logger = logging.getLogger(__name__)

_FLUSH_ROWS = 4096
_FLUSH_SECONDS = 20.0


class EmbeddingCache:
    """Vectors of one space, by the SHA-256 of the file they were computed from.

    A folder that cannot be written costs the caching, not the job: one warning, and vectors stay in memory.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self._folder = folder
        fields = [("key", "V32"), ("check", "<u4"), ("vector", "<f4", (width,)), ("thumbnail", "u1", (SIDE, SIDE))]
        self._record = np.dtype(fields)
        self._shards: list[np.ndarray] = []
        self._places: dict[bytes, tuple[int, int]] = {}
        self._fresh: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self._flushed_at = time.monotonic()
        self._writable = True
        for path in sorted(folder.glob("*.npy")):
            self._open_shard(path)

    def get(self, key: bytes) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the (d,) float32 vector and the thumbnail of the file with this SHA-256 digest, None if not known.

        May be called in threads, while another one puts and flushes.
        """
        fresh = self._fresh.get(key)  # one look: another thread may be moving it to a shard
        if fresh is not None:
            return fresh
        place = self._places.get(key)
        if place is None:
            return None
        shard, row = place
        record = self._shards[shard][row]
        if _checksum(record["vector"], record["thumbnail"]) != record["check"]:
            logger.warning("a damaged record in the embedding cache '%s' is computed again", self._folder)
            self._places.pop(key, None)
            return None
        return np.array(record["vector"]), np.array(record["thumbnail"])

    def put(self, keys: Sequence[bytes], vectors: np.ndarray, thumbnails: np.ndarray) -> None:
        """Keep (n, d) float32 vectors and (n, 32, 32) uint8 thumbnails.

        They reach the disk with the first call that comes 20 seconds after the last writing, or with `flush`.
        """
        self._fresh.update(zip(keys, zip(vectors, thumbnails, strict=True), strict=True))
        if len(self._fresh) >= _FLUSH_ROWS or time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is not on disk yet as one shard."""
        self._flushed_at = time.monotonic()
        if not self._fresh or not self._writable:
            return
        records = np.empty(len(self._fresh), self._record)
        for row, (key, (vector, thumbnail)) in enumerate(self._fresh.items()):
            stored = np.asarray(vector, "<f4")
            records[row] = (key, _checksum(stored, thumbnail), stored, thumbnail)
        name = uuid.uuid4().hex
        temporary = self._folder / f"{name}.tmp"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.save(file, records, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._folder / f"{name}.npy")
        except OSError as cause:
            self._writable = False
            logger.warning("embeddings are not cached: cannot write '%s': %s", self._folder, cause)
            with contextlib.suppress(OSError):  # on a read-only disk even removing nothing is an error
                temporary.unlink()
            return
        self._open_shard(self._folder / f"{name}.npy")
        self._fresh.clear()

    def _open_shard(self, path: Path) -> None:
        try:
            shard = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as cause:  # numpy's reader lets through what its tokenizer and its unpacking raise
            logger.warning("the cache shard '%s' is damaged (%s) and is passed over", path, cause)
            return
        if shard.dtype != self._record or shard.ndim != 1:
            logger.warning("the cache shard '%s' is of another version and is passed over", path)
            return
        self._add_shard(shard)

    def _add_shard(self, shard: np.ndarray) -> None:
        number = len(self._shards)
        self._shards.append(shard)
        self._places.update((key.tobytes(), (number, row)) for row, key in enumerate(shard["key"]))


def _checksum(vector: np.ndarray, thumbnail: np.ndarray) -> int:
    return zlib.crc32(thumbnail.tobytes(), zlib.crc32(vector.tobytes()))
