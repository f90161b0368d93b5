"""Reads the images, or boxes in them, that a network learns from or judges."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from ..errors import UnreadableImageError
from ..vision.boxes import box_faults, crop
from ..vision.pipeline import Prepared
from ..vision.preprocessing import Preprocessing


class ImageReader:
    """Reads a row's image, or the box in it; called in threads, and never raises for a bad image.

    Args:
        preprocessing: How a file becomes pixels.
        paths: n files.
        boxes: (n, 4) float64: what to look at in each file, see `vision.boxes`; None = the whole image. A file whose
            boxes follow each other is read about once.
    """

    def __init__(
        self, preprocessing: Preprocessing, paths: Sequence[str] | np.ndarray, boxes: np.ndarray | None
    ) -> None:
        # A reduced image would be too small for its boxes.
        self._preprocessing = preprocessing if boxes is None else preprocessing.without_draft()
        self._paths, self._boxes = paths, boxes
        self._faults = None if boxes is None else box_faults(boxes)
        self._in_hand = threading.local()

    def __call__(self, row: int) -> Prepared:
        try:
            if self._boxes is None or self._faults is None:
                return Prepared(self._preprocessing(str(self._paths[row])))
            if self._faults[row]:
                return Prepared(reason=self._faults[row])
            return Prepared(self._preprocessing.input.fit(crop(self._image(str(self._paths[row])), self._boxes[row])))
        except UnreadableImageError as error:
            return Prepared(reason=error.reason)

    def _image(self, path: str) -> np.ndarray:
        """Return the pixels that the thread has in hand where they are this file's: the next box may lie in it too."""
        if getattr(self._in_hand, "path", None) != path:
            self._in_hand.path = self._in_hand.pixels = None  # two large images at a time would be one too many
            self._in_hand.pixels = self._preprocessing.read(path)
            self._in_hand.path = path
        return self._in_hand.pixels
