"""What a store asks of its database, and the one of a single server: an SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from ..plugin.errors import WinnowError

_PATIENCE_SECONDS = 10.0  # for another process that writes


class StoreError(WinnowError):
    """The store cannot be used, or was written by a later version."""


class StoreAwayError(StoreError):
    """The store cannot be used now, as its database is away or refuses everything; later it may be."""


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """Return the next row; None = no more."""

    def fetchall(self) -> Any:
        """Return the rows."""


class Transaction(Protocol):
    """Statements that take effect together or not at all, and that no other writer comes between."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Rows:
        """Execute a statement, with a `?` for each value."""


class Database(Protocol):
    """A database; safe to share among threads, and with other processes.

    Attributes:
        types: What stands for `{serial}`, `{integer}`, `{real}` and `{rowless}` in the statements that make tables.
    """

    types: Mapping[str, str]

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of one query.

        Raises:
            StoreError: The database cannot be used.
        """

    def writing(self) -> AbstractContextManager[Transaction]:
        """Return a transaction; what it wrote is on the disk when it has ended.

        Raises:
            StoreError: The database cannot be used; nothing was written then, unless the connection broke at the end.
        """

    def close(self) -> None:
        """Close it."""


class SqliteDatabase:
    """A file.

    Args:
        file: Its path; the folder is made where it is missing.
        schema: Statements that make the tables, with `{...}` for what is in `types`.
        version: Of the schema.

    Raises:
        StoreError: It cannot be written, or is of a later version.
    """

    types: Mapping[str, str] = {
        "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "integer": "INTEGER",
        "real": "REAL",
        "rowless": " WITHOUT ROWID",
    }

    def __init__(self, file: Path, schema: str, version: int) -> None:
        self._file = file
        self._lock = threading.Lock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                file, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        except (OSError, sqlite3.Error) as cause:
            raise StoreError(
                f"cannot use '{file.parent}' to remember annotations: {cause}. Choose another --state."
            ) from None
        with self.writing() as connection:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > version:
                raise StoreError(
                    f"'{file.parent}' was written by a later version of Winnow; upgrade, or choose another --state."
                )
            if found == 0:
                for statement in filter(str.strip, schema.format(**self.types).split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of one query."""
        with self._lock, self._told():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Return a transaction."""
        with self._lock, self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as cause:
            raise StoreError(f"cannot use '{self._file}': {cause}. Check the disk and who may write.") from None
