"""The images of one request, and what comes of each."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from .hosting import Served


@dataclass(frozen=True, slots=True)
class Unpredicted:
    """Why an image has no probabilities.

    Attributes:
        kind: One of few, to be counted by.
        reason: One sentence for people.
    """

    kind: str
    reason: str


Result = np.ndarray | Unpredicted  # (k,) float32 in 0..1, or why not


class Job:
    """The images of one request on their way; `future` gets their n results, in order.

    Args:
        served: The classifier that all of them are judged by.
        images: Whatever the batcher's `open_image` takes.
        places: How many of the queue's places it holds until it is done.
    """

    def __init__(self, served: Served, images: Sequence[Any], places: int) -> None:
        self.served = served
        self.images = images
        self.places = places
        self.future: Future[list[Result]] = Future()
        self.future.set_running_or_notify_cancel()  # who waits for it may leave, but can't call it off
        self.vectors: list[np.ndarray | None] = [None] * len(images)  # (d,) float32, where the classifier gives them
        self._results: list[Result | None] = [None] * len(images)
        self._next = 0
        self._left = len(images)

    @property
    def is_done(self) -> bool:
        """Whether each image has its result."""
        return self._left == 0

    @property
    def left(self) -> int:
        """How many images have no result yet."""
        return self._left

    def take(self) -> int | None:
        """Return the number of the next image to open, None where all are taken."""
        if self._next == len(self.images):
            return None
        self._next += 1
        return self._next - 1

    def settle(self, row: int, result: Result, vector: np.ndarray | None = None) -> None:
        """Keep the result of an image; a second one comes too late."""
        if self._results[row] is None:
            self._results[row] = result
            self.vectors[row] = vector
            self._left -= 1

    def settle_rest(self, why: Unpredicted) -> None:
        """Give all images without a result this one, and let no more be taken."""
        self._next = len(self.images)
        for row in range(len(self.images)):
            self.settle(row, why)

    def results(self) -> list[Result]:
        """Return the n results, once there are all of them."""
        return [result for result in self._results if result is not None]
