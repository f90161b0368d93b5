"""What is read of an image file: the whole of it, or a box in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

Opened = TypeVar("Opened")


class Region(NamedTuple):
    """One thing to read; small and picklable, so that another process can be asked for it.

    Attributes:
        path: The file.
        box: (4,) float64, see `vision.boxes`; None = the whole image.
    """

    path: str
    box: np.ndarray | None = None


@dataclass(slots=True)
class Prepared:
    """One image on its way.

    Attributes:
        pixels: (size, size, 3) uint8; None = nothing to run: it failed, or its result is known already.
        reason: Why it could not be read; "" = it could.
        note: Whatever the reader wants to hand on to the consumer.
    """

    pixels: np.ndarray | None = None
    reason: str = ""
    note: Any = None


def regions_of(
    paths: Sequence[str] | np.ndarray, boxes: np.ndarray | None, rows: Iterable[int] | None = None
) -> Iterator[Region]:
    """Yield the region of each row, or of these rows, of n files and (n, 4) boxes or None."""
    for row in range(len(paths)) if rows is None else rows:
        yield Region(str(paths[row]), None if boxes is None else boxes[row])


class LastFile(Generic[Opened]):
    """What each thread opened last: the next box may lie in the same file. It travels to another process empty."""

    def __init__(self) -> None:
        self._in_hand = threading.local()

    def __reduce__(self) -> tuple[type[LastFile], tuple[()]]:
        return LastFile, ()

    def get(self, path: str, open_file: Callable[[str], Opened]) -> Opened:
        """Return what `open_file` makes of the file, or made of it the last time."""
        if getattr(self._in_hand, "path", None) != path:
            self._in_hand.path = self._in_hand.opened = None  # two large images at a time would be one too many
            self._in_hand.opened = open_file(path)
            self._in_hand.path = path
        return self._in_hand.opened
