"""Boxes in images, in FiftyOne's format: left, top, width and height as shares of the image's width and height."""

from __future__ import annotations

import numpy as np


def box_faults(boxes: np.ndarray) -> np.ndarray:
    """Return (n,) object: why each of (n, 4) boxes shows nothing of its image, "" where it does show some of it."""
    left, top, width, height = boxes.T
    faults = np.full(len(boxes), "", dtype=object)
    faults[(left >= 1) | (top >= 1) | (left + width <= 0) | (top + height <= 0)] = "the box lies outside the image"
    faults[(width <= 0) | (height <= 0)] = "the box has no area"
    faults[~np.isfinite(boxes).all(axis=1)] = "the box has no four finite numbers"
    return faults


def crop(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the (h, w, 3) pixels of the image inside a box without fault, at least one.

    Edges are rounded to whole pixels; what lies outside the image is left out.
    """
    left, right = _edges(box[0], box[2], image.shape[1])
    top, bottom = _edges(box[1], box[3], image.shape[0])
    return image[top:bottom, left:right]


def _edges(start: float, length: float, size: int) -> tuple[int, int]:
    first = min(max(round(start * size), 0), size - 1)
    return first, max(first + 1, min(round((start + length) * size), size))
