"""Events that came while the replicas' database was away: kept as files until it is back."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import uuid
from dataclasses import asdict
from pathlib import Path

from .database import StoreAwayError, StoreError
from .learning_store import Event, LearningStore

logger = logging.getLogger(__name__)

_FOLDER = "outbox"


class Outbox:
    """A folder that all replicas see, so that any of them may deliver what another one kept.

    Args:
        state: The folder that the replicas share.
    """

    def __init__(self, state: Path) -> None:
        self._folder = state / _FOLDER

    def keep(self, event: Event) -> None:
        """Keep an event; it is on the disk when this returns. One that came before is kept once.

        Raises:
            StoreError: That cannot be done either.
        """
        name = hashlib.sha256(event.key.encode()).hexdigest()
        unfinished = self._folder / f".{name}.{uuid.uuid4().hex[:8]}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(unfinished, "w", encoding="utf-8") as file:
                json.dump(asdict(event), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, self._folder / f"{name}.json")
        except OSError as cause:
            raise StoreError(f"cannot keep an event in '{self._folder}': {cause.strerror or cause}.") from None

    def deliver(self, store: LearningStore) -> int:
        """Hand what is kept to the store, which knows what it got already; return how many events.

        Raises:
            StoreAwayError: The store can't be used now; what it did not get stays.
        """
        files = sorted(self._folder.glob("*.json"))
        for file in files:
            try:
                event = Event(**json.loads(file.read_text(encoding="utf-8")))
                store.add_event(event)
            except FileNotFoundError:  # another replica delivered it
                continue
            except StoreAwayError:
                raise
            except (ValueError, TypeError, StoreError) as error:
                logger.error("'%s' is no event that can be kept, and is set aside: %s", file, error)
                file.replace(file.with_suffix(".refused"))
                continue
            file.unlink(missing_ok=True)
        return len(files)
