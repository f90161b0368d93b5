"""Who reads images ahead of a network: threads of this process, or processes of their own.

Threads are at hand at once, and beside a network on the same cores they are fast enough. A GPU takes ten times as many
small images as they can give it.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeVar

from ..errors import DataError
from ..machine import available_cores
from .ahead import work_ahead
from .reader_pool import ReaderPool
from .regions import Prepared

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

READERS_VARIABLE = "WINNOW_READERS"
_ENOUGH_IMAGES = 8_000  # threads read those in the three to four seconds that it takes to start the processes
_ENOUGH_CORES = 4
_MOST_PROCESSES = 32  # 400 MB of memory each
_IDLE_SECONDS = 30.0


@dataclass(frozen=True)
class Apart:
    """How processes do what a function that threads are given does.

    Attributes:
        reader: Picklable: a picklable item -> what is prepared of it.
        size: Height and width of the pixels that it gives.
        settle: Called, in the consumer's thread, with what came back: may take away pixels of what is known already.
    """

    reader: Callable[[Any], Prepared]
    size: int
    settle: Callable[[list[Prepared]], None] | None = None


def reader_processes(images: int, *, on_gpu: bool) -> int:
    """Return how many processes should read so many images; 0 = threads should.

    `WINNOW_READERS` decides: "threads", "processes" (one a core, but for the core that feeds the network) or their
    number. Where it is not set, processes read at least 8,000 images for a GPU, on at least four cores.

    Args:
        images: At least so many there are.
        on_gpu: Whether what they are read for leaves the cores alone.

    Raises:
        DataError: The variable is none of these.
    """
    # Processes that train together on one machine share its cores.
    cores = available_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    asked = os.environ.get(READERS_VARIABLE, "").strip()
    if asked.isdecimal() and int(asked) > 0:
        wanted = int(asked)
    elif asked == "processes" or (not asked and on_gpu and cores >= _ENOUGH_CORES and images >= _ENOUGH_IMAGES):
        wanted = min(max(cores - 1, 1), _MOST_PROCESSES)
    elif asked in ("", "threads"):
        wanted = 0
    else:
        raise DataError(
            f"{READERS_VARIABLE} must be 'threads', 'processes' or a number of processes; it is '{asked}'. Correct it."
        )
    return wanted if hasattr(os, "memfd_create") else 0  # Linux


def start_readers(items: Iterable[Item], *, on_gpu: bool) -> Iterator[Item]:
    """Return the same items; where they are worth processes, these start while the caller gets other things ready."""
    items, processes = _counted(items, on_gpu)
    pool = _borrowed(processes) if processes else None
    if pool is not None:
        _give_back(pool)
    return items


def read_ahead(
    items: Iterable[Item],
    read: Callable[[Item], Prepared],
    *,
    on_gpu: bool,
    window: int,
    apart: Apart | None = None,
) -> Iterator[list[Prepared]]:
    """Yield what `read` makes of each item, in order, some at a time, while the next ones are read.

    Args:
        items: What to read; taken ahead by the consumer's thread.
        read: Called in threads.
        on_gpu: Whether what they are read for leaves the cores alone.
        window: Most results of threads that exist before they are consumed.
        apart: The same for processes; None = threads alone can do it.

    Yields:
        Pixels that are to be copied before the next ones are asked for: their memory is used again.
    """
    processes = 0
    if apart is not None:
        items, processes = _counted(items, on_gpu)
    pool = _borrowed(processes) if processes else None
    if pool is None or apart is None:
        yield from ([prepared] for prepared in work_ahead(read, items, window=window))
        return
    finished = False
    try:
        for prepared in pool.read(apart.reader, items, apart.size):
            if apart.settle is not None:
                apart.settle(prepared)
            yield prepared
        finished = True
    finally:
        if finished:
            _give_back(pool)
        else:
            pool.close()  # what it has in hand is no longer wanted


def _counted(items: Iterable[Item], on_gpu: bool) -> tuple[Iterator[Item], int]:
    """Return the items, and how many processes should read them; they are taken only where their number matters."""
    rest = iter(items)
    if not reader_processes(_ENOUGH_IMAGES, on_gpu=on_gpu):
        return rest, 0
    first = list(islice(rest, _ENOUGH_IMAGES))
    return chain(first, rest), reader_processes(len(first), on_gpu=on_gpu) if first else 0


_idle: list[tuple[ReaderPool, threading.Timer]] = []
_lock = threading.Lock()


def _borrowed(processes: int) -> ReaderPool | None:
    """Return a pool of so many processes, an idle one where there is one; None where they cannot be started."""
    with _lock:
        for place, (pool, timer) in enumerate(_idle):
            if pool.processes == processes:
                timer.cancel()
                del _idle[place]
                return pool
    try:
        return ReaderPool(processes)
    except OSError as cause:
        logger.warning("threads read the images, as processes cannot be started: %s", cause)
        return None


def _give_back(pool: ReaderPool) -> None:
    """Keep a pool for the next job, for a while."""
    timer = threading.Timer(_IDLE_SECONDS, _retire, (pool,))
    timer.daemon = True
    with _lock:
        _idle.append((pool, timer))
    timer.start()


def _retire(pool: ReaderPool) -> None:
    with _lock:
        kept = [each for each in _idle if each[0] is not pool]
        is_idle = len(kept) < len(_idle)
        _idle[:] = kept
    if is_idle:  # else somebody was faster
        pool.close()


@atexit.register
def close_readers() -> None:
    """End the processes that wait for another job."""
    for pool, timer in list(_idle):
        timer.cancel()
        _retire(pool)


def _forget() -> None:
    """Leave the processes to the process that started them: this one is its copy."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
