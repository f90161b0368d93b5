"""Reads the images, or boxes in them, that a network learns from or judges."""

from __future__ import annotations

import numpy as np

from ..errors import UnreadableImageError
from ..vision.boxes import box_faults, crop
from ..vision.preprocessing import Preprocessing
from ..vision.readers import Apart
from ..vision.regions import LastFile, Prepared, Region


class ImageReader:
    """Reads a region of a file; in threads or in processes, and never raises for a bad image.

    Boxes of one file that follow each other have it read about once.

    Args:
        preprocessing: How a file becomes pixels.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
        self._whole = preprocessing.without_draft()  # a reduced image would be too small for its boxes
        self._last: LastFile[np.ndarray] = LastFile()

    def __call__(self, region: Region) -> Prepared:
        try:
            if region.box is None:
                return Prepared(self._preprocessing(region.path))
            if fault := box_faults(region.box[None])[0]:
                return Prepared(reason=fault)
            image = self._last.get(region.path, self._whole.read)
            return Prepared(self._preprocessing.input.fit(crop(image, region.box)))
        except UnreadableImageError as error:
            return Prepared(reason=error.reason)

    @property
    def apart(self) -> Apart:
        """How processes do the same."""
        return Apart(self, self._preprocessing.input.size)
