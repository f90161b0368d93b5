"""One classifier in one process: loaded in the background, one batch at a time, a bounded number of requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from ..plugin.errors import WinnowError
from ..plugin.failures import Failure

logger = logging.getLogger(__name__)


class NotReadyError(WinnowError):
    """The classifier is still being loaded, could not be loaded, or has too many requests in hand."""


class PredictedBatch(Protocol):
    """What a classifier returns for n images."""

    @property
    def probabilities(self) -> np.ndarray:
        """(n, k) float32 in 0..1; NaN in the rows of images that could not be read."""

    @property
    def failures(self) -> list[Failure]:
        """The images that could not be read; `id` is the row's number."""


class HostedClassifier(Protocol):
    """What the backend needs of a classifier; `training.classifier.Classifier` is one."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The k class names, in the order of the columns of `probabilities`."""

    @property
    def version(self) -> str:
        """Sent as `model_version` everywhere."""

    @property
    def multilabel(self) -> bool:
        """Whether the classes are independent of each other."""

    def predict(self, images: Sequence[Path | BinaryIO], batch_size: int = 32) -> PredictedBatch:
        """Return the probabilities of n images; an unreadable one costs its own row only."""


@dataclass(frozen=True)
class Served:
    """A classifier with its version, which is asked for once: it is a hash of all weights.

    Attributes:
        classifier: Not to be changed any more.
        version: Sent as `model_version` everywhere.
    """

    classifier: HostedClassifier
    version: str


class ModelHost:
    """Loads a classifier in a background thread and lets requests at it in turn.

    Args:
        load: Returns the classifier; called once.
        max_requests: Requests that may be in hand at the same time.
    """

    def __init__(self, load: Callable[[], HostedClassifier], max_requests: int = 16) -> None:
        self._load = load
        self._served: Served | None = None
        self._problem: str | None = None
        self._ended = threading.Event()
        self._places = threading.BoundedSemaphore(max_requests)
        self._turn = threading.Lock()

    def start(self) -> None:
        """Begin to load; returns at once."""
        threading.Thread(target=self._run, name="load-classifier", daemon=True).start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until loading has ended, well or not; return whether it has."""
        return self._ended.wait(seconds)

    @property
    def state(self) -> str:
        """`loading`, `ready` or `failed`."""
        if not self._ended.is_set():
            return "loading"
        return "failed" if self._served is None else "ready"

    @property
    def version(self) -> str | None:
        """The classifier's version, None until it is loaded."""
        return None if self._served is None else self._served.version

    @property
    def served(self) -> Served:
        """The classifier with its version.

        Raises:
            NotReadyError: It is still being loaded, or could not be.
        """
        if self._served is not None:
            return self._served
        if self._ended.is_set():
            raise NotReadyError(f"the classifier could not be loaded: {self._problem}")
        raise NotReadyError("the classifier is still being loaded; ask again in a few seconds")

    @contextmanager
    def place(self) -> Iterator[Served]:
        """Hold one of the places for requests, and the classifier that the whole request is answered with.

        Raises:
            NotReadyError: No classifier, or no place is free.
        """
        served = self.served
        if not self._places.acquire(blocking=False):
            raise NotReadyError("too many prediction requests at the same time; ask again in a few seconds")
        try:
            yield served
        finally:
            self._places.release()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the processor for one batch: a request of many batches lets others in between them."""
        with self._turn:
            yield

    def _run(self) -> None:
        try:
            classifier = self._load()
            self._served = Served(classifier, classifier.version)
            logger.info("classifier %s is ready: %d classes", self._served.version, len(classifier.classes))
        except WinnowError as error:
            self._problem = str(error)
            logger.error("the classifier could not be loaded: %s", error)
        except Exception:
            self._problem = "an unexpected error; the log has it"
            logger.exception("the classifier could not be loaded")
        finally:
            self._ended.set()
