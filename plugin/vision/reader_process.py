"""One process that reads images for another: it is told what to read, and writes the pixels into shared memory."""

from __future__ import annotations

import mmap
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from .regions import Prepared

# What a reader made of one item, without its pixels: whether it has any, the reason why not, the note.
Reply = tuple[bool, str, Any]


@dataclass(frozen=True)
class Job:
    """What a process is to do until it gets another one.

    Attributes:
        reader: Picklable: an item -> what is prepared of it. Called in the process.
        rows: How many images the shared memory has room for.
        size: Height and width of each in pixels.
        most_pixels: Pillow's own limit, which is the asking process's to set.
        truncated: Whether Pillow reads files that are cut off, likewise.
    """

    reader: Callable[[Any], Prepared]
    rows: int
    size: int
    most_pixels: int | None
    truncated: bool

    @classmethod
    def of(cls, reader: Callable[[Any], Prepared], rows: int, size: int) -> Job:
        """Return a job whose images are decoded as this process would."""
        return cls(reader, rows, size, Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the shared memory."""
        return self.rows, self.size, self.size, 3

    def settle(self) -> None:
        """Have this process decode as the asking one would."""
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = self.most_pixels, self.truncated


def serve(connection: Connection, memory: int) -> None:
    """Answer until the other side is gone.

    Args:
        connection: Brings a `Job`, or (row, items): the items to read into the memory from that row on. Takes None
            once this process is ready, then a list of `Reply` for each list of items, or the exception that a reader
            raised.
        memory: File descriptor of the shared memory.
    """
    job, pixels = None, np.empty(0, np.uint8)
    try:
        connection.send(None)
        while True:
            message = connection.recv()
            if isinstance(message, Job):
                job = message
                job.settle()
                pixels = mapped(memory, job)
            elif job is not None:
                connection.send(_answer(job, pixels, *message))
    except (EOFError, ConnectionError):
        return


def mapped(memory: int, job: Job) -> np.ndarray:
    """Return the shared memory as (rows, size, size, 3) uint8."""
    count = int(np.prod(job.shape))
    return np.frombuffer(mmap.mmap(memory, count), np.uint8, count).reshape(job.shape)


def _answer(job: Job, pixels: np.ndarray, row: int, items: Sequence[Any]) -> list[Reply] | Exception:
    replies: list[Reply] = []
    for place, item in enumerate(items, start=row):
        try:
            prepared = job.reader(item)
        except Exception as error:
            # A text, since not every exception survives the way: some take more to be made than they keep.
            return RuntimeError("".join(traceback.format_exception(error)))
        if prepared.pixels is not None:
            pixels[place] = prepared.pixels
        replies.append((prepared.pixels is not None, prepared.reason, prepared.note))
    return replies
