"""Images through a network: read and fitted by threads, run in batches; an image that fails costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..machine import available_cores
from .ahead import chunks, work_ahead
from .engines import Engine

Item = TypeVar("Item")

CPU_BATCH = 4  # on each core: the activations of more images push each other out of its cache, and 16 are slower


@dataclass(slots=True)
class Prepared:
    """One image on its way.

    Attributes:
        pixels: (size, size, 3) uint8; None = nothing to run: it failed, or its result is known already.
        reason: Why it could not be read; "" = it could.
        note: Whatever the reader wants to hand on to the consumer.
    """

    pixels: np.ndarray | None = None
    reason: str = ""
    note: Any = None


def run_images(
    items: Iterable[Item], read: Callable[[Item], Prepared], engine: Engine, batch_size: int = 32
) -> Iterator[tuple[Prepared, np.ndarray | None]]:
    """Yield what `read` made of each item, with the network's (d,) float32 output for it, in order.

    An engine that may be called from many threads runs where the image was read, so that each core goes from file to
    output without waiting for another; a GPU gets batches of `batch_size` while the threads read the next ones.

    Args:
        items: Files, or whatever `read` takes.
        read: Called in threads; must not raise for a bad image.
        engine: Runs the network.
        batch_size: Most images a forward pass; outputs do not depend on it (beyond 1e-4).
    """
    if engine.concurrent:
        cores = available_cores()
        tasks = chunks(items, min(batch_size, CPU_BATCH))
        work = lambda task: _run([read(item) for item in task], engine)  # noqa: E731
        for results in work_ahead(work, tasks, window=2 * cores, threads=cores, chunk=1):
            yield from results
    else:
        for batch in _batches(work_ahead(read, items, window=4 * batch_size), batch_size):
            yield from _run(batch, engine)


def _run(batch: list[Prepared], engine: Engine) -> list[tuple[Prepared, np.ndarray | None]]:
    pixels = [prepared.pixels for prepared in batch if prepared.pixels is not None]
    outputs = iter(engine(np.stack(pixels)) if pixels else ())
    results = [(prepared, None if prepared.pixels is None else next(outputs)) for prepared in batch]
    for prepared in batch:
        prepared.pixels = None  # a consumer that gathers results must not keep the pixels alive
    return results


def _batches(prepared: Iterable[Prepared], size: int) -> Iterator[list[Prepared]]:
    """Yield runs of images of which `size` are to be computed."""
    batch: list[Prepared] = []
    waiting = 0
    for each in prepared:
        batch.append(each)
        waiting += each.pixels is not None
        if waiting == size or len(batch) >= 8 * size:
            yield batch
            batch, waiting = [], 0
    if batch:
        yield batch
