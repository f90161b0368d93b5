"""What `/status` tells the operator: classifier, queue, the last problems, and how the projects' configs fit."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ..plugin.failures import Failure
from .batching import Batcher
from .fit_log import fit_of
from .hosting import ModelHost

_MOST_PROBLEMS = 50
_MOST_PROJECTS = 100


class Status:
    """Remembers what was last seen; safe to share among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problems: deque[dict[str, str]] = deque(maxlen=_MOST_PROBLEMS)
        self._configs: OrderedDict[str, str] = OrderedDict()

    def problems(self, failures: Sequence[Failure], kinds: Sequence[str]) -> None:
        """Remember images that got no prediction; the oldest ones are forgotten."""
        now = _text(datetime.now(UTC))
        seen = [
            {"time": now, "task": failure.id, "image": failure.path, "kind": kind, "reason": failure.reason}
            for failure, kind in list(zip(failures, kinds, strict=True))[-_MOST_PROBLEMS:]
        ]
        with self._lock:
            self._problems.extend(seen)

    def config(self, project: str, label_config: str) -> None:
        """Remember a project's labeling config; the project that was not heard of for the longest time is forgotten."""
        with self._lock:
            self._configs[project] = label_config
            self._configs.move_to_end(project)
            if len(self._configs) > _MOST_PROJECTS:
                self._configs.popitem(last=False)

    def report(self, host: ModelHost, queue: Batcher) -> dict[str, Any]:
        """Return all of it as plain JSON; the fit of many large configs takes a moment."""
        with self._lock:
            problems, configs = list(self._problems), dict(self._configs)
        classes = host.served.classifier.classes if host.state == "ready" else None
        return {
            "classifier": _classifier(host),
            "queue": {"images": queue.waiting, "capacity": queue.capacity, "requests": queue.jobs},
            "recent_problems": problems[::-1],
            "configs": {} if classes is None else {name: fit_of(config, classes) for name, config in configs.items()},
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
