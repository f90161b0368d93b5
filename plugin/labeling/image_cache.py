"""Images that were fetched over HTTP, kept on disk for the next prediction and for training."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path
from tempfile import NamedTemporaryFile

# Files are made room for down to this share, so that not each new image has to look through the folder.
_KEPT_SHARE = 0.9


class ImageCache:
    """A folder of at most so many bytes; what was used longest ago goes first. Safe to share among threads.

    On disk, as it should outlive the server and be of use to the processes that train, which read each image many times
    over days. Processes may share a folder: each file appears whole (it is renamed into place) and one that another
    process removed is merely absent. Each process makes room by what it wrote and what it saw, so that together they
    may exceed the limit by a tenth for each process.

    Args:
        folder: Made when it is needed, readable by the owner alone.
        max_bytes: Of all files together. A larger image is not kept.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._room = 0  # bytes that may be written before the folder is looked through

    def get(self, key: str, max_age: float | None = None) -> bytes | None:
        """Return what was kept under a key, None without it.

        Args:
            key: Any text; it is hashed, and found nowhere in the folder.
            max_age: Seconds; what was fetched longer ago is fetched again. None = never.
        """
        path = self._path(key)
        try:
            written = path.stat().st_mtime
            if max_age is not None and time.time() - written > max_age:
                return None
            data = path.read_bytes()
            os.utime(path, (time.time(), written))  # access times are often switched off
        except OSError:
            return None
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep an image; a disk that is full, or can't be written to, keeps none, and costs nobody a prediction."""
        if len(data) > self._max_bytes:
            return
        try:
            self._make_room(len(data))
            path = self._path(key)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # not deleted by itself: it is renamed, or removed below
            with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                try:
                    file.write(data)
                    file.flush()
                    os.replace(file.name, path)
                except OSError:
                    os.unlink(file.name)
                    raise
        except OSError:
            return

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / name[:2] / name

    def _make_room(self, size: int) -> None:
        with self._lock:
            self._room -= size
            if self._room >= 0:
                return
            files = sorted(self._files())
            total = size + sum(file_size for _, file_size, _ in files)
            if total > self._max_bytes:
                for _, file_size, path in files:
                    path.unlink(missing_ok=True)
                    total -= file_size
                    if total <= self._max_bytes * _KEPT_SHARE:
                        break
            # another process may fill the folder too, so it is looked at again after a tenth at the latest
            self._room = min(self._max_bytes - total, int(self._max_bytes * (1 - _KEPT_SHARE)))

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return (last use, size, path) of each file, those that a killed process left half written included."""
        found = []
        for path in self._folder.glob("??/*"):
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((status.st_atime, status.st_size, path))
        return found
