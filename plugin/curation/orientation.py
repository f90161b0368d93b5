"""The eight ways in which a square picture can be mirrored and turned by quarters.

A number from 0 to 7 names one: bit 2 swaps rows and columns, then bit 1 reverses the rows, then bit 0 the columns.
"""

from __future__ import annotations

import numpy as np

_AT_ONCE = 8_192  # images: a million of them as floating-point numbers take 4 GB
UPRIGHT = 0
ORIENTATIONS = range(8)


def orient(images: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Return (m, s, s) images, each one in its (m,) orientation."""
    turned = np.empty_like(images)
    for number in np.unique(orientation):
        rows = orientation == number
        turned[rows] = oriented(images[rows], int(number))
    return turned


def oriented(images: np.ndarray, orientation: int) -> np.ndarray:
    """Return a view of (m, s, s) images, all in one orientation."""
    if orientation & 4:
        images = images.transpose(0, 2, 1)
    return images[:, :: -1 if orientation & 2 else 1, :: -1 if orientation & 1 else 1]


def canonical_orientation(images: np.ndarray) -> np.ndarray:
    """Return (m,) the orientation in which (m, s, s) images get brighter to the right, and less so downwards.

    An image and its mirrored or turned copy get the same picture by it, unless they are nearly symmetric.
    """
    along = np.linspace(-1, 1, images.shape[1], dtype=np.float32)
    down, right = np.empty((2, len(images)), np.float32)
    for start in range(0, len(images), _AT_ONCE):
        part = images[start : start + _AT_ONCE].astype(np.float32)
        down[start : start + len(part)] = part.sum(axis=2) @ along
        right[start : start + len(part)] = part.sum(axis=1) @ along
    swap = np.abs(down) > np.abs(right)
    down, right = np.where(swap, right, down), np.where(swap, down, right)
    return 4 * swap + 2 * (down < 0) + 1 * (right < 0)
