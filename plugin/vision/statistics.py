"""What can be measured of an image without knowing what it shows: light, sharpness, size and shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import UnreadableImageError
from .ahead import work_ahead
from .boxes import box_faults, crop
from .preprocessing import Preprocessing
from .quality import sharpness_of

STATISTICS = ("brightness", "contrast", "sharpness", "width", "height", "aspect ratio")


def image_statistics(
    paths: Sequence[str] | np.ndarray, preprocessing: Preprocessing, boxes: np.ndarray | None = None
) -> np.ndarray:
    """Return (n, s) float64, a column for each of `STATISTICS`; a row of NaN = unreadable, or a box of nothing.

    Brightness is the mean of the grey values and contrast their standard deviation, both with white as 1; sharpness is
    that of `quality.sharpness`, in squared grey values; width and height are in pixels, the image lying upright;
    the aspect ratio is width by height.

    Args:
        paths: n files.
        preprocessing: How a file is decoded; a draft of it would be too small and too sharp, so whole images are read.
        boxes: (n, 4) float64: what to look at in each file, see `vision.boxes`; None = the whole image.
    """
    whole = preprocessing.without_draft()
    nothing = (float("nan"),) * len(STATISTICS)

    def measure(task: tuple[str, np.ndarray | None]) -> tuple[float, ...]:
        path, box = task
        if box is not None and box_faults(box[None])[0]:
            return nothing
        try:
            image = whole.read(path)
        except UnreadableImageError:
            return nothing
        return _measured(image if box is None else crop(image, box))

    rows = list(work_ahead(measure, _tasks(paths, boxes), window=16, chunk=1))
    return np.array(rows, np.float64).reshape(len(rows), len(STATISTICS))


def _tasks(paths: Sequence[str] | np.ndarray, boxes: np.ndarray | None) -> Iterator[tuple[str, np.ndarray | None]]:
    for row, path in enumerate(paths):
        yield str(path), None if boxes is None else boxes[row]


def _measured(image: np.ndarray) -> tuple[float, ...]:
    height, width = image.shape[:2]
    grey = image.mean(axis=2, dtype=np.float32)
    brightness, contrast = float(grey.mean(dtype=np.float64)), float(grey.std(dtype=np.float64))
    return brightness / 255, contrast / 255, sharpness_of(image), float(width), float(height), width / height
