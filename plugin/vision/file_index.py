"""Which content an unchanged file has, without reading it: size, times and inode as they were when it was read."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

_VERSION = 1
_AT_ONCE = 500  # SQLite's lowest limit of parameters in a statement is 999
# A file that is written again within its file system's tick keeps its times: what is younger than this when it is read
# is not trusted later (git calls such an index entry "racily clean").
_SETTLED_NS = 2_000_000_000


def stamp_of(path: str) -> bytes | None:
    """Return size, modification and change time, inode and device of a regular file; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return struct.pack(
        "<qqqQQ", found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev & (2**64 - 1)
    )


def is_settled(stamp: bytes, now: int) -> bool:
    """Tell whether a file had not been written for a while at a time in nanoseconds: its times tell changes then."""
    modified, changed = struct.unpack_from("<qq", stamp, 8)
    return max(modified, changed) < now - _SETTLED_NS


class FileIndex:
    """Path and stamp to SHA-256, in an SQLite file that processes may share. Paths themselves are not kept.

    What cannot be read or written costs only time: one warning, and every file counts as unknown.
    """

    def __init__(self, path: Path) -> None:
        self._connection: sqlite3.Connection | None = None
        self._pending: list[tuple[bytes, bytes, bytes]] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _opened(path)
        except (OSError, sqlite3.Error) as cause:
            self._give_up(path, cause)
        self._path = path

    def lookup(self, paths: Sequence[str], stamps: Sequence[bytes | None]) -> list[bytes | None]:
        """Return each file's SHA-256 digest, None where it is not known or has changed."""
        keys = [_key(path) for path in paths]
        known: dict[bytes, tuple[bytes, bytes]] = {}
        for start in range(0, len(keys), _AT_ONCE):
            known.update(self._select(keys[start : start + _AT_ONCE]))
        found = []
        for key, stamp in zip(keys, stamps, strict=True):
            entry = known.get(key)
            found.append(entry[1] if entry is not None and entry[0] == stamp else None)
        return found

    def remember(self, path: str, stamp: bytes, digest: bytes) -> None:
        """Note what a file with this stamp, taken before it was read, held; written with `flush`."""
        if is_settled(stamp, time.time_ns()):
            self._pending.append((_key(path), stamp, digest))

    def flush(self) -> None:
        """Write what was noted."""
        pending, self._pending = self._pending, []
        if self._connection is None or not pending:
            return
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", pending)
        except sqlite3.Error as cause:
            self._give_up(self._path, cause)

    def close(self) -> None:
        """Write what was noted and let go of the file."""
        self.flush()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _select(self, keys: list[bytes]) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
        if self._connection is None:
            return
        marks = ",".join("?" * len(keys))
        try:
            rows = self._connection.execute(f"SELECT path, stamp, digest FROM files WHERE path IN ({marks})", keys)
            yield from ((path, (stamp, digest)) for path, stamp, digest in rows)
        except sqlite3.Error as cause:
            self._give_up(self._path, cause)

    def _give_up(self, path: Path, cause: Exception) -> None:
        logger.warning("unchanged files are read again, as '%s' cannot be used: %s", path, cause)
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _opened(path: Path) -> sqlite3.Connection:
    """Open the index; one that is damaged or of another version starts anew."""
    for attempt in ("as it is", "anew"):
        connection = sqlite3.connect(path, timeout=20)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"version {version}")
            with connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, stamp BLOB, digest BLOB) WITHOUT ROWID"
                )
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            return connection
        except sqlite3.OperationalError:  # locked, read-only, no space: nothing that a new file would mend
            connection.close()
            raise
        except sqlite3.DatabaseError:
            connection.close()
            if attempt == "anew":
                raise
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
    raise AssertionError("unreachable")


def _key(path: str) -> bytes:
    return hashlib.blake2b(os.fsencode(os.path.abspath(path)), digest_size=16).digest()
