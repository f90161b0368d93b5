"""Remembers what was predicted and what annotators answered, beside the requests and never at their cost.

A thread of its own writes what requests leave behind. What goes wrong with the store is logged once and told on
`/status`; predictions and events are answered all the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..plugin.labeling.class_mapping import ClassMapping
from ..plugin.labeling.predictions import answer_for
from ..plugin.labeling.returned_annotations import deleted_in_event, returned_in_event, returned_in_task
from ..plugin.labeling.served_predictions import ServedMapping, ServedPrediction
from ..plugin.labeling.served_store import ServedStore, ServedStoreError
from .hosting import Served

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_MOST_WAITING = 4_096  # images; with a vector each, some 20 MB
_AT_ONCE = 512  # images in one transaction: an event that comes meanwhile should not wait long
_FORGET_EVERY_SECONDS, _FORGET_EVERY_IMAGES = 60.0, 2_000
_STOP_SECONDS = 10.0
_DAY = 86_400.0
_WITHHELD_KNOWN = 100_000


@dataclass(frozen=True)
class RememberPlan:
    """What the operator decides about remembering.

    Attributes:
        days: How long a prediction is kept; 0 = none is.
        most_bytes: The store holds no more than that; the oldest predictions go first.
    """

    days: int = 0
    most_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, eq=False, slots=True)
class PredictedImage:
    """An image of a task with what the classifier said of it.

    Attributes:
        task: Number of the task.
        key: Key of the task's data that the image lies under.
        probabilities: (k,) float32.
        vector: (d,) float32; None = the classifier gives none.
    """

    task: int
    key: str
    probabilities: np.ndarray
    vector: np.ndarray | None


@dataclass(frozen=True, eq=False, slots=True)
class PredictedImages:
    """The images of a request, or those of its tasks that annotators label blind.

    Attributes:
        project: Number of the project.
        served: The classifier.
        mappings: The controls that it answers.
        images: One entry each.
        shown: Whether Label Studio was given the predictions.
        at: When, in seconds since 1970.
    """

    project: int
    served: Served
    mappings: Sequence[ClassMapping]
    images: Sequence[PredictedImage]
    shown: bool
    at: float


class Memory:
    """What the backend remembers; safe to share among threads. Its own thread begins with `start`.

    Args:
        state: The state folder.
        plan: How much is kept.
    """

    def __init__(self, state: Path, plan: RememberPlan) -> None:
        self.plan = plan
        self._state = state
        self._store: ServedStore | None = None
        self._problem: str | None = None
        self._dropped = 0
        self._waiting: deque[PredictedImages] = deque()
        self._images = 0
        self._condition = threading.Condition()
        self._ended = False
        self._withheld: dict[tuple[int, int, str], None] = {}
        self._forgotten_at, self._since_forgotten = 0.0, 0
        self._thread = threading.Thread(target=self._run, name="remember", daemon=True)
        self.try_to(lambda store: None)

    @property
    def is_on(self) -> bool:
        """Whether predictions are remembered."""
        return self.plan.days > 0

    @property
    def problem(self) -> str | None:
        """Why nothing can be remembered now; None where all is well."""
        return self._problem

    @property
    def dropped(self) -> int:
        """Images that were predicted and not remembered: the store was broken, or too slow."""
        return self._dropped

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and close the store."""
        with self._condition:
            self._ended = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        if self._store is not None and not self._thread.is_alive():
            self._store.close()

    def keep(self, predicted: PredictedImages) -> None:
        """Have predictions written soon; never waits."""
        if not (self.is_on and predicted.images):
            return
        with self._condition:
            if self._ended or self._images + len(predicted.images) > _MOST_WAITING:
                self._dropped += len(predicted.images)
                return
            if not predicted.shown:
                self._know_withheld(predicted)
            self._waiting.append(predicted)
            self._images += len(predicted.images)
            self._condition.notify()

    def knows_withheld(self, project: int, task: int, version: str) -> bool:
        """Tell whether a task that annotators label blind was predicted for the record: once a version is enough."""
        return (project, task, version) in self._withheld

    def _know_withheld(self, predicted: PredictedImages) -> None:
        for image in predicted.images:
            if len(self._withheld) >= _WITHHELD_KNOWN:
                del self._withheld[next(iter(self._withheld))]
            self._withheld[predicted.project, image.task, predicted.served.version] = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Keep the annotations that one of Label Studio's events brings or takes away."""
        if self.is_on:
            if annotations := returned_in_event(event):
                self.try_to(lambda store: store.answered(annotations))
            if gone := deleted_in_event(event):
                self.try_to(lambda store: store.deleted(gone))

    def watch(self, project: int) -> ProjectWatch:
        """Return what is told of each task of a project, where Label Studio sends no events."""
        return ProjectWatch(self, project)

    def try_to(self, use: Callable[[ServedStore], Result]) -> Result | None:
        """Use the store; None where that fails, which is told."""
        try:
            if self._store is None:
                self._store = ServedStore(self._state)
            result = use(self._store)
        except ServedStoreError as error:
            if self._problem is None:
                logger.error("remembering: %s Predictions are served all the same.", error)
            self._problem = str(error)
            return None
        if self._problem is not None:
            logger.info("remembering works again")
            self._problem = None
        return result

    def _remembered(self, rows: Sequence[ServedPrediction]) -> bool:
        self.try_to(lambda store: store.remember(rows))
        return self._problem is None

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._write(batch)
            except Exception:  # what is remembered of one request must not end remembering
                logger.exception("remembering: an unexpected error; it goes on")

    def _next(self) -> list[PredictedImages] | None:
        """Wait for something to write; None = no more."""
        with self._condition:
            while not (self._waiting or self._ended):
                if not self._condition.wait(_FORGET_EVERY_SECONDS):
                    return []
            if not self._waiting:
                return None
            batch: list[PredictedImages] = []
            while self._waiting and sum(len(each.images) for each in batch) < _AT_ONCE:
                batch.append(self._waiting.popleft())
            self._images -= sum(len(each.images) for each in batch)
            return batch

    def _write(self, batch: Sequence[PredictedImages]) -> None:
        images = sum(len(each.images) for each in batch)
        if batch:
            known: dict[tuple[int, str], ServedMapping] = {}
            rows = [row for predicted in batch for row in _predictions(predicted, known)]
            if not self._remembered(rows):
                self._dropped += images
        self._since_forgotten += images
        now = time.time()
        if now - self._forgotten_at >= _FORGET_EVERY_SECONDS or self._since_forgotten >= _FORGET_EVERY_IMAGES:
            self._forgotten_at, self._since_forgotten = now, 0
            before, most = now - self.plan.days * _DAY, self.plan.most_bytes
            self.try_to(lambda store: store.forget(before=before, most_bytes=most))


