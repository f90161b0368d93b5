"""How good the served classifier is, by its annotators: for `/status`, `/metrics` and the retraining policy."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..plugin.curation.outcomes import Outcomes
from ..plugin.labeling.served_store import Decision, Held, ServedStore
from ..plugin.training.intervals import Interval
from ..plugin.training.tracking import Tracked, Tracking, track
from .remembering import Memory

_VERSIONS_TOLD = 5
_CLASSES_TOLD = 20
_DECISIONS_TOLD = 20
# Figures that take long to make are not made anew at each change: at most this share of the time goes into them.
_SHARE_OF_TIME = 0.1


class Quality(Collector):
    """Figures from the memory, made anew where it has changed; safe to share among threads."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._changes = -1
        self._tracking: Tracking | None = None
        self._held: Held | None = None
        self._outcomes: Outcomes | None = None
        self._not_before = 0.0

    def tracking(self) -> Tracking | None:
        """Return the figures by version; None where nothing is remembered, or it can't be read."""
        self._look()
        return self._tracking

    def answered_since(self, version: str, moment: float) -> int:
        """Return how many predictions of a version were answered after a time, in seconds since 1970."""
        outcomes = self._outcomes
        return 0 if outcomes is None else int(((outcomes.versions == version) & (outcomes.times > moment)).sum())

    def report(self) -> dict[str, Any]:
        """Return what is remembered, its limits, and the figures, as plain JSON; NaN is null."""
        self._look()
        memory, held, tracking = self._memory, self._held, self._tracking
        decisions = memory.try_to(lambda store: store.decisions(_DECISIONS_TOLD)) or []
        return {
            "days": memory.plan.days,
            "most_bytes": memory.plan.most_bytes,
            "problem": memory.problem,
            "dropped": memory.dropped,
            "held": None if held is None else asdict(held) | {"oldest": _moment(held.oldest)},
            "window": None if tracking is None else tracking.window,
            "versions": [] if tracking is None else [_told(each, tracking.classes) for each in tracking.versions],
            "decisions": [decision_told(each) for each in decisions],
        }

    def collect(self) -> Iterator[Metric]:
        """Yield the figures as Prometheus takes them: of the last versions, and their worst classes."""
        self._look()
        held, tracking = self._held, self._tracking
        if held is not None:
            yield GaugeMetricFamily("winnow_remembered_predictions", "Predictions remembered.", held.predictions)
            yield GaugeMetricFamily("winnow_remembered_answers", "Annotations that came back.", held.answers)
            yield GaugeMetricFamily("winnow_remembered_bytes", "Size of what is remembered.", held.bytes)
        yield CounterMetricFamily(
            "winnow_remember_dropped", "Predicted images that were not remembered.", self._memory.dropped
        )
        versions = tracking.versions[:_VERSIONS_TOLD] if tracking is not None else ()
        for name, about, figure in (
            ("winnow_rolling_accuracy", "Share of right predictions, by the annotators.", "accuracy"),
            ("winnow_blind_accuracy", "The same of those that were labelled blind.", "blind_accuracy"),
            ("winnow_override_rate", "Share of answers that change the prediction.", "override_rate"),
            ("winnow_calibration_error", "Expected calibration error.", "calibration_error"),
            ("winnow_judged_predictions", "Predictions that these figures are made of.", "judged"),
        ):
            family = GaugeMetricFamily(name, about, labels=("version",))
            for each in versions:
                if math.isfinite(value := getattr(each, figure)):
                    family.add_metric((each.version,), value)
            yield family
        yield _recalls(tracking)

    def _look(self) -> None:
        with self._lock:
            began = time.monotonic()
            if not self._memory.is_on or began < self._not_before:
                return
            changes = self._memory.try_to(ServedStore.changes)
            if changes is None or changes == self._changes:
                return
            found = self._memory.try_to(lambda store: (store.held(), store.outcomes()))
            if found is not None:
                self._held, self._outcomes = found
                self._changes, self._tracking = changes, track(self._outcomes)
            self._not_before = began + (time.monotonic() - began) / _SHARE_OF_TIME


def decision_told(decision: Decision) -> dict[str, Any]:
    """Return a decision as plain JSON."""
    return asdict(decision) | {"at": _moment(decision.at)}


def _recalls(tracking: Tracking | None) -> Metric:
    family = GaugeMetricFamily(
        "winnow_class_recall",
        f"Recall by class, of the version answered last; of more than {_CLASSES_TOLD} classes the worst.",
        labels=("version", "class"),
    )
    if tracking is not None and tracking.versions:
        newest = tracking.versions[0]
        for place in _worst_classes(newest):
            family.add_metric((newest.version, tracking.classes[place]), newest.recall[place])
    return family


def _worst_classes(tracked: Tracked) -> list[int]:
    """Return the numbers of the classes that occur, those first whose recall may be lowest."""
    places = [place for place, images in enumerate(tracked.support) if images]
    return sorted(places, key=lambda place: (tracked.recall[place], -tracked.support[place], place))[:_CLASSES_TOLD]


def _told(tracked: Tracked, classes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "version": tracked.version,
        "answered": tracked.answered,
        "judged": tracked.judged,
        "accuracy": _figure(tracked.accuracy),
        "accuracy_interval": _interval(tracked.interval, tracked.judged),
        "blind": tracked.blind,
        "blind_accuracy": _figure(tracked.blind_accuracy),
        "blind_accuracy_interval": _interval(tracked.blind_interval, tracked.blind),
        "reviews": tracked.reviews,
        "overrides": tracked.overrides,
        "override_rate": _figure(tracked.override_rate),
        "override_rate_interval": _interval(tracked.override_interval, tracked.reviews),
        "calibration_error": _figure(tracked.calibration_error),
        "none_of_the_classes": tracked.none_of_them,
        "split": tracked.split,
        "worst_classes": [
            {
                "class": classes[place],
                "images": int(tracked.support[place]),
                "recall": _figure(float(tracked.recall[place])),
                "recall_interval": [round(float(end), 4) for end in tracked.recall_interval[place]],
            }
            for place in _worst_classes(tracked)
        ],
        "last_answer": _moment(tracked.last),
    }


def _figure(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _interval(interval: Interval, images: int) -> list[float] | None:
    return [round(end, 4) for end in interval] if images else None


def _moment(seconds: float | None) -> str | None:
    if seconds is None or not math.isfinite(seconds):
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
