"""What `/status` tells the operator: classifier, queue, the last problems, and what does not fit in the projects."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ..plugin.failures import Failure
from .batching import Batcher
from .hosting import ModelHost

_MOST_PROBLEMS = 50


class Status:
    """Remembers the last problems; safe to share among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problems: deque[dict[str, str]] = deque(maxlen=_MOST_PROBLEMS)

    def problems(self, failures: Sequence[Failure], kinds: Sequence[str]) -> None:
        """Remember images that got no prediction; the oldest ones are forgotten."""
        now = _text(datetime.now(UTC))
        seen = [
            {"time": now, "task": failure.id, "image": failure.path, "kind": kind, "reason": failure.reason}
            for failure, kind in list(zip(failures, kinds, strict=True))[-_MOST_PROBLEMS:]
        ]
        with self._lock:
            self._problems.extend(seen)

    def report(self, host: ModelHost, queue: Batcher, configs: dict[str, list[str]]) -> dict[str, Any]:
        """Return all of it as plain JSON; `configs` is what does not fit in each project."""
        with self._lock:
            problems = list(self._problems)
        return {
            "classifier": _classifier(host),
            "queue": {"images": queue.waiting, "capacity": queue.capacity, "requests": queue.jobs},
            "recent_problems": problems[::-1],
            "configs": configs,
        }


def _classifier(host: ModelHost) -> dict[str, Any]:
    about: dict[str, Any] = {"state": host.state, "version": host.version, "problem": host.problem}
    if host.state == "ready":
        served = host.served
        about |= {
            "version": served.version,
            "classes": list(served.classifier.classes),
            "multilabel": served.classifier.multilabel,
            "since": _text(datetime.fromtimestamp(served.since, UTC)),
        }
    return about


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
