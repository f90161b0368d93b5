"""The SHA-256 of files; those that are unchanged since they were last read, for vectors or for this, are not read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..progress import Progress, silent
from .cache_store import embeddings_root
from .file_index import FileIndex, stamp_of

_CHUNK = 1_000


def file_hashes(
    paths: Sequence[str], *, cache_root: Path | None = None, progress: Progress = silent
) -> list[str | None]:
    """Return the SHA-256 of each file as 64 hexadecimal digits, None where it can't be read.

    Args:
        paths: The files.
        cache_root: Folder of the index of files; None = that of the embeddings.
        progress: Told after each thousand files.
    """
    index = FileIndex((cache_root or embeddings_root()) / "files.sqlite")
    hashes: list[str | None] = []
    try:
        with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 2), thread_name_prefix="hash") as pool:
            for start in range(0, len(paths), _CHUNK):
                chunk = paths[start : start + _CHUNK]
                stamps = [stamp_of(path) for path in chunk]
                digests = index.lookup(chunk, stamps)
                unknown = [row for row, digest in enumerate(digests) if digest is None]
                read = pool.map(_digest, [chunk[row] for row in unknown])
                for row, digest in zip(unknown, read, strict=True):
                    digests[row], stamp = digest, stamps[row]
                    if digest is not None and stamp is not None:
                        index.remember(chunk[row], stamp, digest)
                index.flush()
                hashes += [None if digest is None else digest.hex() for digest in digests]
                progress("checking files", len(hashes), len(paths))
    finally:
        index.close()
    return hashes


def _digest(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError):
        return None
