"""Files to vectors: known ones from the cache, without reading a file that has not changed; the rest computed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from ..failures import Failure
from ..progress import Progress, silent
from .ahead import chunks, work_ahead
from .backbones import Backbone
from .cache import EmbeddingCache, Storage
from .cache_keys import content_key, space_of
from .cache_store import cache_limit, embeddings_root, prune_cache
from .content_reader import Content, ContentReader
from .engines import DeviceEngine, Engine, engine_of, has_gpu
from .file_index import FileIndex, stamp_of
from .pipeline import Results, run_batches
from .preprocessing import Preprocessing
from .readers import Apart, start_readers
from .regions import Prepared, Region
from .scratch import belongs_on_disk, scratch_array
from .speed import remember_speed
from .thumbnails import SIDE

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
    engine: Engine | None = None,
    on_disk: bool | None = False,
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
        batch_size: Most images a forward pass, on a GPU see `pipeline.run_images`; the vectors do not depend on it
            (beyond 1e-4).
        thumbnails: Whether the result carries them, 1 KB an image; only where the backbone's are kept.
        storage: How the cache keeps vectors; "float16" halves its size, and the result is rounded the same in this run
            and in later ones.
        verify: Read every file, also those whose size, times and inode are as they were when it was last read.
        cache_root: Folder of the cache; None = below `winnow_home()`.
        engine: Runs the network for this input; None = the machine's fastest, which takes time to make.
        on_disk: Give the vectors in a file that vanishes with them, memory-mapped: they may be more than the memory.
            None = where they take more than 2 GB.
        progress: Told after each batch; raising from it keeps what was computed in the cache.

    Raises:
        ValueError: Thumbnails of a backbone that has none.
    """
    if thumbnails and not backbone.thumbnails:
        raise ValueError(f"no thumbnails are kept beside the vectors of '{backbone.name}'")
    root = cache_root or embeddings_root()
    limit = cache_limit()
    folder = root / space_of(backbone, preprocessing, storage)
    cache = EmbeddingCache(folder, backbone.width, storage, thumbnails=backbone.thumbnails)
    index = FileIndex(root / "files.sqlite")
    run = _Run(paths, boxes, backbone, preprocessing, cache, index, thumbnails=thumbnails, progress=progress)
    if on_disk or (on_disk is None and belongs_on_disk(run.vectors.shape)):
        run.vectors = scratch_array(run.vectors.shape)
    try:
        run.fetch_and_compute(batch_size, engine, verify=verify)
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
        self._reader = ContentReader(self._preprocessing, thumbnails=backbone.thumbnails)
        self._asked: deque[int] = deque()  # rows that are being read, in order
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

    def fetch_and_compute(self, batch_size: int, engine: Engine | None, *, verify: bool) -> None:
        """Fill the rows: unchanged files by their index entry, the others by reading them."""
        unknown = iter(range(len(self._paths))) if verify else self._fetch_unchanged()
        first = next(unknown, None)
        if first is None:
            return  # an engine takes a while to make
        on_gpu = has_gpu() if engine is None else isinstance(engine, DeviceEngine) and engine.on_gpu
        rows = start_readers(chain([first], unknown), on_gpu=on_gpu)
        engine = engine or engine_of(self._backbone, self._preprocessing)
        started = time.monotonic()
        apart = Apart(self._reader, self._preprocessing.input.size, self._recognize)
        told = self._finished
        for results in run_batches(self._ask(rows), self._read, engine, batch_size, apart=apart):
            self._take(results)
            if self._finished - told >= batch_size:
                self._report()
                told = self._finished
        self._report()
        self.seconds = time.monotonic() - started

    def _ask(self, rows: Iterable[int]) -> Iterator[Region]:
        for row in rows:
            self._asked.append(row)
            yield Region(str(self._paths[row]), None if self._boxes is None else self._boxes[row])

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
                    content_key(digest, None if self._boxes is None else self._boxes[row])
                    for row, digest in zip(rows, digests, strict=True)
                    if digest is not None
                ]
                keys = np.frombuffer(b"".join(found), np.uint8).reshape(len(indexed), -1)
                known, vectors, thumbnails = self._cache.get_many(keys)
                self._store(np.array(indexed)[known], vectors, thumbnails)
                self.digests[indexed] = _digests(digest for digest in digests if digest is not None)
                unread += [row for row, is_known in zip(indexed, known, strict=True) if not is_known]
                self._report()
            yield from sorted(unread)

    def _read(self, region: Region) -> Prepared:
        """Run in a thread: read, hash, and decode only what the cache does not know."""
        return self._reader(region, self._cache.get)

    def _recognize(self, read: list[Prepared]) -> None:
        """Take what the cache knows from what processes have read, which cannot look there."""
        decoded = [prepared for prepared in read if prepared.pixels is not None]
        found = self._cache.get_each([prepared.note.key for prepared in decoded])
        for prepared, known in zip(decoded, found, strict=True):
            if known is not None:
                prepared.pixels = None
                prepared.note.vector, prepared.note.thumbnail = known

    def _take(self, results: Results) -> None:
        """Run in order: keep what is new, store the rows."""
        rows = [self._asked.popleft() for _ in results]
        self._check(rows, results)
        good = [place for place, row in enumerate(rows) if row not in self.reasons]
        new = [place for place in good if results[place][1] is not None]
        contents: list[Content] = [results[place][0].note for place in good]
        if new:
            vectors = np.array([results[place][1] for place in new], np.float32)
            fresh: list[Content] = [results[place][0].note for place in new]
            stored = self._cache.put_each([each.key for each in fresh], vectors, [each.thumbnail for each in fresh])
            for content, vector in zip(fresh, stored, strict=True):
                content.vector = vector
            self.computed += len(new)
        if contents:
            taken = np.array(rows)[good]
            vectors = np.array([each.vector for each in contents])
            self._store(taken, vectors, np.array([each.thumbnail for each in contents]))
            self.digests[taken] = _digests([each.digest for each in contents])
            for row, content in zip(taken, contents, strict=True):
                if content.stamp is not None:
                    self._index.remember(str(self._paths[row]), content.stamp, content.digest)
        if self._cache.wants_flush():
            self._cache.flush()
            self._index.flush()

    def _check(self, rows: list[int], results: Results) -> None:
        """Note why some have no vector."""
        run = [place for place, (_, output) in enumerate(results) if output is not None]
        outputs = np.array([results[place][1] for place in run], np.float32).reshape(-1, self._backbone.width)
        not_finite = {run[number] for number in np.flatnonzero(~np.isfinite(outputs).all(axis=1))}
        for place, (row, (prepared, _)) in enumerate(zip(rows, results, strict=True)):
            if place in not_finite:
                self.reasons[row] = "the backbone gives NaN or infinity for it, though it can be decoded"
            elif prepared.reason:
                self.reasons[row] = prepared.reason
            else:
                continue
            self._finished += 1

    def _store(self, rows: np.ndarray, vectors: np.ndarray, thumbnails: np.ndarray) -> None:
        self.vectors[rows] = vectors
        if len(self.thumbnails):
            self.thumbnails[rows] = thumbnails
        self.done[rows] = True
        self._finished += len(rows)

    def _report(self) -> None:
        self._progress("embeddings", self._finished, len(self._paths))


def _digests(digests: Iterable[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _DIGEST_BYTES)
