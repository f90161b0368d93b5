"""One classifier in one process: loaded in the background, and replaced without a request noticing."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from ..plugin.errors import ClassifierError, WinnowError
from ..plugin.failures import Failure

logger = logging.getLogger(__name__)


class NotReadyError(WinnowError):
    """The classifier is still being loaded, could not be loaded, or has too much to do."""


class PredictedBatch(Protocol):
    """What a classifier returns for n images."""

    @property
    def probabilities(self) -> np.ndarray:
        """(n, k) float32 in 0..1; NaN in the rows of images that could not be read."""

    @property
    def vectors(self) -> np.ndarray | None:
        """(n, d) float32, the images' features, from a classifier that gives them."""

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

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """k probabilities from which on each of several independent classes is present; None = .5."""

    @property
    def concurrent(self) -> bool:
        """Whether threads may predict at the same time, each on a core of its own; else one caller at a time."""

    def predict(self, images: Sequence[Path | BinaryIO], batch_size: int = 32) -> PredictedBatch:
        """Return the probabilities of n images; an unreadable one costs its own row only."""


@dataclass(frozen=True, eq=False)
class Served:
    """A classifier as it is served. Its version is asked for once: it is a hash of all weights.

    Attributes:
        classifier: Not to be changed any more.
        version: Sent as `model_version` everywhere.
        concurrent: Whether threads may predict at the same time.
        since: When it was loaded, in seconds since 1970.
    """

    classifier: HostedClassifier
    version: str
    concurrent: bool
    since: float

    @classmethod
    def of(cls, classifier: HostedClassifier) -> Served:
        """Ask a classifier for what is asked once."""
        return cls(classifier, classifier.version, classifier.concurrent, time.time())


class ModelHost:
    """Serves one classifier, which another one may replace at any time.

    Args:
        load: Returns the first classifier, warm.
    """

    def __init__(self, load: Callable[[], HostedClassifier]) -> None:
        self._load = load
        self._served: Served | None = None
        self._problem: str | None = None
        self._ended = threading.Event()
        self._numbers = itertools.count(1)
        self._newest = 0
        self._installing = threading.Lock()
        self._loaded = self._failed = 0

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
    def attempts(self) -> tuple[int, int]:
        """How often a classifier was loaded and served, and how often that failed; the first one counts too."""
        return self._loaded, self._failed

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

    def _replace(
        self, number: int, load: Callable[[], HostedClassifier], version: str | None, future: Future[Served]
    ) -> None:
        try:
            served = Served.of(load())
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
            self._loaded += 1
        logger.info("classifier %s is served: %d classes", served.version, len(served.classifier.classes))

    def _tell_failure(self, error: Exception) -> None:
        self._failed += 1
        stays = f"; version {self._served.version} stays" if self._served else ""
        if isinstance(error, WinnowError):
            self._problem = str(error)
            logger.error("the classifier could not be loaded: %s%s", error, stays)
        else:
            self._problem = "an unexpected error; the log has it"
            logger.error("the classifier could not be loaded%s", stays, exc_info=error)
