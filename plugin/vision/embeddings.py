"""Files to vectors: known ones from the cache, without reading a file that has not changed; the rest computed."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from pathlib import Path

import numpy as np

from ..errors import UnreadableImageError
from ..failures import Failure
from ..progress import Progress, silent
from .ahead import chunks, work_ahead
from .backbones import Backbone
from .boxes import crop
from .cache import EmbeddingCache, Storage
from .cache_store import cache_limit, embeddings_root, prune_cache
from .decoder import read_file
from .engines import engine_for
from .file_index import FileIndex, stamp_of
from .pipeline import Prepared, run_images
from .preprocessing import Preprocessing
from .scratch import scratch_array
from .speed import remember_speed
from .thumbnails import SIDE, thumbnail

_LOOKED_UP_AT_ONCE = 2048
_DIGEST_BYTES = 32


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors of the images that could be read.

    Attributes:
        ids: (m,) object. In the order asked for, without those that failed.
        vectors: (m, d) float32, as the backbone gives them (not normalised).
        thumbnails: (m, 32, 32) uint8, grey: the whole image, squashed; made from the same decoding. (0, 32, 32)
            where they were not asked for.
        digests: (m, 32) uint8. SHA-256 of each file's bytes.
        failures: The images that could not be read.
        computed: How many vectors went through the backbone; the others came from the cache.
    """

    ids: np.ndarray
    vectors: np.ndarray
    thumbnails: np.ndarray
    digests: np.ndarray
    failures: tuple[Failure, ...]
    computed: int

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.ids):
            raise ValueError(f"vectors must have shape ({len(self.ids)}, d), got {self.vectors.shape}")


def embed_images(
    ids: Sequence[str] | np.ndarray,
    paths: Sequence[str] | np.ndarray,
    backbone: Backbone,
    preprocessing: Preprocessing,
    *,
    boxes: np.ndarray | None = None,
    batch_size: int = 32,
    thumbnails: bool = True,
    storage: Storage = "float32",
    verify: bool = False,
    cache_root: Path | None = None,
    on_disk: bool = False,
    progress: Progress = silent,
) -> Embeddings:
    """Compute, or fetch from the cache, the vector of each image.

    Memory beyond the result does not grow with the number of images, but for 16 bytes a cached row.

    Args:
        ids: n names, carried through.
        paths: n files.
        backbone: The network.
        preprocessing: How files become its input.
        boxes: (n, 4) float64: what to look at in each file, see `vision.boxes`; None = the whole image. A file whose
            boxes follow each other is read about once.
        batch_size: Most images a forward pass; the vectors do not depend on it (beyond 1e-4).
        thumbnails: Whether the result carries them, 1 KB an image.
        storage: How the cache keeps vectors; "float16" halves its size, and the result is rounded the same in this run
            and in later ones.
        verify: Read every file, also those whose size, times and inode are as they were when it was last read.
        cache_root: Folder of the cache; None = below `winnow_home()`.
        on_disk: Give the vectors in a file that vanishes with them, memory-mapped: they may be more than the memory.
        progress: Told after each batch; raising from it keeps what was computed in the cache.
    """
    root = cache_root or embeddings_root()
    limit = cache_limit()
    space = f"{backbone.architecture}-{backbone.weights_hash}-{preprocessing.hash()}"
    cache = EmbeddingCache(root / (space if storage == "float32" else f"{space}-{storage}"), backbone.width, storage)
    index = FileIndex(root / "files.sqlite")
    run = _Run(paths, boxes, backbone, preprocessing, cache, index, thumbnails=thumbnails, progress=progress)
    if on_disk:
        run.vectors = scratch_array(run.vectors.shape)
    try:
        run.fetch_and_compute(batch_size, verify=verify)
    finally:
        cache.flush()
        index.close()
    remember_speed(backbone.name, run.computed, run.seconds, root)
    if run.computed and cache_root is None:
        prune_cache(limit, keep_in_use=True)
    good = np.flatnonzero(run.done)
    return Embeddings(
        ids=np.asarray(ids, object)[good],
        vectors=_rows(run.vectors, good),
        thumbnails=_rows(run.thumbnails, good) if thumbnails else run.thumbnails,
        digests=_rows(run.digests, good),
        failures=tuple(Failure(str(ids[row]), str(paths[row]), run.reasons[row]) for row in sorted(run.reasons)),
        computed=run.computed,
    )


