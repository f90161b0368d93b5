"""One server that grows into several replicas: what it remembers in its file goes into their database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from filelock import FileLock, Timeout

from .database import StoreError, Transaction

LOCK = "server.lock"
_ROWS_AT_ONCE = 500
_TABLES: Mapping[str, tuple[str, ...]] = {
    "events": ("id", "key", "action", "project", "annotations", "received_at", "job"),
    "jobs": ("id", "project", "state", "started_at", "ended_at", "detail", "version", "cancel"),
    "versions": ("version", "folder", "made_at", "report"),
    "promotions": ("id", "version", "who", "why", "at"),
    "held_out": ("project", "unit"),
}


def adopt(file: Path, transaction: Transaction) -> None:
    """Copy all that a file holds into tables of the same form that are empty; the file stays as it is.

    Args:
        file: Of a `LearningStore`, in its state folder.
        transaction: Of a PostgreSQL database.

    Raises:
        StoreError: The file can't be read, or a server uses it.
    """
    lock = FileLock(file.parent / LOCK)
    try:
        with lock.acquire(blocking=False), closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as old:
            for table, columns in _TABLES.items():
                _copy(old, transaction, table, columns)
    except Timeout:
        raise StoreError(
            f"another server learns in '{file.parent}' without the database. Stop it; what it remembers is taken over."
        ) from None
    except sqlite3.Error as cause:
        raise StoreError(f"cannot read '{file}': {cause}. Check who may read it, or choose another --state.") from None


def _copy(old: sqlite3.Connection, transaction: Transaction, table: str, columns: tuple[str, ...]) -> None:
    names, row = ", ".join(columns), f"({', '.join('?' * len(columns))})"
    cursor = old.execute(f"SELECT {names} FROM {table}")
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        transaction.execute(
            f"INSERT INTO {table} ({names}) VALUES {', '.join([row] * len(rows))}",
            [value for each in rows for value in each],
        )
    if columns[0] == "id":  # new rows are numbered from there on
        transaction.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), COALESCE(MAX(id), 0) + 1, false) FROM {table}"
        )
