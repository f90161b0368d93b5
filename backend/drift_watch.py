"""Whether the images that are predicted still look like those that the served classifier was made with."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..plugin.errors import WinnowError
from .remembering import Memory

logger = logging.getLogger(__name__)

_IMAGES = 2_000  # of the last ones
_LEAST_NEW = 500  # predictions since the check before: of the same images it would only say the same
_EVERY_SECONDS = 3_600.0
# Checks are made again and again: with the usual 0.05, one in twenty would find something where there is nothing.
_ALPHA = 0.01


@dataclass(frozen=True)
class DriftSeen:
    """What a check found.

    Attributes:
        version: Of the classifier.
        at: When, in seconds since 1970.
        newest: Number of the last prediction that it goes by, see `ServedStore.newest`.
        images: How many were compared; 0 = there was nothing to compare.
        is_drift: Whether they differ.
        p_value: Of that; None where nothing was compared.
        effect_size: In 0..1; None the same.
        problem: Why nothing was compared.
    """

    version: str
    at: float
    newest: int
    images: int = 0
    is_drift: bool = False
    p_value: float | None = None
    effect_size: float | None = None
    problem: str | None = None

    def told(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


class DriftWatch:
    """Checks at most once an hour, in a thread of its own.

    Args:
        memory: Of the predictions.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._seen: DriftSeen | None = None
        self._thread: threading.Thread | None = None

    @property
    def seen(self) -> DriftSeen | None:
        """What the last check found; None before the first."""
        return self._seen

    def look(self, version: str, folder: Path) -> None:
        """Begin a check where one is due; returns at once.

        Args:
            version: Of the classifier that is served.
            folder: Its own.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        newest = self._memory.try_to(lambda store: store.newest(version)) or 0
        last = self._seen if self._seen is not None and self._seen.version == version else None
        if last is None:
            if newest < _LEAST_NEW:
                return
        elif newest - last.newest < _LEAST_NEW or time.time() - last.at < _EVERY_SECONDS:
            return
        self._thread = threading.Thread(
            target=self._check, args=(version, folder, newest), name="check-drift", daemon=True
        )
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the check that runs."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _check(self, version: str, folder: Path, newest: int) -> None:
        try:
            self._seen = self._compared(version, folder, newest)
        except WinnowError as error:
            self._seen = DriftSeen(version, time.time(), newest, problem=str(error))
        except Exception:
            logger.exception("checking for drift: an unexpected error")
            self._seen = DriftSeen(version, time.time(), newest, problem="an unexpected error; the log has it")
        if self._seen.problem is not None:
            logger.warning("drift can't be checked: %s", self._seen.problem)

    def _compared(self, version: str, folder: Path, newest: int) -> DriftSeen:
        # imported in the checking thread: neither the server's start nor a request should wait for it
        from threadpoolctl import threadpool_limits

        from ..plugin.training.reference import Reference

        reference = Reference.load(folder)
        if reference is None:
            problem = f"classifier {version} keeps nothing of its images; versions that are trained from now on do"
            return DriftSeen(version, time.time(), newest, problem=problem)
        found = self._memory.try_to(lambda store: store.vectors(version, _IMAGES))
        if found is None or not len(found[0]):
            problem = f"no features of images are remembered of classifier {version}"
            return DriftSeen(version, time.time(), newest, problem=problem)
        vectors, probabilities, _ = found
        with threadpool_limits(1):
            drift = reference.check(vectors, probabilities, alpha=_ALPHA)
        return DriftSeen(
            version,
            time.time(),
            newest,
            len(vectors),
            bool(drift.is_drift),
            round(float(drift.p_value), 4),
            round(float(drift.effect_size), 4),
        )
