"""Vectors of many files by a cluster: it fills the cache of embeddings, and whoever wants vectors finds them there.

The ordinary code of one machine then gives the result, so it can't depend on who computed the vectors. A driver that
was killed finds what workers left in the store, and asks for the rest alone.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from ..machine import available_cores
from ..progress import Progress, silent
from ..vision.backbones import Backbone
from ..vision.cache import EmbeddingCache, Storage
from ..vision.cache_keys import content_key, known_keys, space_of
from ..vision.cache_store import cache_limit, embeddings_root, prune_cache
from ..vision.file_index import FileIndex, is_settled
from ..vision.preprocessing import Preprocessing
from ..vision.speed import expected_seconds, is_measured, remember_speed
from .connection import connected
from .params import ClusterParams
from .pipeline import run_batches, workers_of
from .preflight import check_nodes
from .store import Store, fetch_missing
from .worker import Embedder, Task, batches_of

_BATCH_SECONDS = 8.0  # a batch: what the death of a worker costs
_LEAST, _MOST = 16, 4096  # images a batch
_LONG_TRIAL = 0.5  # seconds; a network that takes longer is not tried twice
_BATCHES_A_WORKER = 16  # at least, so that all of them end at about the same time
_ROWS_AT_ONCE = 2_000_000  # travel through the cluster at about 150 bytes each
_FLUSH_SECONDS = 5.0


def warm_cache(
    paths: np.ndarray,
    backbone: Backbone,
    preprocessing: Preprocessing,
    where: ClusterParams,
    *,
    boxes: np.ndarray | None = None,
    batch_size: int = 32,
    storage: Storage = "float32",
    verify: bool = False,
    step: str = "embeddings",
    progress: Progress = silent,
) -> None:
    """Have a cluster compute the vectors that the cache lacks, and fetch them into it.

    Args:
        paths: n files, under names by which all machines find them.
        where: The cluster and the store.
        backbone, preprocessing, boxes, batch_size, storage, verify: See `vision.embeddings.embed_images`.
        step: Name of the step for `progress`.
        progress: Told at least once a second; raising from it ends the work on the cluster too, and what was computed
            stays.

    Raises:
        DataError: The cluster or the store can't be used; see `connection.connected` and `preflight.check_nodes`.
        MissingPartError: Ray is not installed, or what fsspec needs for the store.
    """
    store, root = Store(where.store), embeddings_root()
    limit = cache_limit()
    job = _Job(paths, boxes, backbone, preprocessing, storage, store, root)
    try:
        missing = job.missing(verify=verify)
        if not len(missing):
            return
        progress(step, len(paths) - len(missing), len(paths))
        with connected(where.cluster) as ray:
            check_nodes(ray, store, [str(path) for path in paths[missing]])
            workers = workers_of(ray)
            task = Task(backbone, preprocessing, storage, store.address, batch_size, workers.cores)
            size = images_a_batch(backbone, len(missing), workers.count)
            for start in range(0, len(missing), _ROWS_AT_ONCE):
                part = missing[start : start + _ROWS_AT_ONCE]
                batches = batches_of(part, paths, boxes, size)
                done = len(paths) - len(missing) + start

                def show(done: int = done) -> None:
                    progress(step, done + job.taken, len(paths))

                for found in run_batches(ray, Embedder, task, batches, workers, show):
                    job.take(found)
                show()
                job.collect()
    finally:
        job.close()
    prune_cache(limit, keep_in_use=True)


class _Job:
    """What is known of the rows of one call of `warm_cache`."""

    def __init__(
        self,
        paths: np.ndarray,
        boxes: np.ndarray | None,
        backbone: Backbone,
        preprocessing: Preprocessing,
        storage: Storage,
        store: Store,
        root: Path,
    ) -> None:
        self._paths, self._boxes, self._store = paths, boxes, store
        self._space, self._backbone, self._storage = space_of(backbone, preprocessing, storage), backbone, storage
        self._root, self._folder, self._is_cache = root, root / self._space, store.is_cache(root)
        self._index = FileIndex(root / "files.sqlite")
        self._stamps: list[bytes | None] = []
        self._seen_at = 0
        self._fresh: list[bytes] = []
        self._computed, self._seconds = 0, 0.0
        self._flushed_at = time.monotonic()
        self.taken = 0

    def missing(self, *, verify: bool) -> np.ndarray:
        """Return the rows that have to be computed, once what the store has of them is fetched."""
        self._seen_at = time.time_ns()
        known, keys, self._stamps = known_keys(self._paths, self._boxes, self._index)
        if verify:
            return np.arange(len(self._paths))
        cached = self._cached(keys)
        if not self._is_cache and fetch_missing(self._store, self._space, self._folder, keys[~cached]):
            cached = self._cached(keys)
        known[known] = cached
        return np.flatnonzero(~known)

    def take(self, found: dict[str, np.ndarray]) -> None:
        """Note what a worker says of its rows."""
        self._computed += len(found["row"])
        self._seconds += float(found["seconds"].sum())
        for row, digest, stamp, reason in zip(
            *(found[name] for name in ("row", "digest", "stamp", "reason")), strict=True
        ):
            self.taken += 1
            if reason:
                continue
            content = np.asarray(digest, np.uint8).tobytes()
            self._fresh.append(content_key(content, None if self._boxes is None else self._boxes[row]))
            ours = self._stamps[row]
            # Size and modification time: inode and device are another machine's affair.
            if (
                ours is not None
                and is_settled(ours, self._seen_at)
                and ours[:16] == np.asarray(stamp, np.uint8).tobytes()[:16]
            ):
                self._index.remember(str(self._paths[row]), ours, content)
        if time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self._index.flush()
            self._flushed_at = time.monotonic()

    def collect(self) -> None:
        """Fetch what workers have left in the store since the last call."""
        fresh, self._fresh, self.taken = self._fresh, [], 0
        if fresh and not self._is_cache:
            keys = np.frombuffer(b"".join(fresh), np.uint8).reshape(len(fresh), -1)
            fetch_missing(self._store, self._space, self._folder, keys)

    def close(self) -> None:
        """Close the index, and remember how fast workers were."""
        self._index.close()
        remember_speed(_on_a_worker(self._backbone), self._computed, self._seconds, self._root)

    def _cached(self, keys: np.ndarray) -> np.ndarray:
        thumbnails = self._backbone.thumbnails
        return EmbeddingCache(self._folder, self._backbone.width, self._storage, thumbnails=thumbnails).knows(keys)


def images_a_batch(backbone: Backbone, images: int, workers: int) -> int:
    """Return how many images make a batch: some seconds of work, as far as the time of an image is known."""
    on_a_worker = _on_a_worker(backbone)
    if is_measured(on_a_worker):
        seconds = expected_seconds(on_a_worker, 1)
    else:
        seconds = expected_seconds(backbone.name, 1) * available_cores()  # a thread's
        if not is_measured(backbone.name):
            seconds = max(seconds, _tried(backbone))
    most = min(int(_BATCH_SECONDS / seconds), _MOST, images // (workers * _BATCHES_A_WORKER))
    return max(_LEAST, most)


def _tried(backbone: Backbone) -> float:
    """Return how many seconds a network takes for an image here, by torch: a large one's batches must not be long."""
    import torch  # late: whoever only looks at settings should not wait for it

    size, seconds = backbone.input.size, 0.0
    with torch.inference_mode():
        for _ in range(2):  # the first time some things are made ready
            started = time.monotonic()
            backbone.network(torch.zeros(1, 3, size, size))
            seconds = time.monotonic() - started
            if seconds > _LONG_TRIAL:
                break
    return seconds * available_cores()


def _on_a_worker(backbone: Backbone) -> str:
    """Return the name under which the speed of a cluster's worker is kept: it is not this machine's."""
    return f"{backbone.name} on a worker"
