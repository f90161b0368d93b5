"""When a training from annotations begins, and why: each decision is logged with its reason, and kept.

Start Training is a person's decision, and always followed. By itself the policy has three causes: enough new
annotations; an accuracy that is below the operator's bound, with confidence; images that have drifted away from those
that the classifier was made with. For the last two there have to be new annotations to learn from, else they are only
told. One cause does not start job after job: for the version that is served it counts again once as much new evidence
has come.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..plugin.labeling.served_store import Decision
from .drift_watch import DriftWatch
from .learning_plan import LearningPlan
from .learning_store import Waiting
from .quality import Quality
from .remembering import Memory

logger = logging.getLogger(__name__)

ASKED, ANNOTATIONS, ACCURACY, DRIFT = "asked", "annotations", "accuracy", "drift"
TRAIN, ADVISED = "train", "advised"
# An annotator who never pauses should not keep a job from starting.
_LONGEST_WAIT_IN_QUIET_TIMES = 10
_LEAST_JUDGED = 50  # answers, before an accuracy is a cause
_LEAST_NEW_PREDICTIONS = 1_000  # before drift is a cause again
_LOOK_EVERY_SECONDS = 30.0
_KNOWN = 1_000


@dataclass(frozen=True)
class _Cause:
    """Why to train.

    Attributes:
        cause: Its name.
        reason: For a person.
        evidence: How many annotations, answers or predictions it goes by.
        is_new: Tells whether enough has come since a decision for the cause to count again.
    """

    cause: str
    reason: str
    evidence: int
    is_new: Callable[[Decision], bool]


class RetrainingPolicy:
    """Decides; used by one thread.

    Args:
        plan: Of the operator.
        memory: Keeps the decisions, and what two of the causes go by; None = new annotations alone are a cause.
    """

    def __init__(self, plan: LearningPlan, memory: Memory | None) -> None:
        self._plan, self._memory = plan, memory
        self._quality = None if memory is None else Quality(memory)
        self._watch = DriftWatch(memory) if memory is not None and plan.on_drift else None
        self._last: dict[tuple[str, str, int | None], Decision] | None = None
        self._looked = 0.0

    def status(self) -> dict[str, Any]:
        """Return what the policy goes by, as plain JSON."""
        seen = None if self._watch is None else self._watch.seen
        return {
            "dry_run": self._plan.dry_run,
            "after_annotations": self._plan.least_annotations,
            "below_accuracy": self._plan.below_accuracy or None,
            "on_drift": self._plan.on_drift,
            "drift": None if seen is None else seen.told(),
        }

    def next(
        self, waiting: Sequence[Waiting], version: str, folder: Path | None, now: float, again: Collection[int] = ()
    ) -> Waiting | None:
        """Return the project whose annotations to train on now; None = none.

        Args:
            waiting: Projects with events that no job has taken up.
            version: Of the classifier that is served.
            folder: Its own; None = not known, so that nothing is known of its images.
            now: In seconds since 1970.
            again: Projects whose last job was cut off, so that what it began for still holds.
        """
        for each in waiting:
            if each.asked_for:
                self._decide(
                    _Cause(ASKED, "Start Training was pressed", 0, lambda last: True), each.project, version, now, TRAIN
                )
                return each
        for each in waiting:
            if is_due(each, self._plan, now):
                cause = self._new_annotations(each.annotations)
                if self._decide_once(cause, each.project, version, now, again):
                    return each
        if now - self._looked < _LOOK_EVERY_SECONDS and not again:
            return None
        self._looked = now
        able = [each for each in waiting if each.annotations > 0]
        quiet = [each for each in able if is_quiet(each, self._plan, now)]
        if able and not quiet:
            return None  # annotators are at work; what they do now is learnt too
        best = max(quiet, key=lambda each: each.annotations, default=None)
        for cause in self._signals(version, folder):
            if self._decide_once(cause, None if best is None else best.project, version, now, again):
                return best
        return None

    def _new_annotations(self, count: int) -> _Cause:
        least, dry = self._plan.least_annotations, self._plan.dry_run

        def is_new(last: Decision) -> bool:
            # what waits was taken up by no job in a dry run, and is taken up by one otherwise
            return not dry or not last.evidence <= count < last.evidence + least

        return _Cause(ANNOTATIONS, f"{count} new annotations, {least} are enough", count, is_new)

    def _signals(self, version: str, folder: Path | None) -> Iterator[_Cause]:
        """Yield what the memory says against the version that is served."""
        quality = self._quality
        if quality is not None and self._plan.below_accuracy > 0:
            tracking = quality.tracking()
            seen = None if tracking is None else tracking.of(version)
            if seen is not None and seen.judged >= _LEAST_JUDGED and seen.interval[1] < self._plan.below_accuracy:
                reason = (
                    f"accuracy {seen.accuracy:.3f} over the last {seen.judged} answers, with 95 % confidence at most "
                    f"{seen.interval[1]:.3f}, is below {self._plan.below_accuracy:g}"
                )
                step = max(_LEAST_JUDGED, self._plan.least_annotations)
                yield _Cause(
                    ACCURACY,
                    reason,
                    seen.answered,
                    lambda last: quality.answered_since(version, last.at) >= step,
                )
        if self._watch is not None and folder is not None:
            self._watch.look(version, folder)
            drift = self._watch.seen
            if drift is not None and drift.version == version and drift.is_drift:
                reason = (
                    f"the last {drift.images} images differ from those that the classifier was made with "
                    f"(p = {drift.p_value:g}, effect size {drift.effect_size:g})"
                )
                newest = drift.newest
                yield _Cause(DRIFT, reason, newest, lambda last: newest >= last.evidence + _LEAST_NEW_PREDICTIONS)

    def _decide_once(
        self, cause: _Cause, project: int | None, version: str, now: float, again: Collection[int]
    ) -> bool:
        """Return whether to train; the same is not decided a second time without new evidence."""
        last = self._decided().get(_key(cause.cause, version, project))
        decision = TRAIN if project is not None else ADVISED
        if last is not None and (self._plan.dry_run or project not in again):
            could_not = last.decision == ADVISED and decision == TRAIN
            was_dry = last.dry_run and not self._plan.dry_run
            if not (cause.is_new(last) or could_not or was_dry):
                return False
        self._decide(cause, project, version, now, decision)
        return decision == TRAIN and not self._plan.dry_run

    def _decide(self, cause: _Cause, project: int | None, version: str, now: float, decision: str) -> None:
        dry = self._plan.dry_run and cause.cause != ASKED
        reason = cause.reason if decision == TRAIN else f"{cause.reason}; advised, but nothing new to learn from"
        made = Decision(now, project, version, cause.cause, decision, reason, cause.evidence, dry)
        self._decided()[_key(cause.cause, version, project)] = made
        where = "" if project is None else f" project {project}"
        logger.info("training policy: %s%s%s: %s", decision, where, " (dry run)" if dry else "", reason)
        if self._memory is not None:
            self._memory.try_to(lambda store: store.decide(made))

    def _decided(self) -> dict[tuple[str, str, int | None], Decision]:
        """Return the last decision by cause, also of servers before this one."""
        if self._last is None:
            kept = None if self._memory is None else self._memory.try_to(lambda store: store.decisions(_KNOWN))
            self._last = {_key(each.cause, each.version, each.project): each for each in reversed(kept or [])}
        return self._last


def is_due(waiting: Waiting, plan: LearningPlan, now: float) -> bool:
    """Tell whether a project's waiting events should start a job by themselves."""
    if waiting.asked_for:
        return True
    return waiting.annotations >= plan.least_annotations and is_quiet(waiting, plan, now)


def is_quiet(waiting: Waiting, plan: LearningPlan, now: float) -> bool:
    """Tell whether annotators pause, or have been at work for so long that nobody waits for a pause any more."""
    longest = _LONGEST_WAIT_IN_QUIET_TIMES * plan.quiet_seconds
    return now - waiting.last_at >= plan.quiet_seconds or now - waiting.first_at >= longest


def _key(cause: str, version: str, project: int | None) -> tuple[str, str, int | None]:
    """Return what a decision is repeated by: new annotations are a project's own cause, others are the version's."""
    return cause, version, project if cause == ANNOTATIONS else None
