"""What learning from annotations must not forget: events, jobs, versions and promotions.

In an SQLite file in the state folder, or in a PostgreSQL database that several replicas share. Written through to the
disk before a call returns, so that what was acknowledged survives `kill -9`. The server, the job's process and
`winnow labelstudio promote` open the same.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .database import Database, SqliteDatabase, StoreError, Transaction
from .learning_records import START, Event, Job, Promotion, Version, Waiting, start_event
from .registry import MARK, join_registry
from .store_address import StoreAddress

__all__ = [
    "FILE",
    "START",
    "Event",
    "Job",
    "LearningStore",
    "Promotion",
    "StoreError",
    "Version",
    "Waiting",
    "start_event",
]

FILE = "learning.sqlite"
_SCHEMA_VERSION = 1
_USED_EVENTS_KEPT = 10_000  # enough to recognise what Label Studio sends twice
_ALL = 2**31
_UNITS_AT_ONCE = 500

_SCHEMA = """
CREATE TABLE events (
    id {serial}, key TEXT NOT NULL UNIQUE, action TEXT NOT NULL, project {integer} NOT NULL,
    annotations {integer} NOT NULL, received_at {real} NOT NULL, job {integer});
CREATE INDEX waiting ON events (project) WHERE job IS NULL;
CREATE TABLE jobs (
    id {serial}, project {integer} NOT NULL, state TEXT NOT NULL, started_at {real} NOT NULL,
    ended_at {real}, detail TEXT NOT NULL DEFAULT '', version TEXT, cancel {integer} NOT NULL DEFAULT 0);
CREATE TABLE versions (
    version TEXT PRIMARY KEY, folder TEXT NOT NULL, made_at {real} NOT NULL, report TEXT);
CREATE TABLE promotions (
    id {serial}, version TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
    at {real} NOT NULL);
