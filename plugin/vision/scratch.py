"""Arrays in a file that nobody else sees: for what would fill the memory, and is needed once."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from ..errors import DataError
from .cache_store import embeddings_root

_AT_ONCE = 65_536
_MUCH = 2_000_000_000  # bytes
_SPARE = 3  # times as much has to be free: a job may take some of the rows into a second file, and the cache grows too


def belongs_on_disk(shape: tuple[int, int]) -> bool:
    """Tell whether a float32 array is large enough to be better kept in a file, and the disk has room for it."""
    size = 4 * shape[0] * shape[1]
    return size > _MUCH and shutil.disk_usage(_folder()).free > _SPARE * size


def scratch_array(shape: tuple[int, int]) -> np.ndarray:
    """Return a float32 array of zeros in a file beside the cache, which vanishes with the array, or the process.

    Raises:
        DataError: The disk has no room for it.
    """
    if 0 in shape:
        return np.zeros(shape, np.float32)
    folder, size = _folder(), 4 * shape[0] * shape[1]
    with tempfile.TemporaryFile(dir=folder) as file:
        try:  # a disk that is full while a mapped page is written kills the process
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, np.float32, "w+", shape=shape)
        except OSError as cause:
            raise DataError(
                f"'{folder}' has no room for {size / 1e9:.1f} GB of vectors ({cause.strerror}). Free some, or let "
                "WINNOW_HOME name a folder on a larger disk."
            ) from cause


def _folder() -> Path:
    folder = embeddings_root()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def rows_of(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return these (m,) rows of a (n, d) float32 array; those of one in a file in a file again."""
    if not isinstance(array, np.memmap):
        return array[rows]
    taken = scratch_array((len(rows), array.shape[1]))
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        taken[part] = array[rows[part]]
    return taken
