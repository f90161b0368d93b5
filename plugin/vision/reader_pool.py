"""Processes that read images for this one, each on a core of its own. Pixels come through shared memory.

Python threads do not get beyond two cores with small images, as most of what a file takes holds the interpreter's lock.

Fresh interpreters, started by fork and exec at once, which is safe beside a MongoDB client and threads. Neither
multiprocessing nor joblib's loky starts them: the first runs the user's script again, the second and its executor do
not tell which of the waiting tasks a process died of, and both import our modules by name, which nothing finds where
the package is a FiftyOne plugin. The memory is anonymous (memfd): it needs no room in /dev/shm, of which a container
has 64 MB, and nothing of it can be left behind, however this process ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.spawn import get_executable
from pathlib import Path
from typing import Any

import numpy as np

from .ahead import chunks, work_ahead
from .reader_process import Job, Reply, mapped
from .regions import Prepared

logger = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]
_CHUNK = 16  # images a task
_IN_HAND = 2  # tasks of a process: it works on one while its answer to the other travels
_BLOCKS = 3  # tasks whose pixels wait to be taken, for each process
_MEMORY = 256 * 2**20  # bytes of pixels; large images come in smaller tasks
_LAST_BREATH = 5.0  # seconds from a process's last word to its end
# The package is loaded by its path and under its name, also where it is a plugin that is not installed. `-P` and the
# starting process's paths: the same modules are found, and not those of the folder that we happen to be in.
_BOOT = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one, and ends both
import importlib.util
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
root, sys.path[:], modules = connection.recv()
spec = importlib.util.spec_from_file_location("winnow", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["winnow"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["winnow"])
from winnow.plugin.vision.reader_process import serve
for module in modules:
    importlib.import_module(module)
serve(connection, int(sys.argv[2]))
"""
_MODULES = ("torch", "torchvision.io")  # take seconds, in which the first job is still being prepared
# Each process has one core. A GPU is not theirs to open.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@dataclass(eq=False)
class _Task:
    """Some items that are read in one go.

    Attributes:
        items: See above.
        row: Of the shared memory, where the first one's pixels are written.
        block: Which block of the memory is free once this task's pixels are taken; -1 = none.
        again: Whether it is one item that may have ended a process before.
        replies: None = it is not read yet.
    """

    items: list[Any]
    row: int
    block: int
    again: bool = False
    replies: list[Reply] | None = None


@dataclass(eq=False)
class _Worker:
    """One process.

    Attributes:
        process: See above.
        connection: To it.
        ready: Whether it has got so far as to read.
        tasks: What it has in hand, in order.
    """

    process: subprocess.Popen[bytes]
    connection: Connection
    ready: bool = False
    tasks: deque[_Task] = field(default_factory=deque)


