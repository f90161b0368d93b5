"""What learning from annotations must not forget: events, jobs, versions and promotions, in one SQLite file.

Written through to the disk before a call returns, so that what was acknowledged survives `kill -9`. The server, the
job's process and `winnow labelstudio promote` open the same file.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..plugin.errors import WinnowError

FILE = "learning.sqlite"
START = "START_TRAINING"
_SCHEMA_VERSION = 1
_PATIENCE_SECONDS = 10.0  # for another process that writes
_USED_EVENTS_KEPT = 10_000  # enough to recognise what Label Studio sends twice

_SCHEMA = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, action TEXT NOT NULL, project INTEGER NOT NULL,
    annotations INTEGER NOT NULL, received_at REAL NOT NULL, job INTEGER);
CREATE INDEX waiting ON events (project) WHERE job IS NULL;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL, state TEXT NOT NULL, started_at REAL NOT NULL,
    ended_at REAL, detail TEXT NOT NULL DEFAULT '', version TEXT, cancel INTEGER NOT NULL DEFAULT 0);
CREATE TABLE versions (
    version TEXT PRIMARY KEY, folder TEXT NOT NULL, made_at REAL NOT NULL, report TEXT);
CREATE TABLE promotions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
    at REAL NOT NULL);
CREATE TABLE held_out (project INTEGER NOT NULL, unit TEXT NOT NULL, PRIMARY KEY (project, unit)) WITHOUT ROWID;
"""


class StoreError(WinnowError):
    """The state folder cannot be written, or was written by a later version."""


@dataclass(frozen=True)
class Event:
    """Something that happened in Label Studio.

    Attributes:
        key: Two events of one key are one.
        action: Label Studio's name of it.
        project: Number of the project.
        annotations: How many annotations it brings, changes or takes away; skipped ones don't count.
    """

    key: str
    action: str
    project: int
    annotations: int


@dataclass(frozen=True)
class Waiting:
    """The events of a project that no job has taken up yet.

    Attributes:
        project: Number of the project.
        annotations: Sum of the events'.
        first_at: Time of the first, in seconds since 1970.
        last_at: Time of the last.
        asked_for: Whether somebody pressed Start Training.
    """

    project: int
    annotations: int
    first_at: float
    last_at: float
    asked_for: bool


@dataclass(frozen=True)
class Job:
    """A training job.

    Attributes:
        id: Its number.
        project: Whose annotations it reads.
        state: "running", "done", "refused" (too little to learn from), "failed", "cancelled", "unreachable" (Label
            Studio was gone) or "interrupted" (it, or the server, was killed).
        started_at: In seconds since 1970.
        ended_at: The same; None while it runs.
        detail: Why it ended as it did, for a person.
        version: What it made.
        cancel: Above 0 where somebody asked for it to be cancelled.
    """

    id: int
    project: int
    state: str
    started_at: float
    ended_at: float | None
    detail: str
    version: str | None
    cancel: int


@dataclass(frozen=True)
class Version:
    """A classifier that can be served.

    Attributes:
        version: The classifier's own name of it.
        folder: Where it lies.
        made_at: In seconds since 1970.
        report: What its job found out; None for a classifier that was not made here.
    """

    version: str
    folder: Path
    made_at: float
    report: dict[str, Any] | None


@dataclass(frozen=True)
class Promotion:
    """Somebody's decision to serve a version."""

    id: int
    version: str
    who: str
    why: str
    at: float


