"""Images through a network: read and fitted ahead, run in batches; an image that fails costs only itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np

from ..machine import available_cores
from .ahead import chunks, work_ahead
from .engines import DeviceEngine, Engine
from .readers import Apart, read_ahead
from .regions import Prepared

Item = TypeVar("Item")
# Images in order, each with the network's (d,) float32 output, None where there is none.
Results = list[tuple[Prepared, np.ndarray | None]]

CPU_BATCH = 4  # on each core: the activations of more images push each other out of its cache, and 16 are slower
_GPU_TIMES = 8  # as many images at a time: to launch a network's kernels takes longer than 32 images keep a GPU busy
_GPU_BATCH = 256


def run_images(
    items: Iterable[Item],
    read: Callable[[Item], Prepared],
    engine: Engine,
    batch_size: int = 32,
    *,
    apart: Apart | None = None,
) -> Iterator[tuple[Prepared, np.ndarray | None]]:
    """Yield what `read` made of each item, with the network's (d,) float32 output for it, in order.

    An engine that may be called from many threads runs where the image was read, so that each core goes from file to
    output without waiting for another; a GPU gets batches while threads or processes read the next ones.

    Args:
        items: Files, or whatever `read` takes.
        read: Called in threads; must not raise for a bad image.
        engine: Runs the network.
        batch_size: Most images a forward pass, of a GPU eight times as many up to 256 (where its memory does not hold
            them, fewer); outputs do not depend on it (beyond 1e-4).
        apart: How processes read; None = threads alone can.
    """
    for results in run_batches(items, read, engine, batch_size, apart=apart):
        yield from results


def run_batches(
    items: Iterable[Item],
    read: Callable[[Item], Prepared],
    engine: Engine,
    batch_size: int = 32,
    *,
    apart: Apart | None = None,
) -> Iterator[Results]:
    """Yield the same as `run_images`, but what was run together in one go."""
    if engine.concurrent:
        cores = available_cores()
        tasks = chunks(items, min(batch_size, CPU_BATCH))
        work = lambda task: _run([read(item) for item in task], engine)  # noqa: E731
        yield from work_ahead(work, tasks, window=2 * cores, threads=cores, chunk=1)
        return
    on_gpu = isinstance(engine, DeviceEngine) and engine.on_gpu
    size = max(batch_size, min(_GPU_TIMES * batch_size, _GPU_BATCH)) if on_gpu else batch_size
    window = 2 * size if on_gpu else 4 * size
    running: deque[tuple[_Batch, Callable[[], np.ndarray]]] = deque()
    for batch in _batches(read_ahead(items, read, on_gpu=on_gpu, window=window, apart=apart), engine, size):
        running.append((batch, batch.start()))
        while len(running) > on_gpu:  # a GPU computes one while the next one is gathered and the last one consumed
            yield _finished(*running.popleft())
    while running:
        yield _finished(*running.popleft())


def _run(batch: list[Prepared], engine: Engine) -> Results:
    pixels = [prepared.pixels for prepared in batch if prepared.pixels is not None]
    outputs = iter(engine(np.stack(pixels)) if pixels else ())
    results = [(prepared, None if prepared.pixels is None else next(outputs)) for prepared in batch]
    for prepared in batch:
        prepared.pixels = None  # a consumer that gathers results must not keep the pixels alive
    return results


class _Batch:
    """Images on their way to an engine that takes one caller at a time; their pixels are gathered as they come."""

    def __init__(self, engine: Engine, size: int) -> None:
        self._engine, self._size = engine, size
        self.prepared: list[Prepared] = []
        self.is_run: list[bool] = []
        self.count = 0  # of those that are run
        self._images: np.ndarray | None = None

    def add(self, prepared: Prepared) -> None:
        pixels, prepared.pixels = prepared.pixels, None
        self.prepared.append(prepared)
        self.is_run.append(pixels is not None)
        if pixels is None:
            return
        if self._images is None:
            shape = (self._size, *pixels.shape)
            self._images = self._engine.room(shape) if isinstance(self._engine, DeviceEngine) else _room(shape)
        self._images[self.count] = pixels
        self.count += 1

    def start(self) -> Callable[[], np.ndarray]:
        """Have the engine begin; return what waits for the outputs of the images that are run."""
        if self._images is None:
            return lambda: np.empty((0, 0), np.float32)
        images = self._images[: self.count]
        if isinstance(self._engine, DeviceEngine):
            return self._engine.start(images)
        return partial(self._engine, images)


def _room(shape: tuple[int, ...]) -> np.ndarray:
    return np.empty(shape, np.uint8)


def _finished(batch: _Batch, finish: Callable[[], np.ndarray]) -> Results:
    outputs = iter(finish())
    return [
        (prepared, next(outputs) if is_run else None)
        for prepared, is_run in zip(batch.prepared, batch.is_run, strict=True)
    ]


def _batches(read: Iterable[list[Prepared]], engine: Engine, size: int) -> Iterator[_Batch]:
    """Yield runs of images of which `size` are to be computed."""
    batch = _Batch(engine, size)
    for some in read:
        for prepared in some:
            batch.add(prepared)
            if batch.count == size or len(batch.prepared) >= 8 * size:
                yield batch
                batch = _Batch(engine, size)
    if batch.prepared:
        yield batch