class ReaderPool:
    """Processes that read for one job at a time.

    Args:
        processes: How many.

    Raises:
        OSError: They cannot be started.
    """

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._memory = os.memfd_create("winnow-readers")
        self._size = 0
        self._job: Job | None = None
        self._workers: list[_Worker] = []
        try:
            self._fill_up()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """End the processes, whatever they do."""
        for worker in self._workers:
            _end(worker)
        self._workers = []
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    def read(self, reader: Callable[[Any], Prepared], items: Iterable[Any], size: int) -> Iterator[list[Prepared]]:
        """Yield what `reader` makes of the items, in order, some at a time.

        A process that dies costs nothing but time. An image that one dies of again, alone, is a failure.

        Args:
            reader: Picklable; must not raise for a bad image.
            items: Picklable and small; some hundred are taken ahead.
            size: Height and width of the pixels that the reader gives.

        Yields:
            Their pixels lie in memory that is used again once the next ones are asked for.
        """
        blocks = _BLOCKS * self.processes
        length = min(max(_MEMORY // (blocks * size * size * 3), 1), _CHUNK)
        pixels = self._begin(Job.of(reader, blocks * length, size))
        rest = chunks(items, length)
        free = list(range(blocks))
        expected: deque[_Task] = deque()  # in order, the next one to be yielded first
        waiting: deque[_Task] = deque()  # for a process
        while True:
            while free and (some := next(rest, None)) is not None:
                block = free.pop()
                expected.append(_Task(some, block * length, block))
                waiting.append(expected[-1])
            if not expected:
                return
            self._hand_out(waiting)
            if not self._workers:
                yield from _by_threads(reader, expected, rest, pixels)
                return
            if expected[0].replies is None or waiting:
                self._collect(expected, waiting)
            if expected[0].replies is not None:
                task = expected.popleft()
                yield _prepared(task, pixels)
                if task.block >= 0:
                    free.append(task.block)

    def _begin(self, job: Job) -> np.ndarray:
        self._fill_up()  # some may have been killed while there was nothing to do
        if (size := int(np.prod(job.shape))) > self._size:
            os.ftruncate(self._memory, size)
            self._size = size
        self._job = job
        for worker in self._workers:
            _send(worker, job)
        return mapped(self._memory, job)

    def _fill_up(self) -> None:
        for worker in [each for each in self._workers if each.process.poll() is not None]:
            _end(worker)
            self._workers.remove(worker)
        while len(self._workers) < self.processes:
            self._workers.append(self._start())

    def _start(self) -> _Worker:
        ours, theirs = Pipe()
        with theirs:
            descriptors = (theirs.fileno(), self._memory)
            process = subprocess.Popen(
                [get_executable(), "-P", "-c", _BOOT, *map(str, descriptors)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # whose last line is for `--json`
                pass_fds=descriptors,
                env={**os.environ, **_ENVIRONMENT},
            )
        worker = _Worker(process, ours)
        _send(worker, (str(_ROOT), sys.path, _MODULES))
        return worker

    def _hand_out(self, waiting: deque[_Task]) -> None:
        while waiting and self._workers:
            worker = min(self._workers, key=lambda each: len(each.tasks))
            if len(worker.tasks) == _IN_HAND:
                return
            worker.tasks.append(waiting.popleft())
            _send(worker, (worker.tasks[-1].row, worker.tasks[-1].items))

    def _collect(self, expected: deque[_Task], waiting: deque[_Task]) -> None:
        """Take the answers that are there; where the next task to be yielded has none, wait for some."""
        by_connection: dict[Any, _Worker] = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), None if expected[0].replies is None else 0):
            worker = by_connection[connection]
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError):
                self._bury(worker, expected, waiting)
                continue
            if isinstance(answer, Exception):
                raise answer
            if answer is None:
                worker.ready = True
            else:
                worker.tasks.popleft().replies = answer

    def _bury(self, worker: _Worker, expected: deque[_Task], waiting: deque[_Task]) -> None:
        """See to what a process had in hand when it died; one that never got ready is not started again."""
        self._workers.remove(worker)
        cause = _end(worker, patience=_LAST_BREATH)
        tasks = list(worker.tasks)
        if not worker.ready:
            logger.warning("a process for reading images did not start (%s); the others go on", cause)
            waiting.extendleft(reversed(tasks))
            return
        logger.warning("a process that read images ended (%s); another one takes its place", cause)
        if tasks and tasks[0].again:
            reason = f"reading it ended the process that did, twice ({cause}): damaged, or too large for the memory"
            tasks.pop(0).replies = [(False, reason, None)]
        elif tasks:
            task = tasks.pop(0)
            alone = [_Task([item], task.row + place, -1, again=True) for place, item in enumerate(task.items)]
            alone[-1].block = task.block
            place = expected.index(task)
            expected.remove(task)
            for each in reversed(alone):
                expected.insert(place, each)
            tasks = alone + tasks
        waiting.extendleft(reversed(tasks))
        try:
            self._workers.append(self._start())
        except OSError as error:
            logger.warning("it cannot be started: %s", error)
        else:
            _send(self._workers[-1], self._job)


def _prepared(task: _Task, pixels: np.ndarray) -> list[Prepared]:
    return [
        Prepared(pixels[row] if readable else None, reason, note)
        for row, (readable, reason, note) in enumerate(task.replies or (), start=task.row)
    ]


def _by_threads(
    reader: Callable[[Any], Prepared], expected: Iterable[_Task], rest: Iterable[list[Any]], pixels: np.ndarray
) -> Iterator[list[Prepared]]:
    """Go on without processes; what may have ended one is not tried in this one."""
    logger.warning("no process for reading images is left; threads read them, which is slower beside a GPU")
    for task in expected:
        if task.replies is not None:
            yield _prepared(task, pixels)
        elif task.again:
            yield [Prepared(reason="reading it may have ended the process that did, and no other could be started")]
        else:
            yield [reader(item) for item in task.items]
    for prepared in work_ahead(reader, chain.from_iterable(rest)):
        yield [prepared]


def _send(worker: _Worker, message: Any) -> None:
    with contextlib.suppress(ConnectionError):  # it is dead, and noticed so where answers are collected
        worker.connection.send(message)


def _end(worker: _Worker, patience: float = 0.0) -> str:
    """Make sure that a process has ended, and return how it did."""
    worker.connection.close()
    try:
        status = worker.process.wait(patience)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        status = worker.process.wait()
    return f"exit status {status}" if status >= 0 else signal.Signals(-status).name
