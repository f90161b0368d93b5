"""One classifier in one process: loaded in the background, and replaced without a request noticing."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from ..plugin.errors import ClassifierError, WinnowError
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
    """Serves one classifier, which another one may replace at any time.

    Args:
        load: Returns the first classifier, warm.
        max_requests: Requests that may be in hand at the same time.
    """

    def __init__(self, load: Callable[[], HostedClassifier], max_requests: int = 16) -> None:
        self._load = load
        self._served: Served | None = None
        self._problem: str | None = None
        self._ended = threading.Event()
        self._numbers = itertools.count(1)
        self._newest = 0
        self._installing = threading.Lock()
        self._places = threading.BoundedSemaphore(max_requests)
        self._turn = threading.Lock()

    def start(self) -> None:
        """Begin to load the first classifier; returns at once."""
        self.swap(self._load)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the first loading has ended, well or not; return whether it has."""
        return self._ended.wait(seconds)

    def swap(self, load: Callable[[], HostedClassifier], version: str | None = None) -> Future[Served]:
        """Load another classifier in the background and serve it from then on; where that fails, the old one stays.

        Requests in hand end with the classifier that they began with. Of several calls the last one wins, whichever
        is loaded first.

        Args:
            load: Returns the classifier, warm (see `loading.load_warm`), so that no request waits for its engine.
            version: What it has to be; None = whatever it is.

        Returns:
            What is loaded, or the exception that stood against it; nobody has to look at it.
        """
        future: Future[Served] = Future()
        number = next(self._numbers)
        threading.Thread(
            target=self._replace, args=(number, load, version, future), name="load-classifier", daemon=True
        ).start()
        return future

    @property
    def state(self) -> str:
        """`loading`, `ready` or `failed`."""
        if self._served is not None:
            return "ready"
        return "failed" if self._ended.is_set() else "loading"

    @property
    def version(self) -> str | None:
        """The version that is served, None until one is loaded."""
        return None if self._served is None else self._served.version

    @property
    def problem(self) -> str | None:
        """Why the last attempt to load a classifier failed; None where it did not."""
        return self._problem

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

    def _replace(
        self, number: int, load: Callable[[], HostedClassifier], version: str | None, future: Future[Served]
    ) -> None:
        try:
            classifier = load()
            served = Served(classifier, classifier.version)
            if version not in (None, served.version):
                raise ClassifierError(f"the classifier has version {served.version}, not {version} as was asked for")
        except Exception as error:
            self._tell_failure(error)
            future.set_exception(error)
        else:
            self._install(number, served)
            future.set_result(served)
        finally:
            self._ended.set()

    def _install(self, number: int, served: Served) -> None:
        with self._installing:
            if number < self._newest:
                logger.info("classifier %s is not served: a later one already is", served.version)
                return
            self._newest, self._served, self._problem = number, served, None
        logger.info("classifier %s is served: %d classes", served.version, len(served.classifier.classes))

    def _tell_failure(self, error: Exception) -> None:
        stays = f"; version {self._served.version} stays" if self._served else ""
        if isinstance(error, WinnowError):
            self._problem = str(error)
            logger.error("the classifier could not be loaded: %s%s", error, stays)
        else:
            self._problem = "an unexpected error; the log has it"
            logger.error("the classifier could not be loaded%s", stays, exc_info=error)
