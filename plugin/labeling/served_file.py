"""The file `served.sqlite`: its tables, and how they are read and written."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import WinnowError

FILE = "served.sqlite"
SCHEMA_VERSION = 1
_PATIENCE_SECONDS = 5.0  # for another process that writes

_SCHEMA = """
CREATE TABLE changes (count INTEGER NOT NULL);
INSERT INTO changes VALUES (0);
CREATE TABLE mappings (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, version TEXT NOT NULL, about TEXT NOT NULL);
CREATE TABLE served (
    id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL, task INTEGER NOT NULL, control TEXT NOT NULL,
    mapping INTEGER NOT NULL, shown INTEGER NOT NULL, first_at REAL NOT NULL, last_at REAL NOT NULL,
    chosen TEXT NOT NULL, probabilities BLOB NOT NULL, vector BLOB);
CREATE INDEX served_of_task ON served (project, task, control, first_at);
CREATE INDEX served_by_age ON served (last_at, shown);
CREATE TABLE answers (
    annotation INTEGER PRIMARY KEY, project INTEGER, task INTEGER, updated_at TEXT NOT NULL, received_at REAL NOT NULL,
    version TEXT, state INTEGER NOT NULL, content TEXT NOT NULL);
CREATE INDEX answers_of_task ON answers (project, task);
CREATE INDEX answers_by_age ON answers (received_at);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, project INTEGER, version TEXT NOT NULL, cause TEXT NOT NULL,
    decision TEXT NOT NULL, reason TEXT NOT NULL, evidence INTEGER NOT NULL, dry_run INTEGER NOT NULL);
"""


class ServedStoreError(WinnowError):
    """The store of served predictions cannot be used, or was written by a later version."""


class ServedFile:
    """Reads and writes the file; safe to share among threads.

    Args:
        path: Of the file, which is made where it is missing, unless it is only read.
        read_only: Look at what another process writes.

    Raises:
        ServedStoreError: It can't be used, or is of a later version; or there is none to read.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = _open(path, read_only=read_only)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def changes(self) -> int:
        """Return a number that grows with each change, in whichever process."""
        return int(self._read("SELECT count FROM changes")[0][0])

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._told():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Let several queries see one state of the file."""
        with self._lock, self._told():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("COMMIT")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("UPDATE changes SET count = count + 1")
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has ended it already
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as cause:
            raise ServedStoreError(f"cannot use '{self.path}': {cause}. Check the disk and who may write.") from None


def _open(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if read_only and not path.exists():
        raise ServedStoreError(
            f"nothing is remembered in '{path.parent}'. Start the backend with WINNOW_REMEMBER_DAYS=30 first."
        )
    address = f"{path.absolute().as_uri()}?mode=ro" if read_only else str(path)
    connection = None
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        connection = sqlite3.connect(
            address, uri=read_only, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
        )
        if not read_only:
            # a killed process loses nothing; a machine that loses its power perhaps the last moments, which is no harm
            connection.execute("PRAGMA synchronous = NORMAL")
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                _make(connection)
        found = connection.execute("PRAGMA user_version").fetchone()[0]
    except (OSError, sqlite3.Error) as cause:
        if connection is not None:
            connection.close()
        raise ServedStoreError(
            f"cannot use '{path}': {cause}. Check the disk and who may write, or delete it."
        ) from None
    if found != SCHEMA_VERSION:
        connection.close()
        raise ServedStoreError(
            f"'{path}' was written by a later version of Winnow. Upgrade Winnow, or move the file away."
            if found > SCHEMA_VERSION
            else f"'{path}' is only being made, or is none of Winnow's. Try again, or move the file away."
        )
    return connection


def _make(connection: sqlite3.Connection) -> None:
    # these two only before the first table; pages of which a row with its vector fills a part, not one and a half
    connection.execute("PRAGMA page_size = 16384")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:  # nobody was quicker
        for statement in filter(str.strip, _SCHEMA.split(";")):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
