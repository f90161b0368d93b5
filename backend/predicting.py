"""Tasks in, one entry per task out, in the same order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi.concurrency import run_in_threadpool

from ..plugin.failures import Failure
from ..plugin.labeling.class_mapping import ClassMapping, map_classes
from ..plugin.labeling.image_access import describe_address
from ..plugin.labeling.image_sources import ImageSources, address_in
from ..plugin.labeling.labeling_config import parse_labeling_config
from ..plugin.labeling.predictions import Answer, answer_for, to_prediction
from .batching import Batcher, Source
from .contract import PredictRequest, Task
from .hosting import HostedClassifier, ModelHost, NotReadyError, Served
from .image_jobs import Job, Result, Unpredicted
from .remembering import Memory, PredictedImage, PredictedImages

_CONFIGS_KNOWN = 64
# Handing work to a thread costs as much as writing the answers of so many images; more would hold up the event loop.
_IMAGES_AT_ONCE = 16

# A prediction, or `[]` for a task without one: Label Studio can't take null.
Entry = dict[str, Any] | list[Any]


@dataclass(frozen=True)
class Outcome:
    """What came of n tasks.

    Attributes:
        entries: n entries, in the order of the tasks.
        failures: Why, for each image that could not be used; `id` is the task's.
        kinds: What kind each of the failures is of, to be counted by.
    """

    entries: list[Entry]
    failures: list[Failure]
    kinds: list[str]


@dataclass(frozen=True, slots=True)
class _Image:
    """The image at `address`, which the task `task_id` in row `row` keeps under `key`.

    `login` is the project's user and password for the hosts that its images lie on.
    """

    row: int
    key: str
    address: object
    task_id: int | str | None
    login: tuple[str, str] | None


class Predictor:
    """Answers prediction requests, any number at a time.

    Args:
        host: Of the classifier.
        sources: Where images come from.
        batch_size: See `Batcher`.
        capacity: See `Batcher`.
        seconds: How long a request may take; what has no prediction by then goes without one.
        on_batch: Told the size of each batch.
        is_withheld: Tells of which tasks annotators get no prediction, on purpose.
        memory: Remembers what is predicted; tasks that are withheld are predicted for it alone. None = nothing is.
    """

    def __init__(
        self,
        host: ModelHost,
        sources: ImageSources,
        *,
        batch_size: int,
        capacity: int,
        seconds: float,
        on_batch: Callable[[int], None],
        is_withheld: Callable[[Task], bool] = lambda task: False,
        memory: Memory | None = None,
    ) -> None:
        self._host = host
        self._sources = sources
        self._seconds = seconds
        self._is_withheld = is_withheld
        self._memory = memory if memory is not None and memory.is_on else None
        self._for_record: Job | None = None
        self._known: dict[tuple[str, tuple[str, ...]], tuple[ClassMapping, ...]] = {}  # of the event loop alone
        self.queue = Batcher(self._open, batch_size=batch_size, capacity=capacity, on_batch=on_batch)

    async def predict(self, request: PredictRequest) -> Outcome:
        """Predict a request's tasks; what can't be predicted costs its own entry only.

        Raises:
            NotReadyError: No classifier yet, or too many images are waiting.
            LabelingConfigError: Nothing in the config can be filled in.
        """
        served = self._host.served
        mappings = await self._mappings(request.label_config, served.classifier.classes)
        keys = sorted({mapping.control.data_key for mapping in mappings})
        login = request.login
        withheld = [self._is_withheld(task) for task in request.tasks]
        images = [
            _Image(row, key, address_in(task.data, key), task.id, login)
            for row, task in enumerate(request.tasks)
            if not withheld[row]
            for key in keys
        ]
        job = self.queue.submit(served, images)
        results = await self._results(job)
        if self._memory is not None and (project := request.project_number) is not None:
            self._remember(self._memory, project, job, mappings, shown=True)
            blind = [
                _Image(row, key, address_in(task.data, key), task.id, login)
                for row, task in enumerate(request.tasks)
                if withheld[row]
                and isinstance(task.id, int)
                and not self._memory.knows_withheld(project, task.id, served.version)
                for key in keys
            ]
            self._predict_for_record(self._memory, project, served, mappings, blind)
        if len(images) <= _IMAGES_AT_ONCE:
            return _outcome(request.tasks, served, mappings, images, results)
        return await run_in_threadpool(_outcome, request.tasks, served, mappings, images, results)

    def wait_for_record(self, seconds: float) -> None:
        """Wait for the images that are predicted for the record alone."""
        if self._for_record is not None:
            wait([self._for_record.future], seconds)

    async def _mappings(self, label_config: str, classes: tuple[str, ...]) -> tuple[ClassMapping, ...]:
        """Map classes to a config's controls; the last ones are remembered, as the config comes with every request."""
        key = (label_config, classes)
        if key not in self._known:
            mappings = await run_in_threadpool(lambda: map_classes(classes, parse_labeling_config(label_config)))
            if len(self._known) >= _CONFIGS_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[key] = mappings
        return self._known[key]

    def _predict_for_record(
        self,
        memory: Memory,
        project: int,
        served: Served,
        mappings: Sequence[ClassMapping],
        images: Sequence[_Image],
    ) -> None:
        """Have images predicted that nobody waits for, and remembered."""
        try:
            job = self.queue.submit(served, images)
        except NotReadyError:  # those who wait for an answer go first
            return
        self._for_record = job
        job.future.add_done_callback(lambda _: self._remember(memory, project, job, mappings, shown=False))

    def _remember(
        self, memory: Memory, project: int, job: Job, mappings: Sequence[ClassMapping], *, shown: bool
    ) -> None:
        predicted = [
            PredictedImage(image.task_id, image.key, result, vector)
            for image, result, vector in zip(job.images, job.future.result(), job.vectors, strict=True)
            if isinstance(image.task_id, int) and not isinstance(result, Unpredicted)
        ]
        memory.keep(PredictedImages(project, job.served, mappings, predicted, shown, time.time()))

    async def _results(self, job: Job) -> list[Result]:
        try:
            await asyncio.wait([asyncio.wrap_future(job.future)], timeout=self._seconds)
        finally:  # also where the server stops and will not wait any longer
            if not job.future.done():
                reason = f"not predicted within {self._seconds:g} s, after which Label Studio would not wait any longer"
                self.queue.give_up(job, Unpredicted("late", reason))
        return job.future.result()

    def _open(self, image: _Image) -> Source:
        return self._sources.open(image.address, task_id=image.task_id, login=image.login)


