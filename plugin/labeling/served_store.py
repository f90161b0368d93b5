"""What was predicted and what annotators answered, in one SQLite file in the backend's state folder.

No image, no address of one, no name of an annotator. Bounded in days and bytes. One process writes; others, such as
the App, read the same file meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..curation.outcomes import Outcomes
from .returned_annotations import Returned
from .served_file import FILE, ServedFile, ServedStoreError
from .served_outcomes import AnsweredControl, ServedRow, outcomes_of
from .served_predictions import ServedMapping, ServedPrediction

__all__ = ["FILE", "Decision", "Held", "ServedStore", "ServedStoreError"]

_DECISIONS_KEPT = 1_000
_SHARE_FORGOTTEN = 0.1  # at least, where there is too much: so that not each batch forgets
_UNMATCHED_SECONDS = 86_400.0  # how long an answer to no known prediction waits for one
_LATEST_ANSWERS = 20_000  # annotations that figures are made of
_HERE, _DELETED, _MISSING = 0, 1, 2


@dataclass(frozen=True)
class Held:
    """How much a store holds.

    Attributes:
        predictions: Remembered ones, with those withheld.
        withheld: Of these, how many no annotator was shown.
        answers: Annotations that came back.
        bytes: Size of the file, without what is free in it.
        oldest: Time of the oldest prediction, in seconds since 1970; None without any.
    """

    predictions: int
    withheld: int
    answers: int
    bytes: int
    oldest: float | None


@dataclass(frozen=True)
class Decision:
    """What the retraining policy decided.

    Attributes:
        at: When, in seconds since 1970.
        project: Whose annotations would be learnt from; None = of none in particular.
        version: That was served.
        cause: "annotations", "accuracy" or "drift".
        decision: "train", or "advised" where it only tells.
        reason: For a person.
        evidence: How many annotations, answers or predictions it goes by.
        dry_run: Nothing was started, as the operator wants to see first.
    """

    at: float
    project: int | None
    version: str
    cause: str
    decision: str
    reason: str
    evidence: int
    dry_run: bool


class ServedStore(ServedFile):
    """The store in a state folder; safe to share among threads.

    Args:
        state: The folder, made where it is missing.
        read_only: Look at what another process writes.

    Raises:
        ServedStoreError: See `ServedFile`; of each method: the file can't be read or written.
    """

    def __init__(self, state: Path, *, read_only: bool = False) -> None:
        super().__init__(Path(state).absolute() / FILE, read_only=read_only)
        self._mappings: dict[str, int] = {}

    def remember(self, predictions: Sequence[ServedPrediction]) -> None:
        """Keep predictions; one that says what the last one of its task and control said only has its time renewed."""
        known = self._mappings.copy()
        try:
            with self._writing() as connection:
                for prediction in predictions:
                    self._remember(connection, prediction)
        except ServedStoreError:
            self._mappings = known  # what was added to the file is undone
            raise

    def _remember(self, connection: sqlite3.Connection, prediction: ServedPrediction) -> None:
        mapping = self._mapping(connection, prediction.mapping)
        key = (prediction.project, prediction.task, prediction.mapping.control.name)
        last = connection.execute(
            "SELECT id, mapping, shown FROM served WHERE project = ? AND task = ? AND control = ? "
            "ORDER BY first_at DESC, id DESC LIMIT 1",
            key,
        ).fetchone()
        vector = None if prediction.vector is None else _packed(prediction.vector)
        if last is not None and last[1:] == (mapping, prediction.shown):
            connection.execute(
                "UPDATE served SET last_at = MAX(last_at, ?), vector = COALESCE(vector, ?) WHERE id = ?",
                (prediction.at, vector, last[0]),
            )
            return
        connection.execute(
            "INSERT INTO served (project, task, control, mapping, shown, first_at, last_at, chosen, probabilities, "
            "vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *key,
                mapping,
                prediction.shown,
                prediction.at,
                prediction.at,
                json.dumps(prediction.chosen, ensure_ascii=False),
                _packed(prediction.probabilities),
                vector,
            ),
        )

    def _mapping(self, connection: sqlite3.Connection, mapping: ServedMapping) -> int:
        if mapping.digest not in self._mappings:
            connection.execute(
                "INSERT OR IGNORE INTO mappings (digest, version, about) VALUES (?, ?, ?)",
                (mapping.digest, mapping.version, mapping.text),
            )
            row = connection.execute("SELECT id FROM mappings WHERE digest = ?", (mapping.digest,)).fetchone()
            self._mappings[mapping.digest] = int(row[0])
        return self._mappings[mapping.digest]

    def answered(self, annotations: Iterable[Returned]) -> None:
        """Keep annotations as they are now: late, repeated and in any order, the last change of each holds."""
        now = time.time()
        rows = [
            (
                each.annotation,
                each.project,
                each.task,
                each.updated_at,
                now,
                each.version,
                _HERE,
                json.dumps(each.content),
            )
            for each in annotations
        ]
        if not rows:
            return
        with self._writing() as connection:
            for row in rows:
                connection.execute(
                    "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (annotation) DO UPDATE SET "
                    "project = excluded.project, task = excluded.task, updated_at = excluded.updated_at, "
                    f"state = {_HERE}, content = excluded.content WHERE state <> {_DELETED} AND "
                    "excluded.updated_at >= updated_at AND (content, state) <> (excluded.content, excluded.state)",
                    row,
                )
                if row[5] is not None:  # which prediction it started from never changes
                    connection.execute("UPDATE answers SET version = ? WHERE annotation = ?", (row[5], row[0]))

    def deleted(self, annotations: Iterable[int]) -> None:
        """Note that annotations are gone for good; what comes of them later came late."""
        now = time.time()
        with self._writing() as connection:
            connection.executemany(
                f"INSERT INTO answers VALUES (?, NULL, NULL, '', ?, NULL, {_DELETED}, '') "
                f"ON CONFLICT (annotation) DO UPDATE SET state = {_DELETED}, content = ''",
                [(annotation, now) for annotation in annotations],
            )

    def keep_only(self, project: int, annotations: Iterable[int]) -> None:
        """Note that a project has these annotations and no others; one that is seen again is back."""
        rows = self._read("SELECT annotation FROM answers WHERE project = ? AND state = ?", (project, _HERE))
        missing = {row[0] for row in rows} - set(annotations)
        if missing:
            with self._writing() as connection:
                connection.executemany(
                    f"UPDATE answers SET state = {_MISSING} WHERE annotation = ?", [(each,) for each in missing]
                )

    def forget(self, *, before: float, most_bytes: int) -> int:
        """Forget predictions older than a time, and the oldest ones of more than fit; return how many.

        Answers go with their predictions, and the file shrinks.
        """
        gone = 0
        with self._writing() as connection:
            gone += connection.execute("DELETE FROM served WHERE last_at < ?", (before,)).rowcount
            while (used := _used_bytes(connection)) > most_bytes:
                kept = connection.execute("SELECT COUNT(*) FROM served").fetchone()[0]
                share = min(1.0, 1 - most_bytes / used + _SHARE_FORGOTTEN)
                if not kept:
                    break  # what is left is no prediction
                gone += connection.execute(
                    "DELETE FROM served WHERE id IN (SELECT id FROM served ORDER BY last_at, id LIMIT ?)",
                    (max(1, round(kept * share)),),
                ).rowcount
            connection.execute(
                "DELETE FROM answers WHERE received_at < ? AND NOT EXISTS "
                "(SELECT 1 FROM served WHERE served.project = answers.project AND served.task = answers.task)",
                (max(before, time.time() - _UNMATCHED_SECONDS),),
            )
            if gone:
                connection.execute("DELETE FROM mappings WHERE id NOT IN (SELECT mapping FROM served)")
                self._mappings.clear()
        with self._lock, self._told():
            self._connection.execute("PRAGMA incremental_vacuum").fetchall()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return gone

    def held(self) -> Held:
        """Return how much there is."""
        ((count, shown, oldest),) = self._read("SELECT COUNT(*), COALESCE(SUM(shown), 0), MIN(last_at) FROM served")
        ((answers,),) = self._read("SELECT COUNT(*) FROM answers WHERE state = ?", (_HERE,))
        with self._lock, self._told():
            size = _used_bytes(self._connection)
        return Held(count, count - shown, answers, size, oldest)

    def outcomes(self, version: str | None = None, since: float | None = None) -> Outcomes:
        """Return what became of the predictions that were answered, in the order of their answers.

        Where versions of both kinds are remembered, with one label an image and with several, those of the newer kind.

        Args:
            version: Only those of this one.
            since: Only those answered then or later, in seconds since 1970.
        """
        latest = f"SELECT * FROM answers WHERE state = {_HERE} ORDER BY updated_at DESC LIMIT {_LATEST_ANSWERS}"
        tasks: dict[tuple[int, int], list[tuple[dict[str, Any], str | None]]] = {}
        controls: dict[tuple[int, int, str], list[ServedRow]] = {}
        with self._reading() as connection:
            for project, task, told, content in connection.execute(
                f"SELECT project, task, version, content FROM ({latest}) ORDER BY annotation"
            ):
                tasks.setdefault((project, task), []).append((json.loads(content), told))
            mappings = {
                row[0]: ServedMapping.from_json(row[1]) for row in connection.execute("SELECT id, about FROM mappings")
            }
            for row in connection.execute(
                "SELECT project, task, control, mapping, shown, first_at, chosen, probabilities FROM served "
                "WHERE EXISTS (SELECT 1 FROM answers WHERE answers.project = served.project "
                f"AND answers.task = served.task AND state = {_HERE}) ORDER BY project, task, control, first_at, id"
            ):
                served = ServedRow(mappings[row[3]], bool(row[4]), row[5], row[6], row[7])
                controls.setdefault(row[:3], []).append(served)
        answered = [
            AnsweredControl(rows, tasks[project, task])
            for (project, task, _), rows in controls.items()
            if (project, task) in tasks
        ]
        return outcomes_of(answered, version, since)

    def vectors(self, version: str, limit: int = 2_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what a version's features of the latest images are: one row an image, the newest first.

        Returns:
            (m, d) float32 vectors, (m, k) float32 probabilities, and (m,) int64 numbers of the tasks; m <= `limit`.
        """
        rows = self._read(
            "SELECT project, task, probabilities, vector FROM served WHERE vector IS NOT NULL "
            "AND mapping IN (SELECT id FROM mappings WHERE version = ?) ORDER BY last_at DESC, id DESC LIMIT ?",
            (version, 2 * limit),
        )
        once = {(project, task, vector): (task, given) for project, task, given, vector in rows}
        kept = list(once.items())[:limit]  # a task whose image answers several controls has it once
        tasks = np.array([task for _, (task, _) in kept], np.int64)
        return _stacked([key[2] for key, _ in kept]), _stacked([given for _, (_, given) in kept]), tasks

    def newest(self, version: str) -> int:
        """Return a number that grows by one with each prediction that is kept, as of the last one of a version."""
        ((newest,),) = self._read(
            "SELECT MAX(served.id) FROM served JOIN mappings ON mappings.id = mapping WHERE version = ?", (version,)
        )
        return int(newest or 0)

    def decide(self, decision: Decision) -> None:
        """Keep a decision; of many, the last thousand."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO decisions (at, project, version, cause, decision, reason, evidence, dry_run) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    decision.at,
                    decision.project,
                    decision.version,
                    decision.cause,
                    decision.decision,
                    decision.reason,
                    decision.evidence,
                    decision.dry_run,
                ),
            )
            connection.execute(
                "DELETE FROM decisions WHERE id <= (SELECT MAX(id) FROM decisions) - ?", (_DECISIONS_KEPT,)
            )

    def decisions(self, limit: int = 100) -> list[Decision]:
        """Return the last decisions, the newest first."""
        rows = self._read(
            "SELECT at, project, version, cause, decision, reason, evidence, dry_run FROM decisions "
            "ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [replace(Decision(*row), dry_run=bool(row[-1])) for row in rows]


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _packed(values: np.ndarray) -> bytes:
    return np.asarray(values, "<f2").tobytes()


def _stacked(packed: Sequence[bytes]) -> np.ndarray:
    """Return (m, w) float32 of m rows of one width; (0, 0) without any."""
    rows = [np.frombuffer(each, "<f2") for each in packed]
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 0), np.float32)
