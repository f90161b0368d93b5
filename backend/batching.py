"""Images of many requests through one model: opened ahead of it, gathered into batches, each request in its turn.

Two stages with little between them. Some threads open images, that is, download them; one thread a core takes what is
open through the model. Both go around the requests image by image, so that somebody who opens one task waits for a few
images of a request of 1,200, not for all of them; and as only a few images are open at a time, memory stays bounded,
however much is asked for. There is no waiting for a batch to fill: while the cores are busy, requests gather by
themselves, and while they are not, waiting would be all that is gained.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..plugin.labeling.image_access import ImageAccessError
from ..plugin.machine import available_cores
from .hosting import NotReadyError, Served
from .image_jobs import Job, Result, Unpredicted

logger = logging.getLogger(__name__)

Source = Path | BytesIO

# Enough to hide the latency of downloads; more would only crowd Label Studio.
DOWNLOADS_AT_ONCE = 8
# A download may still be under way when the backend stops; whoever stops it will not wait long.
_CLOSE_SECONDS = 5.0
# Of a model of which each core runs a copy: more images push each other out of its cache (see vision.pipeline).
_IMAGES_A_CORE = 4


class QueueFullError(NotReadyError):
    """So many images are waiting that another request would wait too long."""


@dataclass(frozen=True, slots=True)
class _Opened:
    job: Job
    row: int
    source: Source


class Batcher:
    """Takes images through the model; safe to share among threads. Its own threads start with the first job.

    Args:
        open_image: Returns a readable image, or raises `ImageAccessError`; called in threads.
        batch_size: Most images a turn of a model that takes one caller at a time.
        capacity: Images that may wait at the same time; one request takes at most half of these places, however
            many images it has, so that others find some left.
        on_batch: Told the size of each batch.
        downloads: Images that are opened at the same time, for all requests together.
    """

    def __init__(
        self,
        open_image: Callable[[Any], Source],
        *,
        batch_size: int = 32,
        capacity: int = 4096,
        on_batch: Callable[[int], None] = lambda size: None,
        downloads: int = DOWNLOADS_AT_ONCE,
    ) -> None:
        self._open_image = open_image
        self._batch_size = batch_size
        self._capacity = capacity
        self._on_batch = on_batch
        self._downloads = downloads
        self._cores = available_cores()
        self._lock = threading.Lock()
        self._may_open = threading.Condition(self._lock)
        self._may_predict = threading.Condition(self._lock)
        self._jobs: list[Job] = []
        self._turns: deque[Job] = deque()  # jobs of which images are still to be opened, the next one first
        self._opened: deque[_Opened] = deque()
        self._ahead = 0  # images that are being opened, or open and not yet taken by the model
        self._taken_places = 0
        self._busy = False  # with a model that takes one caller at a time
        self._closed = False
        self._threads: list[threading.Thread] = []

    @property
    def capacity(self) -> int:
        """Images that may wait at the same time."""
        return self._capacity

    @property
    def waiting(self) -> int:
        """Images without a result, of all jobs."""
        with self._lock:
            return sum(job.left for job in self._jobs)

    @property
    def jobs(self) -> int:
        """Requests in hand."""
        return len(self._jobs)

    def submit(self, served: Served, images: Sequence[Any]) -> Job:
        """Let images into the queue; returns at once.

        Raises:
            QueueFullError: There is no room for them, or the backend is shutting down.
        """
        places = max(1, min(len(images), self._capacity // 2))
        job = Job(served, images, places)
        if not images:
            job.future.set_result([])
            return job
        with self._lock:
            if self._closed:
                raise QueueFullError("the backend is shutting down")
            if self._taken_places + places > self._capacity:
                raise QueueFullError("too many images are waiting for the classifier; ask again in a few seconds")
            self._start_threads()
            self._taken_places += places
            self._jobs.append(job)
            self._turns.append(job)
            self._may_open.notify(len(images))
        return job

    def give_up(self, job: Job, why: Unpredicted) -> None:
        """Let a job end now: what has no result yet gets this one."""
        with self._lock:
            job.settle_rest(why)
            self._end_if_done(job)

    def close(self) -> None:
        """End the threads; jobs that are still in hand end without results."""
        with self._lock:
            self._closed = True
            for job in list(self._jobs):
                job.settle_rest(Unpredicted("stopped", "the backend is shutting down"))
                self._end_if_done(job)
            self._may_open.notify_all()
            self._may_predict.notify_all()
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start_threads(self) -> None:
        if self._threads:
            return
        for name, work, count in (
            ("open-image", self._open_images, self._downloads),
            ("predict", self._predict_batches, self._cores),
        ):
            for _ in range(count):
                self._threads.append(threading.Thread(target=work, name=name, daemon=True))
        for thread in self._threads:
            thread.start()

    def _open_images(self) -> None:
        while (taken := self._next_to_open()) is not None:
            job, row = taken
            result = self._open(job.images[row])
            with self._lock:
                if not isinstance(result, Unpredicted):
                    self._opened.append(_Opened(job, row, result))
                    self._may_predict.notify()
                    continue
                self._ahead -= 1
                self._may_open.notify()
                job.settle(row, result)
                self._end_if_done(job)

    def _next_to_open(self) -> tuple[Job, int] | None:
        """Wait for an image to open; None = no more."""
        with self._lock:
            while not self._closed:
                if self._turns and self._ahead < self._most_ahead(self._turns[0].served):
                    job = self._turns.popleft()
                    row = job.take()
                    if row is not None:
                        self._turns.append(job)
                        self._ahead += 1
                        return job, row
                else:
                    self._may_open.wait()
        return None

    def _open(self, image: Any) -> Source | Unpredicted:
        try:
            return self._open_image(image)
        except ImageAccessError as error:
            return Unpredicted(str(error.problem), str(error))
        except Exception:
            logger.exception("an image could not be opened")
            return Unpredicted("error", "an unexpected error while it was opened; the log has it")

    def _predict_batches(self) -> None:
        while batch := self._next_batch():
            served = batch[0].job.served
            self._on_batch(len(batch))
            results = _predict(served, [each.source for each in batch], self._batch_size)
            with self._lock:
                if not served.concurrent:
                    self._busy = False
                    self._may_predict.notify()
                for each, (result, vector) in zip(batch, results, strict=True):
                    each.job.settle(each.row, result, vector)
                    self._end_if_done(each.job)

    def _next_batch(self) -> list[_Opened]:
        """Wait for open images and take a fair share of them, all to be judged by one classifier; [] = no more."""
        batch: list[_Opened] = []
        with self._lock:
            while not self._closed and not batch:
                while not self._closed and not self._is_free():
                    self._may_predict.wait()
                size = self._share()
                while self._opened and len(batch) < size:
                    if batch and self._opened[0].job.served is not batch[0].job.served:
                        break
                    opened = self._opened.popleft()
                    self._ahead -= 1
                    self._may_open.notify()
                    if not opened.job.is_done:
                        batch.append(opened)
            if batch and not batch[0].job.served.concurrent:
                self._busy = True
        return [] if self._closed else batch

    def _is_free(self) -> bool:
        """Return whether there is an image that may be predicted now."""
        return bool(self._opened) and (self._opened[0].job.served.concurrent or not self._busy)

    def _share(self) -> int:
        """Return how many of the open images one thread takes: no core should wait while another has several."""
        if not self._opened:
            return 0
        served = self._opened[0].job.served
        if not served.concurrent:
            return self._batch_size
        return min(_IMAGES_A_CORE, math.ceil(len(self._opened) / self._cores))

    def _most_ahead(self, served: Served) -> int:
        """Return how many images may be opened before the model takes them: one batch for each who takes them."""
        return self._downloads + (self._cores * _IMAGES_A_CORE if served.concurrent else self._batch_size)

    def _end_if_done(self, job: Job) -> None:
        if job.is_done and job in self._jobs:
            self._jobs.remove(job)
            self._taken_places -= job.places
            job.future.set_result(job.results())


def _predict(served: Served, sources: list[Source], batch_size: int) -> list[tuple[Result, np.ndarray | None]]:
    """Return the result of each image, with its vector where the classifier gives them.

    An image that makes the classifier fail does not take the others along.
    """
    try:
        predicted = served.classifier.predict(sources, batch_size=batch_size)
    except Exception:
        if len(sources) == 1:
            logger.exception("the classifier failed")
            return [(Unpredicted("error", "the classifier failed with an unexpected error; the log has it"), None)]
        for source in sources:
            if isinstance(source, BytesIO):
                source.seek(0)
        return [result for source in sources for result in _predict(served, [source], batch_size)]
    reasons = {int(failure.id): failure.reason for failure in predicted.failures}
    results = [_result(row, reasons.get(number)) for number, row in enumerate(predicted.probabilities)]
    vectors = [None] * len(results) if predicted.vectors is None else list(predicted.vectors)
    return list(zip(results, vectors, strict=True))


def _result(probabilities: np.ndarray, reason: str | None) -> Result:
    if reason is not None:
        return Unpredicted("unreadable", reason)
    if not np.isfinite(probabilities).all():
        return Unpredicted("not finite", "the classifier gave no finite probabilities")
    return probabilities
