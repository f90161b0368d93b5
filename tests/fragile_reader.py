"""A reader whose process may end in the middle of an image. Its own module, as that process imports it too."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import NamedTuple

import numpy as np

from winnow.plugin.vision.regions import Prepared

SIZE = 8


class Item(NamedTuple):
    """One image: its number, and what is special about it."""

    number: int
    does: str = ""


class FragileReader:
    """Gives pixels of the item's number, unless the item does something else.

    Args:
        folder: Where it is remembered what happened once.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, item: Item) -> Prepared:
        if item.does == "is bad":
            return Prepared(reason=f"{item.number} is bad", note=item.number)
        if item.does == "raises":
            raise ValueError(f"{item.number} raises")
        if item.does == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if item.does == "is killed once":
            mark = os.path.join(self._folder, str(item.number))
            if not os.path.exists(mark):
                open(mark, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
        if item.does == "crashes":
            ctypes.string_at(0)
        if item.does == "looks around":
            import winnow.plugin.training.reading
            import winnow.plugin.vision.content_reader

            packages = {name.partition(".")[0] for name in sys.modules}
            return Prepared(note=(os.getpid(), winnow.__file__, packages))
        return Prepared(np.full((SIZE, SIZE, 3), item.number % 256, np.uint8), note=item.number)