def _rows(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return these ascending rows of an array that is given away: a copy of a million vectors would double them."""
    for to, row in enumerate(rows) if len(rows) < len(array) else ():
        if to != row:
            array[to] = array[row]
    return array[: len(rows)]


@dataclass(slots=True)
class _Content:
    """What a thread found in one file.

    Attributes:
        row: Of the file.
        stamp: Of the file before it was read, None where it could not be had.
        digest: SHA-256 of its bytes.
        key: What the cache knows the vector by: the digest, for a box of the digest and the box.
        thumbnail: (32, 32) uint8; empty where it could not be decoded.
        vector: (d,) float32; empty where the content was not known.
    """

    row: int
    stamp: bytes | None = None
    digest: bytes = b""
    key: bytes = b""
    thumbnail: np.ndarray = field(default_factory=lambda: np.empty(0))
    vector: np.ndarray = field(default_factory=lambda: np.empty(0))


class _File:
    """The file that a thread has in hand: the next box may lie in the same one."""

    def __init__(self, path: str) -> None:
        self.path, self.stamp = path, stamp_of(path)
        self._data = read_file(path)
        self.digest = hashlib.sha256(self._data).digest()
        self._image: np.ndarray | None = None

    def image(self, preprocessing: Preprocessing) -> np.ndarray:
        """Return the decoded pixels."""
        if self._image is None:
            self._image = preprocessing.read(BytesIO(self._data))
        return self._image


class _Run:
    """The state of one `embed_images` call."""

    def __init__(
        self,
        paths: Sequence[str] | np.ndarray,
        boxes: np.ndarray | None,
        backbone: Backbone,
        preprocessing: Preprocessing,
        cache: EmbeddingCache,
        index: FileIndex,
        *,
        thumbnails: bool,
        progress: Progress,
    ) -> None:
        self._paths, self._boxes, self._backbone = paths, boxes, backbone
        # A reduced image would be too small for its boxes.
        self._preprocessing = preprocessing if boxes is None else preprocessing.without_draft()
        self._in_hand = threading.local()
        self._cache, self._index, self._progress = cache, index, progress
        total = len(paths)
        self.vectors = np.zeros((total, backbone.width), np.float32)
        self.thumbnails = np.zeros((total if thumbnails else 0, SIDE, SIDE), np.uint8)
        self.digests = np.zeros((total, _DIGEST_BYTES), np.uint8)
        self.done = np.zeros(total, bool)
        self.reasons: dict[int, str] = {}
        self.computed = 0
        self.seconds = 0.0
        self._finished = 0

    def fetch_and_compute(self, batch_size: int, *, verify: bool) -> None:
        """Fill the rows: unchanged files by their index entry, the others by reading them."""
        unknown = iter(range(len(self._paths))) if verify else self._fetch_unchanged()
        first = next(unknown, None)
        if first is None:
            return  # an engine takes a while to make
        key = f"{self._backbone.architecture}-{self._backbone.weights_hash}"
        engine = engine_for(self._backbone.network, self._preprocessing.input, key)
        started = time.monotonic()
        results = run_images(chain([first], unknown), self._read, engine, batch_size)
        for number, (prepared, output) in enumerate(results, start=1):
            self._take(prepared, output)
            if number % batch_size == 0:
                self._report()
        self._report()
        self.seconds = time.monotonic() - started

    def _fetch_unchanged(self) -> Iterator[int]:
        """Yield the rows that have to be read; a chunk is looked up when the chunk before it has been handed out."""
        for rows in chunks(range(len(self._paths)), _LOOKED_UP_AT_ONCE):
            paths = [str(self._paths[row]) for row in rows]
            stamps = list(work_ahead(stamp_of, paths, chunk=256, window=_LOOKED_UP_AT_ONCE))
            digests = self._index.lookup(paths, stamps)
            indexed = [row for row, digest in zip(rows, digests, strict=True) if digest is not None]
            unread = [row for row, digest in zip(rows, digests, strict=True) if digest is None]
            if indexed:
                found = [
                    self._key(row, digest) for row, digest in zip(rows, digests, strict=True) if digest is not None
                ]
                keys = np.frombuffer(b"".join(found), np.uint8).reshape(len(indexed), -1)
                known, vectors, thumbnails = self._cache.get_many(keys)
                self._store(np.array(indexed)[known], vectors, thumbnails)
                held = b"".join(digest for digest in digests if digest is not None)
                self.digests[indexed] = np.frombuffer(held, np.uint8).reshape(-1, _DIGEST_BYTES)
                unread += [row for row, is_known in zip(indexed, known, strict=True) if not is_known]
                self._report()
            yield from sorted(unread)

    def _read(self, row: int) -> Prepared:
        """Run in a thread: read, hash, and decode only what the cache does not know."""
        content = _Content(row)
        try:
            file = self._file(str(self._paths[row]))
            content.stamp, content.digest, content.key = file.stamp, file.digest, self._key(row, file.digest)
            known = self._cache.get(content.key)
            if known is not None:
                content.vector, content.thumbnail = known
                return Prepared(note=content)
            image = file.image(self._preprocessing)
            if self._boxes is not None:
                image = crop(image, self._boxes[row])
            content.thumbnail = thumbnail(image)
            return Prepared(self._preprocessing.input.fit(image), note=content)
        except UnreadableImageError as error:
            return Prepared(reason=error.reason, note=content)

    def _file(self, path: str) -> _File:
        """Return the thread's file where it is still the one asked for."""
        if self._boxes is None:
            return _File(path)
        file: _File | None = getattr(self._in_hand, "file", None)
        if file is None or file.path != path:
            self._in_hand.file = None  # two large images at a time would be one too many
            file = self._in_hand.file = _File(path)
        return file

    def _key(self, row: int, digest: bytes) -> bytes:
        if self._boxes is None:
            return digest
        return hashlib.sha256(digest + self._boxes[row].astype("<f8").tobytes()).digest()

    def _take(self, prepared: Prepared, output: np.ndarray | None) -> None:
        """Run in order: keep what is new, store the row."""
        content: _Content = prepared.note
        reason = prepared.reason
        if output is not None and not np.isfinite(output).all():
            reason = "the backbone gives NaN or infinity for it, though it can be decoded"
        if reason:
            self.reasons[content.row] = reason
            self._finished += 1
            return
        if output is not None:
            content.vector = self._cache.put(content.key, output, content.thumbnail)
            self.computed += 1
        self._store(np.array([content.row]), content.vector, content.thumbnail)
        self.digests[content.row] = np.frombuffer(content.digest, np.uint8)
        if content.stamp is not None:
            self._index.remember(str(self._paths[content.row]), content.stamp, content.digest)
        if self._cache.wants_flush():
            self._cache.flush()
            self._index.flush()

    def _store(self, rows: np.ndarray, vectors: np.ndarray, thumbnails: np.ndarray) -> None:
        self.vectors[rows] = vectors
        if len(self.thumbnails):
            self.thumbnails[rows] = thumbnails
        self.done[rows] = True
        self._finished += len(rows)

    def _report(self) -> None:
        self._progress("embeddings", self._finished, len(self._paths))