class LearningStore:
    """The store in a state folder; safe to share among threads and processes.

    Args:
        state: The folder, made where it is missing.

    Raises:
        StoreError: It cannot be written, or is of a later version.
    """

    def __init__(self, state: Path) -> None:
        self.state = state.absolute()
        self._lock = threading.Lock()
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.state / FILE, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        except (OSError, sqlite3.Error) as cause:
            raise StoreError(
                f"cannot use '{state}' to remember annotations: {cause}. Choose another --state."
            ) from None
        with self._writing() as connection:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > _SCHEMA_VERSION:
                raise StoreError(
                    f"'{state}' was written by a later version of Winnow; upgrade, or choose another --state."
                )
            if found == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def add_event(self, event: Event) -> bool:
        """Keep an event; return False where it is known already. It is on the disk when this returns."""
        with self._writing() as connection:
            if (
                event.action == START
                and connection.execute(
                    "SELECT 1 FROM events WHERE job IS NULL AND project = ? AND action = ?", (event.project, START)
                ).fetchone()
            ):
                return False
            added = connection.execute(
                "INSERT OR IGNORE INTO events (key, action, project, annotations, received_at) VALUES (?, ?, ?, ?, ?)",
                (event.key, event.action, event.project, event.annotations, time.time()),
            )
            return added.rowcount == 1

    def waiting(self) -> list[Waiting]:
        """Return what waits, the project that waits longest first."""
        rows = self._read(
            "SELECT project, SUM(annotations), MIN(received_at), MAX(received_at), MAX(action = ?) FROM events "
            "WHERE job IS NULL GROUP BY project ORDER BY MIN(id)",
            (START,),
        )
        return [
            Waiting(project, annotations, first, last, bool(asked)) for project, annotations, first, last, asked in rows
        ]

    def projects(self) -> list[int]:
        """Return the projects that events came from."""
        return [row[0] for row in self._read("SELECT project FROM events UNION SELECT project FROM jobs")]

    def start_job(self, project: int) -> Job:
        """Note a new job, which takes up all events of the project that wait."""
        with self._writing() as connection:
            number = connection.execute(
                "INSERT INTO jobs (project, state, started_at) VALUES (?, 'running', ?)", (project, time.time())
            ).lastrowid
            connection.execute("UPDATE events SET job = ? WHERE project = ? AND job IS NULL", (number, project))
        return self.jobs(limit=1)[0]

    def end_job(
        self, job: int, state: str, detail: str = "", version: str | None = None, *, again: bool = False
    ) -> None:
        """Note how a job ended; `again`: its events wait for the next one. Forgets used events that are old."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE jobs SET state = ?, detail = ?, version = ?, ended_at = ? WHERE id = ?",
                (state, detail, version, time.time(), job),
            )
            if again:
                connection.execute("UPDATE events SET job = NULL WHERE job = ?", (job,))
            connection.execute(
                "DELETE FROM events WHERE job IS NOT NULL AND id NOT IN "
                "(SELECT id FROM events WHERE job IS NOT NULL ORDER BY id DESC LIMIT ?)",
                (_USED_EVENTS_KEPT,),
            )

    def jobs(self, limit: int = 100) -> list[Job]:
        """Return the last jobs, the newest first."""
        rows = self._read(
            "SELECT id, project, state, started_at, ended_at, detail, version, cancel FROM jobs "
            "ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [Job(*row) for row in rows]

    def ask_to_cancel(self) -> int | None:
        """Ask for the running job to be cancelled; return its number, None where none runs."""
        with self._writing() as connection:
            row = connection.execute("SELECT id FROM jobs WHERE state = 'running' ORDER BY id DESC").fetchone()
            if row is not None:
                connection.execute("UPDATE jobs SET cancel = 1 WHERE id = ?", row)
        return None if row is None else int(row[0])

    def add_version(self, version: str, folder: Path, report: dict[str, Any] | None = None) -> None:
        """Note a version; its folder may have moved since it was noted first."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO versions VALUES (?, ?, ?, ?) ON CONFLICT (version) DO UPDATE SET "
                "folder = excluded.folder, report = COALESCE(excluded.report, report)",
                (version, self._relative(folder), time.time(), None if report is None else json.dumps(report)),
            )

    def versions(self) -> list[Version]:
        """Return all versions, the newest first."""
        rows = self._read("SELECT version, folder, made_at, report FROM versions ORDER BY made_at DESC, version")
        return [Version(row[0], self.state / row[1], row[2], json.loads(row[3]) if row[3] else None) for row in rows]

    def forget_version(self, version: str) -> None:
        """Take a version out of the list."""
        with self._writing() as connection:
            connection.execute("DELETE FROM versions WHERE version = ?", (version,))

    def promote(self, version: str, who: str, why: str) -> Promotion:
        """Note that a version is to be served from now on."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO promotions (version, who, why, at) VALUES (?, ?, ?, ?)", (version, who, why, time.time())
            )
        return self.promotions(limit=1)[0]

    def promotions(self, limit: int = 100) -> list[Promotion]:
        """Return the last promotions, the newest first."""
        rows = self._read("SELECT id, version, who, why, at FROM promotions ORDER BY id DESC LIMIT ?", (limit,))
        return [Promotion(*row) for row in rows]

    def held_out(self, project: int) -> set[str]:
        """Return the units of a project that no job may train on."""
        return {row[0] for row in self._read("SELECT unit FROM held_out WHERE project = ?", (project,))}

    def hold_out(self, project: int, units: Iterable[str]) -> None:
        """Keep units of a project out of training for good."""
        with self._writing() as connection:
            connection.executemany("INSERT OR IGNORE INTO held_out VALUES (?, ?)", [(project, unit) for unit in units])

    def _relative(self, folder: Path) -> str:
        """Return a folder as it is kept: relative to the state folder below it, so that the whole can be moved."""
        absolute = folder.absolute()
        return str(absolute.relative_to(self.state) if absolute.is_relative_to(self.state) else absolute)

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._told():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
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
            raise StoreError(f"cannot use '{self.state / FILE}': {cause}. Check the disk and who may write.") from None


def start_event(project: int) -> Event:
    """Return a wish to train, of which each counts."""
    return Event(f"{START}:{uuid.uuid4().hex}", START, project, 0)
