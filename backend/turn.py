"""Whose turn it is to train: the only server's, or that of one of several replicas."""

from __future__ import annotations

import logging
import time
from typing import Protocol

from filelock import FileLock, Timeout

from .adopting import LOCK
from .database import StoreError
from .learning_store import LearningStore, interrupt_jobs

logger = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
_RENEW_EVERY_SECONDS = 1.0
# The database's own clock, since those of replicas may differ.
_NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


class Turn(Protocol):
    """The right to train.

    Attributes:
        term: Number of the turn, which grows with each; None = there is but one server.
    """

    term: int | None

    def look(self) -> bool:
        """Return whether it is this server's turn; to be called again and again."""

    def holder(self) -> str | None:
        """Return the name of the replica whose turn it is; None = nobody's, or there is but one server."""

    def release(self) -> None:
        """Give it up."""


class OnlyServer:
    """The turn of a server that shares its state folder with no other; it is always its own.

    Args:
        store: In that folder.

    Raises:
        StoreError: Another server uses the folder.
    """

    term: int | None = None

    def __init__(self, store: LearningStore) -> None:
        self._lock = FileLock(store.state / LOCK)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise StoreError(
                f"another server learns in '{store.state}'. Stop it, or give this one another --state."
            ) from None
        store.interrupt_jobs("the server was killed while it ran")

    def look(self) -> bool:
        """Return True."""
        return True

    def holder(self) -> str | None:
        """Return None."""
        return None

    def release(self) -> None:
        """Let another server use the folder."""
        self._lock.release()


class SharedTurn:
    """The turn that replicas take: a row of their database, which lapses where it is not renewed.

    A replica that is killed, paused or cut off loses it within `LEASE_SECONDS`; by its own clock it stops training then
    also where it does not reach the database. Whoever takes it over notes in the same transaction that jobs which are
    said to run do so no more, and a job that does not run can neither end, nor add a version, nor promote one: a
    replica that comes back late changes nothing.

    Args:
        store: That the replicas share.
        name: Of this replica, different from all others'.
    """

    def __init__(self, store: LearningStore, name: str) -> None:
        self.term: int | None = None
        self._database, self._name = store.database, name
        self._renew_at, self._ends_at = 0.0, 0.0

    def look(self) -> bool:
        """Return whether it is this replica's turn: renews it in time, and takes it where nobody has it."""
        asked = time.monotonic()
        if asked < self._renew_at:
            return self.term is not None
        if self.term is not None and asked >= self._ends_at:
            self._lose("it was not renewed in time")
        try:
            taken = self._take()
        except StoreError:
            return self.term is not None  # until its end, which the next look sees
        if taken is None and self.term is not None:
            self._lose("another replica has it")
        elif taken is not None and taken != self.term:
            logger.info("this replica trains from now on (turn %d)", taken)
        self.term = taken
        self._renew_at, self._ends_at = asked + _RENEW_EVERY_SECONDS, asked + LEASE_SECONDS
        return self.term is not None

    def holder(self) -> str | None:
        """Return the name of the replica whose turn it is; None = nobody's now."""
        rows = self._database.read(f"SELECT holder FROM turn WHERE until >= {_NOW}")
        return str(rows[0][0]) if rows else None

    def release(self) -> None:
        """Let another replica take it at once."""
        term, self.term = self.term, None
        if term is not None:
            with self._database.writing() as transaction:
                transaction.execute("UPDATE turn SET until = 0 WHERE holder = ? AND term = ?", (self._name, term))

    def _take(self) -> int | None:
        with self._database.writing() as transaction:
            if self.term is not None:
                renewed = transaction.execute(
                    f"UPDATE turn SET until = {_NOW} + ? WHERE holder = ? AND term = ?",
                    (LEASE_SECONDS, self._name, self.term),
                )
                if renewed.rowcount == 1:
                    return self.term
            row = transaction.execute(
                f"UPDATE turn SET holder = ?, term = term + 1, until = {_NOW} + ? WHERE until < {_NOW} RETURNING term",
                (self._name, LEASE_SECONDS),
            ).fetchone()
            if row is None:
                return None
            interrupt_jobs(transaction, "the replica that ran it was killed or cut off")
            return int(row[0])

    def _lose(self, why: str) -> None:
        logger.warning("this replica trains no more: %s", why)
        self.term = None