class ProjectWatch:
    """Reads annotations off the tasks of a project, pass by pass, as `labeling.pushing.AnnotationWatch` does."""

    def __init__(self, memory: Memory, project: int) -> None:
        self._memory, self._project = memory, project
        self._seen: list[int] = []

    def see(self, task: Mapping[str, Any]) -> None:
        """Keep the annotations of one task."""
        annotations = returned_in_task(task, self._project)
        self._seen += [each.annotation for each in annotations]
        if self._memory.is_on and annotations:
            self._memory.try_to(lambda store: store.answered(annotations))

    def end_pass(self) -> None:
        """Note that the annotations that were not seen are gone."""
        seen, self._seen = self._seen, []
        if self._memory.is_on:
            self._memory.try_to(lambda store: store.keep_only(self._project, seen))


def _predictions(predicted: PredictedImages, known: dict[tuple[int, str], ServedMapping]) -> list[ServedPrediction]:
    """Return what is kept: nothing where a control got no answer, since its class has no choice there."""
    classifier, version = predicted.served.classifier, predicted.served.version
    thresholds = None if classifier.thresholds is None else np.array(classifier.thresholds)
    found = []
    for mapping in predicted.mappings:
        if (id(mapping), version) not in known:
            known[id(mapping), version] = ServedMapping.of(
                mapping, version, tuple(classifier.classes), multilabel=classifier.multilabel
            )
        kept = known[id(mapping), version]
        for image in predicted.images:
            if image.key != mapping.control.data_key:
                continue
            answer = answer_for(mapping, image.probabilities, multilabel=classifier.multilabel, thresholds=thresholds)
            if answer is not None:
                found.append(
                    ServedPrediction(
                        predicted.project,
                        image.task,
                        kept,
                        predicted.at,
                        predicted.shown,
                        answer.chosen,
                        image.probabilities,
                        image.vector,
                    )
                )
    return found
