"""From answers, and from what a classifier's images looked like, to the figures of its health."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..curation.outcomes import Outcomes
from ..curation.projection import project
from ..training.calibration import decide
from ..training.intervals import share_interval
from ..training.tracking import Tracked, Tracking, rolling, track
from .health_figures import NOTHING, ClassHealth, DriftCheck, Health, Moved, Scatter, Share, VersionHealth

if TYPE_CHECKING:
    from ..curation.drift import Drift
    from ..training.reference import Reference

_EVEN = 0.5  # of several classes, each one that is likelier than not is decided for
_SURE = 0.05
_MOST_SHOWN = 400  # points of a side in the scatter
MOST_MOVED = 10
_LEAST_ROLLING = 20


def with_answers(health: Health, outcomes: Outcomes, answers_from: str) -> Health:
    """Return the health with what annotators answered.

    Override rate and recall are those of the classifier's version, as others are no longer at work; where none of its
    predictions was answered, of the version that was answered last.
    """
    if not len(outcomes):
        return health
    tracking = track(outcomes)
    at_work = tracking.of(health.about.version) or tracking.versions[0]
    notes = _notes(at_work)
    if at_work.version != health.about.version:
        notes.append(f"no prediction of version {health.about.version} was answered yet; the figures are of "
                     f"{at_work.version}, which was answered last")  # fmt: skip
    return replace(
        health,
        answers_from=answers_from,
        overrides=_share(at_work.override_rate, at_work.override_interval, at_work.reviews),
        accuracy=_share(at_work.accuracy, at_work.interval, at_work.judged),
        blind=_share(at_work.blind_accuracy, at_work.blind_interval, at_work.blind),
        versions=tuple(_version(each, outcomes[outcomes.versions == each.version]) for each in tracking.versions),
        classes=_classes(tracking, at_work),
        judged=at_work.version,
        notes=(*health.notes, *notes),
    )


def with_expectations(health: Health, reference: Reference, thresholds: tuple[float, ...] | None) -> Health:
    """Return the health with what was to be expected: how the classifier did on images it was not trained on."""
    if health.judged not in ("", health.about.version):
        return health
    labels, guesses = reference.labels, reference.probabilities
    if reference.multilabel:
        decided = decide(guesses, thresholds or [_EVEN] * guesses.shape[1], multilabel=True)
        stated = np.isfinite(labels)
        error = float(((decided != (labels == 1)) & stated).any(axis=1).mean())
        present = labels == 1
        found = present & decided
    else:
        decided = guesses.argmax(axis=1) if thresholds is None else decide(guesses, thresholds)
        error = float((decided != labels).mean())
        present = labels[:, None] == np.arange(guesses.shape[1])
        found = present & (decided == labels)[:, None]
    support = present.sum(axis=0)
    recall = np.divide(found.sum(axis=0), support, out=np.full(len(support), np.nan), where=support > 0)
    expected = dict(zip(reference.classes, recall, strict=True))
    classes = tuple(replace(each, expected=float(expected.get(each.name, math.nan))) for each in health.classes)
    return replace(health, about=replace(health.about, expected_error=error), classes=classes)


def with_drift(health: Health, drift: Drift, reference: Reference, vectors: np.ndarray, current: str) -> Health:
    """Return the health with a check of other images against a classifier's reference, as the newest one.

    Args:
        health: Without it.
        drift: The check.
        reference: Of the classifier.
        vectors: (n, d) float32. Those that were checked.
        current: What they are.
    """
    novel = novel_share(drift.novel)
    check = DriftCheck(
        health.made_at, current, "what it was trained for", drift.is_drift, drift.p_value, drift.effect_size, novel
    )
    return replace(
        health,
        checks=(*health.checks, check),
        moved=_moved(drift, reference.classes),
        statistics=(),  # the backend keeps nothing of the images that they could be measured on
        scatter=scatter_of(reference.vectors.astype(np.float32), vectors, drift.novel),
    )


def novel_share(novel: np.ndarray) -> Share:
    """Return the share of (n,) marked images, with its interval."""
    if not len(novel):
        return NOTHING
    marked = int(novel.sum())
    return Share(marked / len(novel), *share_interval(marked, len(novel)), len(novel))


def scatter_of(reference: np.ndarray, current: np.ndarray, novel: np.ndarray) -> Scatter:
    """Return at most 400 images of each side in the plane; of those that are like no other, as many as there are room.

    Args:
        reference: (m, d) float32.
        current: (n, d) float32; rows with NaN are left out.
        novel: (n,) bool.
    """
    known = np.flatnonzero(np.isfinite(current).all(axis=1))
    known = known[np.argsort(~novel[known], kind="stable")][:_MOST_SHOWN] if novel.mean() < _EVEN else known
    shown = _spread(known, _MOST_SHOWN)
    before = reference[_spread(np.flatnonzero(np.isfinite(reference).all(axis=1)), _MOST_SHOWN)]
    points = project(np.concatenate([before, current[shown]]).astype(np.float32))
    return Scatter(points[: len(before)], points[len(before) :], novel[shown])


def _version(tracked: Tracked, outcomes: Outcomes) -> VersionHealth:
    went = rolling(outcomes)
    told = slice(_LEAST_ROLLING - 1, None)  # of a handful of answers the accuracy jumps
    return VersionHealth(
        version=tracked.version,
        answers=tracked.answered,
        accuracy=_share(tracked.accuracy, tracked.interval, tracked.judged),
        overrides=_share(tracked.override_rate, tracked.override_interval, tracked.reviews),
        blind=_share(tracked.blind_accuracy, tracked.blind_interval, tracked.blind),
        calibration_error=tracked.calibration_error,
        times=went.times[told],
        rolling=went.accuracy[told],
        low=went.interval[told, 0],
        high=went.interval[told, 1],
    )


def _classes(tracking: Tracking, tracked: Tracked) -> tuple[ClassHealth, ...]:
    """Return the classes that annotators named, the worst recall first."""
    found = [
        ClassHealth(name, _share(float(recall), (float(low), float(high)), int(support)))
        for name, recall, (low, high), support in zip(
            tracking.classes, tracked.recall, tracked.recall_interval, tracked.support, strict=True
        )
        if support
    ]
    return tuple(sorted(found, key=lambda each: (each.recall.value, each.name)))


def _notes(tracked: Tracked) -> list[str]:
    notes = []
    if tracked.none_of_them:
        notes.append(f"{tracked.none_of_them:,} answers name none of the classifier's classes; they count as wrong")
    if tracked.split:
        notes.append(
            f"annotators are split on {tracked.split:,} predictions, which count neither as right nor as wrong"
        )
    return notes


def _moved(drift: Drift, names: tuple[str, ...]) -> tuple[Moved, ...]:
    """Return the classes whose probabilities have moved by more than chance, the most first."""
    of = drift.classes
    if of is None:
        return ()
    rows = [row for row in np.argsort(-of.effect, kind="stable") if of.p_value[row] < _SURE][:MOST_MOVED]
    return tuple(
        Moved(
            names[row],
            *(float(figures[row]) for figures in (of.p_value, of.effect, of.reference_mean, of.current_mean)),
        )
        for row in rows
    )


def _share(value: float, interval: tuple[float, float], of: int) -> Share:
    return Share(float(value), *interval, of) if of else NOTHING


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many rows, evenly spaced."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
