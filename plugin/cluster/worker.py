"""What runs on a worker: one warm network, and files into vectors of the store."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..machine import CORES_VARIABLE
from ..vision.backbones import Backbone
from ..vision.cache import Storage
from ..vision.cache_keys import space_of
from ..vision.embeddings import embed_images
from ..vision.engines import engine_of
from ..vision.file_index import stamp_of
from ..vision.preprocessing import Preprocessing
from ..vision.shards import SUFFIX
from .store import Store

STAMP_BYTES = 40


@dataclass(frozen=True, eq=False)
class Task:
    """How workers turn files into vectors.

    Attributes:
        backbone: The network, weights and all: a worker needs no file of them.
        preprocessing: How a file becomes its input.
        storage: How vectors are kept.
        store: Address of the store.
        batch_size: Most images a forward pass.
        cores: Threads a worker.
    """

    backbone: Backbone
    preprocessing: Preprocessing
    storage: Storage
    store: str
    batch_size: int
    cores: int

    @property
    def space(self) -> str:
        """Name of the folder in the store."""
        return space_of(self.backbone, self.preprocessing, self.storage)


class Embedder:
    """One worker; made once, then called with one batch of rows after the other.

    Args:
        task: The `Task`, or a reference to it in a list, which Ray does not resolve: it would warn of such arguments.
    """

    def __init__(self, task: Task | list[Any]) -> None:
        self._task = task if isinstance(task, Task) else _received(task[0])
        os.environ[CORES_VARIABLE] = str(self._task.cores)
        self._engine = engine_of(self._task.backbone, self._task.preprocessing)
        self._store = Store(self._task.store)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the vectors of files, and leave them in the store.

        Args:
            batch: row (m,) int64, path (m,) str, and box (m, 4) float64 where boxes are looked at.

        Returns:
            row (m,); digest (m, 32) uint8, SHA-256 of each file; stamp (m, 40) uint8, as it was before reading; reason
            (m,) object, why there is no vector, "" where there is one; seconds (m,) float64, what each image took.
        """
        task, count = self._task, len(batch["row"])
        started = time.monotonic()
        stamps = [stamp_of(str(path)) or bytes(STAMP_BYTES) for path in batch["path"]]
        digests, reasons = np.zeros((count, 32), np.uint8), np.full(count, "", object)
        # A folder for each batch: what was computed before is the driver's affair, which asks for the missing rows.
        with tempfile.TemporaryDirectory(prefix="winnow-worker-") as folder:
            found = embed_images(
                [str(row) for row in range(count)],
                batch["path"],
                task.backbone,
                task.preprocessing,
                boxes=batch.get("box"),
                batch_size=task.batch_size,
                thumbnails=False,
                storage=task.storage,
                cache_root=Path(folder),
                engine=self._engine,
            )
            shards = sorted((Path(folder) / task.space).glob(f"*{SUFFIX}"))
            if found.computed and not shards:
                raise OSError(f"no space for vectors in '{tempfile.gettempdir()}' on {socket.gethostname()}")
            for shard in shards:
                self._store.write(task.space, shard)
        digests[found.ids.astype(np.int64)] = found.digests
        for failure in found.failures:
            reasons[int(failure.id)] = failure.reason
        return {
            "row": batch["row"],
            "digest": digests,
            "stamp": np.frombuffer(b"".join(stamps), np.uint8).reshape(count, STAMP_BYTES),
            "reason": reasons,
            "seconds": np.full(count, (time.monotonic() - started) / max(count, 1)),
        }


def _received(reference: Any) -> Task:
    import ray

    return ray.get(reference)


def batches_of(rows: np.ndarray, paths: np.ndarray, boxes: np.ndarray | None, size: int) -> Iterator[dict[str, Any]]:
    """Yield what workers are called with, `size` rows at a time."""
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        batch: dict[str, Any] = {"row": part, "path": paths[part].astype(str)}
        if boxes is not None:
            batch["box"] = boxes[part]
        yield batch