CREATE TABLE held_out (project {integer} NOT NULL, unit TEXT NOT NULL, PRIMARY KEY (project, unit)){rowless};
"""
# What only several replicas need: the mark of the folder that they share, and whose turn it is to train.
_SHARED_SCHEMA = """
CREATE TABLE registry (id TEXT NOT NULL);
CREATE TABLE turn (holder TEXT NOT NULL, term {integer} NOT NULL, until {real} NOT NULL);
INSERT INTO turn VALUES ('', 0, 0);
"""


class LearningStore:
    """The store of a state folder; safe to share among threads and processes.

    Args:
        state: The folder, made where it is missing.
        address: Of the database that it is kept in; None = a file in the folder.

    Attributes:
        database: That it is kept in.

    Raises:
        StoreError: It cannot be used, or is of a later version; or the folder and the database don't belong together.
        MissingPartError: The database's driver is not installed.
    """

    def __init__(self, state: Path, address: StoreAddress | None = None) -> None:
        self.state = state.absolute()
        self.database: Database
        if address is None:
            if (self.state / MARK).exists():
                raise StoreError(
                    f"'{state}' belongs to replicas that share a database. Name it with WINNOW_STORE, or choose "
                    "another --state."
                )
            self.database = SqliteDatabase(self.state / FILE, _SCHEMA, _SCHEMA_VERSION)
            return
        from .postgres import PostgresDatabase

        self.database = PostgresDatabase(address, _SCHEMA + _SHARED_SCHEMA, _SCHEMA_VERSION)
        try:
            join_registry(self.database, self.state, self.state / FILE, address)
        except BaseException:
            self.database.close()
            raise

    def close(self) -> None:
        """Close the file, or the connection."""
        self.database.close()

    def add_event(self, event: Event) -> bool:
        """Keep an event; return False where it is known already. It is on the disk when this returns."""
        with self.database.writing() as connection:
            if (
                event.action == START
                and connection.execute(
                    "SELECT 1 FROM events WHERE job IS NULL AND project = ? AND action = ?", (event.project, START)
                ).fetchone()
            ):
                return False
            added = connection.execute(
                "INSERT INTO events (key, action, project, annotations, received_at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (event.key, event.action, event.project, event.annotations, time.time()),
            )
            return added.rowcount == 1

    def waiting(self) -> list[Waiting]:
        """Return what waits, the project that waits longest first."""
        rows = self.database.read(
            "SELECT project, CAST(SUM(annotations) AS BIGINT), MIN(received_at), MAX(received_at), "
            "MAX(CASE WHEN action = ? THEN 1 ELSE 0 END) FROM events "
            "WHERE job IS NULL GROUP BY project ORDER BY MIN(id)",
            (START,),
        )
        return [
            Waiting(project, annotations, first, last, bool(asked)) for project, annotations, first, last, asked in rows
        ]

    def projects(self) -> list[int]:
        """Return the projects that events came from."""
        return [row[0] for row in self.database.read("SELECT project FROM events UNION SELECT project FROM jobs")]

    def start_job(self, project: int, term: int | None = None) -> Job | None:
        """Note a new job, which takes up all events of the project that wait.

        Args:
            project: Whose annotations it reads.
            term: Of the turn in which it runs, see `turn.SharedTurn`; None = there is but one server.

        Returns:
            The job; None where it is another replica's turn by now.
        """
        with self.database.writing() as connection:
            if not _is_turn(connection, term):
                return None
            number = connection.execute(
                "INSERT INTO jobs (project, state, started_at) VALUES (?, 'running', ?) RETURNING id",
                (project, time.time()),
            ).fetchone()[0]
            connection.execute("UPDATE events SET job = ? WHERE project = ? AND job IS NULL", (number, project))
        return self.jobs(limit=1)[0]

    def has_running_job(self) -> bool:
        """Tell whether a job is said to run."""
        return bool(self.database.read("SELECT 1 FROM jobs WHERE state = 'running'"))

    def is_running(self, job: int) -> bool:
        """Tell whether a job is to go on: nobody has noted how it ended."""
        return bool(self.database.read("SELECT 1 FROM jobs WHERE id = ? AND state = 'running'", (job,)))

    def end_job(
        self,
        job: int,
        state: str,
        detail: str = "",
        version: str | None = None,
        *,
        again: bool = False,
        promote: str | None = None,
        followed: int = 0,
    ) -> bool:
        """Note how a job ended, and forget used events that are old.

        Args:
            job: Its number.
            state: See `Job`.
            detail: For a person.
            version: What it made.
            again: Its events wait for the next one.
            promote: Why its version is served from now on, by a rule; None = it is proposed.
            followed: Number of the promotion that the rule goes by: nothing is promoted where there is a later one.

        Returns:
            Whether it was noted: not where the job had ended already, since another replica took over.
        """
        with self.database.writing() as connection:
            ended = connection.execute(
                "UPDATE jobs SET state = ?, detail = ?, version = ?, ended_at = ? WHERE id = ? AND state = 'running'",
                (state, detail, version, time.time(), job),
            )
            if ended.rowcount != 1:
                return False
            if again:
                connection.execute("UPDATE events SET job = NULL WHERE job = ?", (job,))
            if promote is not None and version is not None:
                later = connection.execute("SELECT 1 FROM promotions WHERE id > ?", (followed,)).fetchone()
                if not later:
                    _promote(connection, version, "automatic", promote)
            connection.execute(
                "DELETE FROM events WHERE job IS NOT NULL AND id NOT IN "
                "(SELECT id FROM events WHERE job IS NOT NULL ORDER BY id DESC LIMIT ?)",
                (_USED_EVENTS_KEPT,),
            )
        return True

    def interrupt_jobs(self, detail: str, term: int | None = None) -> None:
        """Note that jobs which are said to run do so no more; their events wait for the next one.

        Args:
            detail: Why, for a person.
            term: See `start_job`: in another replica's turn they may run.
        """
        with self.database.writing() as connection:
            if _is_turn(connection, term):
                interrupt_jobs(connection, detail)

    def jobs(self, limit: int = 100) -> list[Job]:
        """Return the last jobs, the newest first."""
        rows = self.database.read(
            "SELECT id, project, state, started_at, ended_at, detail, version, cancel FROM jobs "
            "ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [Job(*row) for row in rows]

    def ask_to_cancel(self) -> int | None:
        """Ask for the running job to be cancelled; return its number, None where none runs."""
        with self.database.writing() as connection:
            row = connection.execute("SELECT id FROM jobs WHERE state = 'running' ORDER BY id DESC").fetchone()
            if row is not None:
                connection.execute("UPDATE jobs SET cancel = 1 WHERE id = ?", row)
        return None if row is None else int(row[0])

    def add_version(
        self, version: str, folder: Path, report: dict[str, Any] | None = None, job: int | None = None
    ) -> None:
        """Note a version; its folder may have moved since it was noted first.

        Args:
            version: Its name.
            folder: Where it lies.
            report: What the job that made it found out.
            job: Number of that job, which has to be running; None = that does not matter.

        Raises:
            StoreError: The job runs no more, since another replica took over.
        """
        with self.database.writing() as connection:
            if (
                job is not None
                and not connection.execute("SELECT 1 FROM jobs WHERE id = ? AND state = 'running'", (job,)).fetchone()
            ):
                raise StoreError(f"training job {job} was taken over by another server; its version is not kept.")
            connection.execute(
                "INSERT INTO versions VALUES (?, ?, ?, ?) ON CONFLICT (version) DO UPDATE SET "
                "folder = excluded.folder, report = COALESCE(excluded.report, versions.report)",
                (version, self._relative(folder), time.time(), None if report is None else json.dumps(report)),
            )

    def versions(self) -> list[Version]:
        """Return all versions, the newest first."""
        rows = self.database.read(
            "SELECT version, folder, made_at, report FROM versions ORDER BY made_at DESC, version"
        )
        return [Version(row[0], self.state / row[1], row[2], json.loads(row[3]) if row[3] else None) for row in rows]

    def forget_version(self, version: str) -> None:
        """Take a version out of the list."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM versions WHERE version = ?", (version,))

    def promote(self, version: str, who: str, why: str) -> Promotion:
        """Note that a version is to be served from now on."""
        with self.database.writing() as connection:
            _promote(connection, version, who, why)
        return self.promotions(limit=1)[0]

    def promotions(self, limit: int | None = 100) -> list[Promotion]:
        """Return the last promotions, the newest first; None = all."""
        rows = self.database.read(
            "SELECT id, version, who, why, at FROM promotions ORDER BY id DESC LIMIT ?",
            (_ALL if limit is None else limit,),
        )
        return [Promotion(*row) for row in rows]

    def held_out(self, project: int) -> set[str]:
        """Return the units of a project that no job may train on."""
        return {row[0] for row in self.database.read("SELECT unit FROM held_out WHERE project = ?", (project,))}

    def hold_out(self, project: int, units: Iterable[str]) -> None:
        """Keep units of a project out of training for good."""
        rows = [(project, unit) for unit in units]
        with self.database.writing() as connection:
            for chunk in (rows[start : start + _UNITS_AT_ONCE] for start in range(0, len(rows), _UNITS_AT_ONCE)):
                connection.execute(
                    f"INSERT INTO held_out VALUES {', '.join(['(?, ?)'] * len(chunk))} ON CONFLICT DO NOTHING",
                    [value for row in chunk for value in row],
                )

    def _relative(self, folder: Path) -> str:
        """Return a folder as it is kept: relative to the state folder below it, so that the whole can be moved."""
        absolute = folder.absolute()
        return str(absolute.relative_to(self.state) if absolute.is_relative_to(self.state) else absolute)


def interrupt_jobs(connection: Transaction, detail: str) -> None:
    """Do what `LearningStore.interrupt_jobs` says, as part of a transaction."""
    connection.execute("UPDATE events SET job = NULL WHERE job IN (SELECT id FROM jobs WHERE state = 'running')")
    connection.execute(
        "UPDATE jobs SET state = 'interrupted', detail = ?, ended_at = ? WHERE state = 'running'",
        (detail, time.time()),
    )


def _is_turn(connection: Transaction, term: int | None) -> bool:
    return term is None or bool(connection.execute("SELECT 1 FROM turn WHERE term = ?", (term,)).fetchone())


def _promote(connection: Transaction, version: str, who: str, why: str) -> None:
    connection.execute(
        "INSERT INTO promotions (version, who, why, at) VALUES (?, ?, ?, ?)", (version, who, why, time.time())
    )
