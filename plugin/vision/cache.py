"""Embeddings (and thumbnails) kept by content: a renamed or copied file hits, an edited one misses.

One folder for each space (backbone weights, preprocessing, storage type). In it, shards: immutable files, written whole
under a temporary name and then renamed, so that a reader sees all of a shard or none of it, and two processes can
write at once. Each row carries a checksum; a shard that does not check out is removed, a row is computed again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from .shards import KEY_BYTES, SUFFIX, DamagedShardError, Shard, open_shard, write_shard
from .thumbnails import SIDE

logger = logging.getLogger(__name__)

Storage = Literal["float32", "float16"]

_FLUSH_ROWS = 4096
_FLUSH_SECONDS = 20.0


class _Table:
    """Where each key lies: sorted by the first 8 bytes of the keys, 16 bytes a row (a dict would take 200)."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = tuple(shards)
        prefixes = [_prefixes(shard.keys) for shard in shards]
        sizes = [len(each) for each in prefixes]
        together = np.concatenate([np.empty(0, np.uint64), *prefixes])
        order = np.argsort(together, kind="stable")  # of equal keys the latest shard's comes last, and counts
        self._prefixes = together[order]
        self._shard = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[order]
        self._row = np.concatenate([np.empty(0, np.int32), *(np.arange(size, dtype=np.int32) for size in sizes)])[order]

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the (n,) shard, -1 where unknown, and (n,) row of (n, 32) uint8 keys."""
        shard, row = np.full(len(keys), -1, np.int32), np.zeros(len(keys), np.int32)
        if not len(self._prefixes):
            return shard, row
        wanted = _prefixes(keys)
        place = np.maximum(np.searchsorted(self._prefixes, wanted, side="right") - 1, 0)
        (same,) = np.nonzero(self._prefixes[place] == wanted)
        shard[same], row[same] = self._shard[place[same]], self._row[place[same]]
        for number in np.unique(shard[same]):
            (here,) = np.nonzero(shard == number)
            shard[here[(self.shards[number].keys[row[here]] != keys[here]).any(axis=1)]] = -1
        return shard, row


class EmbeddingCache:
    """Vectors of one space, by the SHA-256 of the file they were computed from.

    A folder that cannot be written costs the caching, not the job: one warning, and vectors stay in memory.

    Args:
        folder: Of the space.
        width: d, the length of a vector.
        storage: How vectors are kept; "float16" halves the disk space and rounds to about 3 digits.
        thumbnails: Whether thumbnails are kept beside them; else they are (0, 0) wherever they are put or returned.
    """

    def __init__(self, folder: Path, width: int, storage: Storage = "float32", *, thumbnails: bool = True) -> None:
        self._folder, self._width, self._storage, self._thumbnails = folder, width, storage, thumbnails
        self._fresh: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self._flushed_at = time.monotonic()
        self._writable = True
        self._used: set[Path] = set()
        shards = [shard for path in sorted(folder.glob(f"*{SUFFIX}")) if (shard := self._opened(path))]
        self._table = _Table(shards)

    def get(self, key: bytes) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the (d,) float32 vector and the thumbnail of the file with this SHA-256 digest, None if not known.

        May be called in threads, while another one puts and flushes.
        """
        fresh = self._fresh.get(key)  # one look: another thread may be moving it to a shard
        if fresh is not None:
            return fresh
        found, vectors, thumbnails = self.get_many(np.frombuffer(key, np.uint8)[None])
        return (vectors[0], thumbnails[0]) if found[0] else None

    def get_many(self, keys: np.ndarray, *, check: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Look up (n, 32) uint8 keys that were on disk at the last flush.

        Args:
            keys: See above.
            check: Leave rows out that are damaged; else they are returned as they are, in a third of the time.

        Returns:
            (n,) bool, which are known; their (m, d) float32 vectors; their (m, 32, 32) uint8 thumbnails.
        """
        table = self._table
        shard, row = table.find(keys)
        for at in np.flatnonzero(shard >= 0) if check else ():
            if not table.shards[shard[at]].is_whole(row[at]):
                logger.warning("a damaged row in '%s' is computed again", table.shards[shard[at]].path)
                shard[at] = -1
        known = shard >= 0
        vectors = np.empty((int(known.sum()), self._width), np.float32)
        side = SIDE if self._thumbnails else 0
        thumbnails = np.empty((len(vectors), side, side), np.uint8)
        for number in np.unique(shard[known]):
            here = shard[known] == number
            rows = row[known][here]
            vectors[here] = table.shards[number].vectors[rows]
            thumbnails[here] = table.shards[number].thumbnails[rows]
            self._used.add(table.shards[number].path)
        return known, vectors, thumbnails

    def knows(self, keys: np.ndarray) -> np.ndarray:
        """Return (n,) bool: which of (n, 32) uint8 keys were on disk at the last flush, damaged or not."""
        shard, _ = self._table.find(keys)
        return shard >= 0

    def get_each(self, keys: Sequence[bytes]) -> list[tuple[np.ndarray, np.ndarray] | None]:
        """Return what `get` does of each key."""
        found = [self._fresh.get(key) for key in keys]
        unknown = [place for place, each in enumerate(found) if each is None]
        if unknown:
            digests = np.frombuffer(b"".join(keys[place] for place in unknown), np.uint8).reshape(-1, KEY_BYTES)
            known, vectors, thumbnails = self.get_many(digests)
            for number, place in enumerate(np.array(unknown)[known]):
                found[place] = (vectors[number], thumbnails[number])
        return found

    def put(self, key: bytes, vector: np.ndarray, thumbnail: np.ndarray) -> np.ndarray:
        """Keep a (d,) float32 vector and a (32, 32) uint8 thumbnail; return the vector as it will be read again."""
        return self.put_each([key], vector[None], [thumbnail])[0]

    def put_each(self, keys: Sequence[bytes], vectors: np.ndarray, thumbnails: Sequence[np.ndarray]) -> np.ndarray:
        """Keep (n, d) float32 vectors, each with its key and thumbnail; return them as they will be read again.

        They reach the disk with the first call that comes 20 seconds after the last writing, or with `flush`.
        """
        stored = vectors.astype(self._storage).astype(np.float32)
        if self._writable:
            self._fresh.update(zip(keys, zip(stored, thumbnails, strict=True), strict=True))
        return stored

    def wants_flush(self) -> bool:
        """Tell whether enough has gathered, or waited long enough."""
        waited = time.monotonic() - self._flushed_at
        return len(self._fresh) >= _FLUSH_ROWS or (bool(self._fresh) and waited > _FLUSH_SECONDS)

    def flush(self) -> None:
        """Write what is not on disk yet as one shard, and note which shards were used."""
        self._flushed_at = time.monotonic()
        for path in list(self._used):  # threads go on adding
            with contextlib.suppress(OSError):  # gone, or another user's: it only looks less used than it is
                os.utime(path)
        self._used = set()
        if not self._fresh:
            return
        keys = np.frombuffer(b"".join(self._fresh), np.uint8).reshape(-1, KEY_BYTES)
        vectors = np.stack([vector for vector, _ in self._fresh.values()]).astype(self._storage)
        thumbnails = np.stack([small for _, small in self._fresh.values()])
        try:
            path = write_shard(self._folder, keys, vectors, thumbnails)
        except OSError as cause:
            self._writable = False
            self._fresh.clear()  # it would grow without end
            logger.warning("embeddings are not cached: cannot write '%s': %s", self._folder, cause)
            return
        shard = self._opened(path)
        if shard is not None:
            self._table = _Table([*self._table.shards, shard])
            self._fresh.clear()

    def _opened(self, path: Path) -> Shard | None:
        try:
            return open_shard(path, self._width, self._storage, thumbnails=self._thumbnails)
        except DamagedShardError as cause:
            logger.warning("the cache shard '%s' is damaged (%s): removed, its images are computed again", path, cause)
            with contextlib.suppress(OSError):  # read-only, or another process was first
                path.unlink()
            return None


def _prefixes(keys: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(keys[:, :8]).view(">u8")[:, 0].astype(np.uint64)
