"""One shard: an immutable safetensors file of keys, vectors and thumbnails that is mapped, not read.

Safetensors because its reader checks the header against the file's size and can run nothing; the arrays are mapped by
their offsets, so that a lookup touches only the pages of the rows it wants.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .thumbnails import SIDE

SUFFIX = ".safetensors"
KEY_BYTES = 32
_NUMPY_TYPES = {"U8": "u1", "U32": "<u4", "F16": "<f2", "F32": "<f4"}


class DamagedShardError(Exception):
    """A shard that is cut off, foreign, or of another shape than its space."""


@dataclass(frozen=True, eq=False)
class Shard:
    """The m rows of one file, mapped.

    Attributes:
        path: The file.
        keys: (m, 32) uint8. SHA-256 of the image files.
        checks: (m,) uint32. CRC-32 of each row's vector and thumbnail.
        vectors: (m, d) float32 or float16.
        thumbnails: (m, 32, 32) uint8; (m, 0, 0) in a space that keeps none.
    """

    path: Path
    keys: np.ndarray
    checks: np.ndarray
    vectors: np.ndarray
    thumbnails: np.ndarray

    def is_whole(self, row: int) -> bool:
        """Tell whether a row is what was written."""
        return checksum(self.vectors[row], self.thumbnails[row]) == self.checks[row]


def checksum(vector: np.ndarray, thumbnail: np.ndarray) -> int:
    """Return the CRC-32 of a row."""
    return zlib.crc32(np.ascontiguousarray(thumbnail).data, zlib.crc32(np.ascontiguousarray(vector).data))


def write_shard(folder: Path, keys: np.ndarray, vectors: np.ndarray, thumbnails: np.ndarray) -> Path:
    """Write a shard, whole or not at all, and return its path; names sort by time.

    Raises:
        OSError: The folder cannot be written or the disk is full; nothing is left behind.
    """
    checks = np.array([checksum(*row) for row in zip(vectors, thumbnails, strict=True)], np.uint32)
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
    temporary, path = folder / f"{name}.tmp", folder / f"{name}{SUFFIX}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        save_file({"keys": keys, "checks": checks, "vectors": vectors, "thumbnails": thumbnails}, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as cause:
        with contextlib.suppress(OSError):  # on a read-only disk even removing nothing is an error
            temporary.unlink()
        raise OSError(str(cause)) from cause
    return path


def open_shard(path: Path, width: int, dtype: str, *, thumbnails: bool = True) -> Shard:
    """Map a shard.

    Args:
        path: The file.
        width: d, the length that its vectors must have.
        dtype: Their type, "float32" or "float16".
        thumbnails: Whether it must hold thumbnails, or none.

    Raises:
        DamagedShardError: It is not a whole shard of this shape.
    """
    try:
        with safe_open(path, framework="numpy") as checked:  # the header against the file's size
            names = set(checked.keys())
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        arrays = {name: _mapped(path, 8 + length, header[name]) for name in names}
        shard = Shard(path, **arrays)
        rows = len(shard.keys)
        shapes = (shard.keys.shape, shard.checks.shape, shard.vectors.shape, shard.thumbnails.shape)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as cause:
        raise DamagedShardError(f"{type(cause).__name__}: {cause}") from cause
    side = SIDE if thumbnails else 0
    if shapes != ((rows, KEY_BYTES), (rows,), (rows, width), (rows, side, side)) or shard.vectors.dtype != dtype:
        raise DamagedShardError(f"another version: shapes {shapes}, {shard.vectors.dtype}")
    return shard


def width_of(folder: Path) -> int | None:
    """Return the length of the vectors in a folder of shards, None where it has no whole shard."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with contextlib.suppress(OSError, SafetensorError), safe_open(path, framework="numpy") as shard:
            return int(shard.get_slice("vectors").get_shape()[1])
    return None


def _mapped(path: Path, start: int, entry: dict) -> np.ndarray:
    first, last = entry["data_offsets"]
    dtype, shape = np.dtype(_NUMPY_TYPES[entry["dtype"]]), tuple(entry["shape"])
    if first == last:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start + first, shape)