def _outcome(
    tasks: Sequence[Task],
    served: Served,
    mappings: Sequence[ClassMapping],
    images: Sequence[_Image],
    results: Sequence[Result],
) -> Outcome:
    """Write the answers of n tasks from the results of their images."""
    answers: list[list[Answer]] = [[] for _ in tasks]
    failures: list[Failure] = []
    kinds: list[str] = []
    for image, result in zip(images, results, strict=True):
        for found in _answers(served.classifier, mappings, image, result):
            if isinstance(found, Answer):
                answers[image.row].append(found)
            else:
                failures.append(Failure(str(tasks[image.row].id), describe_address(image.address), found.reason))
                kinds.append(found.kind)
    entries: list[Entry] = [to_prediction(found, served.version) if found else [] for found in answers]
    return Outcome(entries, failures, kinds)


def _answers(
    classifier: HostedClassifier, mappings: Sequence[ClassMapping], image: _Image, result: Result
) -> list[Answer | Unpredicted]:
    """Return what to write into each control about an image, or why nothing is."""
    if isinstance(result, Unpredicted):
        return [result]
    return [_answer(classifier, mapping, result) for mapping in mappings if mapping.control.data_key == image.key]


def _answer(classifier: HostedClassifier, mapping: ClassMapping, probabilities: np.ndarray) -> Answer | Unpredicted:
    thresholds = None if classifier.thresholds is None else np.array(classifier.thresholds)
    answer = answer_for(mapping, probabilities, multilabel=classifier.multilabel, thresholds=thresholds)
    if answer is not None:
        return answer
    best = classifier.classes[int(np.argmax(probabilities))]
    reason = f"its most probable class '{best}' is not among the choices of '{mapping.control.name}'"
    return Unpredicted("no choice", reason)
