"""The cache as a whole: how large it is, which parts are used least, what may go."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..home import winnow_home
from .shards import SUFFIX

LIMIT_VARIABLE = "WINNOW_CACHE_LIMIT_GB"
_DEFAULT_LIMIT_GB = 20.0
_ABANDONED_SECONDS = 3600.0  # a temporary file this old belongs to a writer that was killed
_IN_USE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class CachePart:
    """One space of embeddings, or one of the exported networks.

    Attributes:
        name: Architecture, hash of the weights, hash of the preprocessing.
        kind: "embeddings", "network" or "pairs".
        bytes: Size on disk.
        files: Number of files.
        used: When it was last used, in seconds since 1970.
    """

    name: str
    kind: str
    bytes: int
    files: int
    used: float


def embeddings_root() -> Path:
    """Return the folder of all spaces."""
    return winnow_home() / "cache" / "embeddings"


def networks_root() -> Path:
    """Return the folder of exported networks."""
    return winnow_home() / "cache" / "onnx"


def pairs_root() -> Path:
    """Return the folder of what searches for near-duplicates found."""
    return winnow_home() / "cache" / "pairs"


def cache_limit() -> int:
    """Return the most bytes that the cache may take: `WINNOW_CACHE_LIMIT_GB`, or 20 GB.

    Raises:
        DataError: The variable is not a number of at least 0.
    """
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        limit = float(text) if text else _DEFAULT_LIMIT_GB
    except ValueError:
        limit = -1.0
    if not limit >= 0:
        raise DataError(f"{LIMIT_VARIABLE} must be a number of gigabytes, at least 0; it is '{text}'. Correct it.")
    return int(limit * 1e9)


def cache_parts() -> list[CachePart]:
    """Return what the cache holds, the last used first."""
    parts = []
    for folder in _folders(embeddings_root()):
        parts.append(_part(folder.name, "embeddings", _files(folder)))
    parts += [_part(path.stem, "network", [path]) for path in _files(networks_root())]
    parts += [_part(path.stem, "pairs", [path]) for path in _files(pairs_root())]
    return sorted((part for part in parts if part.files), key=lambda part: (-part.used, part.name))


def prune_cache(limit: int, *, keep_in_use: bool = False) -> int:
    """Remove the files that were used least recently until the rest takes at most `limit` bytes.

    Args:
        limit: In bytes.
        keep_in_use: Leave what was used within the last hour, by this job or another one.

    Returns:
        How many bytes were freed. Files that abandoned writers left go in any case.
    """
    now = time.time()
    entries = []
    freed = 0
    for path in _all_files():
        with contextlib.suppress(OSError):  # another process may be pruning too
            found = path.stat()
            if path.suffix == ".tmp":
                freed += _removed(path, found.st_size) if now - found.st_mtime > _ABANDONED_SECONDS else 0
            else:
                entries.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in entries)
    for used, size, path in sorted(entries):
        if total <= limit or (keep_in_use and now - used < _IN_USE_SECONDS):
            break
        gone = _removed(path, size)
        freed += gone
        total -= gone
    for folder in _folders(embeddings_root()):
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()
    return freed


def clear_cache() -> int:
    """Remove everything, the index of files included; return how many bytes were freed."""
    freed = sum(path.stat().st_size for path in _all_files())
    shutil.rmtree(embeddings_root(), ignore_errors=True)
    shutil.rmtree(networks_root(), ignore_errors=True)
    shutil.rmtree(pairs_root(), ignore_errors=True)
    return freed


def _part(name: str, kind: str, paths: list[Path]) -> CachePart:
    stats = []
    for path in paths:
        with contextlib.suppress(OSError):
            stats.append(path.stat())
    used = max((each.st_mtime for each in stats), default=0.0)
    return CachePart(name, kind, sum(each.st_size for each in stats), len(stats), used)


def _all_files() -> list[Path]:
    spaces = [path for folder in _folders(embeddings_root()) for path in _files(folder)]
    return spaces + _files(networks_root()) + _files(pairs_root())


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _files(folder: Path) -> list[Path]:
    """Return the files that are the cache's: shards (those of older versions too), networks, pairs, temporary ones."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in (SUFFIX, ".npy", ".npz", ".onnx", ".tmp"))


def _removed(path: Path, size: int) -> int:
    try:
        path.unlink()
    except OSError:
        return 0
    return size
