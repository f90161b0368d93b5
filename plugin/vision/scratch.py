"""Arrays in a file that nobody else sees: for what is larger than the memory, and is needed once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from .cache_store import embeddings_root

_AT_ONCE = 65_536


def scratch_array(shape: tuple[int, int]) -> np.ndarray:
    """Return a float32 array of zeros in a file beside the cache, which vanishes with the array, or the process."""
    if 0 in shape:
        return np.zeros(shape, np.float32)
    folder: Path = embeddings_root()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, np.float32, "w+", shape=shape)


def rows_of(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return these (m,) rows of a (n, d) float32 array; those of one in a file in a file again."""
    if not isinstance(array, np.memmap):
        return array[rows]
    taken = scratch_array((len(rows), array.shape[1]))
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        taken[part] = array[rows[part]]
    return taken
