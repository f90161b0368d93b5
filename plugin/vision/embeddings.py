"""Files to vectors: decoded ahead by threads, run in batches, remembered by content; a bad image costs only itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from ..errors import UnreadableImageError
from ..failures import Failure
from ..home import winnow_home
from ..progress import Progress, silent
from .ahead import work_ahead
from .backbones import Backbone
from .cache import EmbeddingCache
from .decoder import decode, read_file
from .engines import Engine, engine_for
from .preprocessing import Preprocessing
from .thumbnails import SIDE, thumbnail


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors of the images that could be read.

    Attributes:
        ids: (m,) object. In the order asked for, without those that failed.
        vectors: (m, d) float32, as the backbone gives them (not normalised).
        thumbnails: (m, 32, 32) uint8, grey: the whole image, squashed; made from the same decoding.
        failures: The images that could not be read.
        computed: How many vectors went through the backbone; the others came from the cache.
    """

    ids: np.ndarray
    vectors: np.ndarray
    thumbnails: np.ndarray
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
    batch_size: int = 32,
    cache_root: Path | None = None,
    progress: Progress = silent,
) -> Embeddings:
    """Compute, or fetch from the cache, the vector of each image.

    Args:
        ids: n names, carried through.
        paths: n files.
        backbone: The network.
        preprocessing: How files become its input.
        batch_size: Images a forward pass; the vectors do not depend on it (beyond 1e-4).
        cache_root: Folder of the cache; None = below `winnow_home()`.
        progress: Told after each batch; raising from it keeps what was computed in the cache.
    """
    space = f"{backbone.architecture}-{backbone.weights_hash}-{preprocessing.hash()}"
    cache = EmbeddingCache((cache_root or winnow_home() / "cache" / "embeddings") / space, backbone.width)
    run = _Run(backbone, preprocessing, cache, batch_size, len(paths), progress)
    try:
        for row, image in enumerate(work_ahead(run.prepare, list(paths), window=4 * batch_size)):
            run.take(row, image)
        run.compute()
    finally:
        cache.flush()
    good = np.flatnonzero(run.done)
    return Embeddings(
        ids=np.asarray(ids, object)[good],
        vectors=run.vectors[good],
        thumbnails=run.thumbnails[good],
        failures=tuple(Failure(str(ids[row]), str(paths[row]), reason) for row, reason in run.reasons.items()),
        computed=run.computed,
    )


@dataclass(slots=True)
class _Prepared:
    """One file on its way: its content's key, and a known vector, or pixels, or why there are none."""

    key: bytes = b""
    thumbnail: np.ndarray | None = None
    vector: np.ndarray | None = None
    pixels: np.ndarray | None = None
    reason: str = ""


class _Run:
    """The state of one `embed_images` call."""

    def __init__(
        self,
        backbone: Backbone,
        preprocessing: Preprocessing,
        cache: EmbeddingCache,
        batch_size: int,
        total: int,
        progress: Progress,
    ) -> None:
        self._backbone, self._preprocessing, self._cache = backbone, preprocessing, cache
        self._batch_size, self._total, self._progress = batch_size, total, progress
        self._engine: Engine | None = None
        self._waiting: list[tuple[int, bytes, np.ndarray]] = []
        self.vectors = np.zeros((total, backbone.width), np.float32)
        self.thumbnails = np.zeros((total, SIDE, SIDE), np.uint8)
        self.done = np.zeros(total, bool)
        self.reasons: dict[int, str] = {}
        self.computed = 0

    def prepare(self, path: str) -> _Prepared:
        """Run in a thread: read, hash, and decode only what the cache does not know."""
        try:
            data = read_file(path)
            key = hashlib.sha256(data).digest()
            known = self._cache.get(key)
            if known is not None:
                vector, small = known
                return _Prepared(key, small, vector=vector)
            image = decode(BytesIO(data), self._preprocessing.decode)
            return _Prepared(key, thumbnail(image), pixels=self._preprocessing.input.fit(image))
        except UnreadableImageError as error:
            return _Prepared(reason=error.reason)

    def take(self, row: int, prepared: _Prepared) -> None:
        """Run in order: store what is known, gather the rest into batches."""
        if prepared.thumbnail is not None:
            self.thumbnails[row] = prepared.thumbnail
        if prepared.vector is not None:
            self.vectors[row] = prepared.vector
            self.done[row] = True
        elif prepared.pixels is not None:
            self._waiting.append((row, prepared.key, prepared.pixels))
            if len(self._waiting) >= self._batch_size:
                self.compute()
        else:
            self.reasons[row] = prepared.reason
        if row % self._batch_size == 0 or row + 1 == self._total:
            self._progress("embeddings", row + 1, self._total)

    def compute(self) -> None:
        """Run the gathered batch through the network."""
        if not self._waiting:
            return
        if self._engine is None:  # made late: a run that finds everything in the cache needs none
            self._engine = engine_for(
                self._backbone.network,
                self._preprocessing.input,
                f"{self._backbone.architecture}-{self._backbone.weights_hash}",
            )
        rows = [row for row, _, _ in self._waiting]
        vectors = self._engine(np.stack([pixels for _, _, pixels in self._waiting]))
        self._cache.put([key for _, key, _ in self._waiting], vectors, self.thumbnails[rows])
        self.vectors[rows] = vectors
        self.done[rows] = True
        self.computed += len(rows)
        self._waiting.clear()
