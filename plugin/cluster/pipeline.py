"""Ray Data: batches of files out to workers, digests and reasons back, while the driver shows where the job stands."""

from __future__ import annotations

import logging
import queue
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError

_TRIES = 5  # of a batch whose worker dies
_IN_FLIGHT = 2  # batches a worker: the next one waits there while one is worked on
_END = 3.0  # seconds that a job which is given up may take to end by itself, before the connection ends it
_LOOK = 0.5  # seconds between two looks at whether the job is cancelled


@dataclass(frozen=True)
class Workers:
    """What a cluster offers.

    Attributes:
        count: Workers.
        cores: CPUs of each.
        gpus: GPUs of each: 1 or 0.
    """

    count: int
    cores: int
    gpus: int


def workers_of(ray: Any) -> Workers:
    """Return one worker a GPU with its share of the CPUs; without GPUs one worker a CPU."""
    have = ray.cluster_resources()
    gpus, cores = int(have.get("GPU", 0)), int(have.get("CPU", 0))
    return Workers(gpus, max(1, cores // gpus), 1) if gpus else Workers(max(1, cores), 1, 0)


def run_batches(
    ray: Any,
    work: type,
    task: Any,
    batches: Iterator[dict[str, Any]],
    workers: Workers,
    waiting: Callable[[], None],
) -> Iterator[dict[str, np.ndarray]]:
    """Yield what workers make of batches, in the order in which they are done.

    Args:
        ray: The module, connected.
        work: Class that each worker makes once, of a reference to the task, and calls with each batch.
        task: What it needs.
        batches: Columns of equal length.
        workers: How many there may be.
        waiting: Called about twice a second; raising from it ends the work.

    Raises:
        DataError: Workers die or fail over a batch again and again.
    """
    blocks = [_block(batch) for batch in batches]
    if not blocks:
        return
    _quieten(ray)
    kept = ray.put(task)  # by this process, so that a worker that is started again finds it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Not `from_arrow`, which has tasks look at each block before anything begins: a second.
        dataset = ray.data.from_blocks(blocks).map_batches(
            work,
            fn_constructor_args=([kept],),
            batch_size=None,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                max_size=min(workers.count, len(blocks)),
                initial_size=min(workers.count, len(blocks)),
                max_tasks_in_flight_per_actor=_IN_FLIGHT,
            ),
            num_cpus=workers.cores,
            num_gpus=workers.gpus,
            max_restarts=-1,
            max_task_retries=_TRIES,
        )
    yield from _watched(ray, dataset, waiting)


def _watched(ray: Any, dataset: Any, waiting: Callable[[], None]) -> Iterator[dict[str, np.ndarray]]:
    """Yield a dataset's batches from a thread that waits for them, so that this one can be told to stop meanwhile."""
    results: queue.Queue[Any] = queue.Queue(maxsize=16)
    stopped = threading.Event()
    ended = object()

    def consume() -> None:
        try:
            for batch in dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
                _offer(results, batch, stopped)
                if stopped.is_set():
                    return
            _offer(results, ended, stopped)
        except BaseException as cause:
            _offer(results, cause, stopped)

    thread = threading.Thread(target=consume, name="winnow-cluster", daemon=True)
    thread.start()
    try:
        while True:
            waiting()
            try:
                result = results.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if result is ended:
                break
            if isinstance(result, BaseException):
                raise _error(ray, result) from result
            yield result
    finally:
        stopped.set()
        thread.join(_END)


def _offer(results: queue.Queue[Any], result: Any, stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            return results.put(result, timeout=_LOOK)
        except queue.Full:
            continue


def _error(ray: Any, cause: BaseException) -> BaseException:
    """Return what a user can do about it."""
    if isinstance(cause, ray.exceptions.RayTaskError):
        last = str(cause).strip().splitlines()[-1]
        return DataError(
            f"the cluster's workers fail: {last}. What they finished is kept; run the job again once it is mended."
        )
    if isinstance(cause, ray.exceptions.RayError):
        return DataError(
            f"the cluster's workers die again and again ({type(cause).__name__}): too little memory, or a file that "
            "brings a decoder down. What they finished is kept. Give them more memory, or run without --cluster to "
            "see which file it is."
        )
    return cause


def _block(batch: dict[str, Any]) -> Any:
    """Return a batch as an Arrow table; a matrix as a column of lists of fixed length."""
    import pyarrow

    columns = {}
    for name, values in batch.items():
        if values.ndim == 2:
            flat = pyarrow.array(np.ascontiguousarray(values).ravel())
            columns[name] = pyarrow.FixedSizeListArray.from_arrays(flat, values.shape[1])
        else:
            columns[name] = pyarrow.array(values.tolist() if values.dtype.kind in "OU" else values)
    return pyarrow.table(columns)


def _quieten(ray: Any) -> None:
    """Turn off Ray Data's bars and remarks: the job has a bar of its own."""
    settings = ray.data.DataContext.get_current()
    settings.enable_progress_bars = False
    settings.print_on_execution_start = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
