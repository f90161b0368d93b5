"""How good a classifier is in use, by what annotators answered its predictions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..curation.outcomes import NO_LABEL, NONE_OF_THEM, Outcomes
from .calibration import expected_calibration_error
from .intervals import Interval, share_interval, share_intervals

WINDOW = 500

__all__ = ["NONE_OF_THEM", "NO_LABEL", "WINDOW", "Outcomes", "Rolling", "Tracked", "Tracking", "rolling", "track"]


@dataclass(frozen=True, eq=False)
class Tracked:
    """The figures of one version, or of all of them, over the last `window` predictions that annotators answered.

    Annotators who see a prediction lean towards it: the accuracy of those who did not see it is the unbiased one.

    Attributes:
        version: "" = over all versions.
        answered: Predictions that annotators answered, in the window or before.
        judged: Predictions in the window of which it is known whether they are right.
        accuracy: Share of right ones among these; of several labels, all of an image have to be right. NaN without any.
        interval: Its 95 % interval (Clopper and Pearson).
        blind: How many of them were labelled blind.
        blind_accuracy: Share of right ones among these; NaN without any.
        blind_interval: Its 95 % interval.
        none_of_them: Predictions whose image is none of the classes by the annotators: they count as wrong.
        split: Predictions in the window on which annotators are split.
        support: (k,) int64. Images of each class, by the annotators.
        recall: (k,) float64. Share of these that were predicted; NaN without any.
        recall_interval: (k, 2) float64. Its 95 % interval.
        calibration_error: Expected calibration error; NaN without predictions.
        reviews: Answers of annotators who had seen the prediction.
        overrides: How many of these say something else.
        override_rate: Their share; NaN without any.
        override_interval: Its 95 % interval.
        first: Time of the window's first answer, in seconds since 1970; NaN without any.
        last: Time of its last one.
    """

    version: str
    answered: int
    judged: int
    accuracy: float
    interval: Interval
    blind: int
    blind_accuracy: float
    blind_interval: Interval
    none_of_them: int
    split: int
    support: np.ndarray
    recall: np.ndarray
    recall_interval: np.ndarray
    calibration_error: float
    reviews: int
    overrides: int
    override_rate: float
    override_interval: Interval
    first: float
    last: float


@dataclass(frozen=True, eq=False)
class Tracking:
    """How good a classifier is in use.

    Attributes:
        classes: k names, in the order of the figures by class.
        window: Most predictions that a figure is made of.
        overall: Of all versions together.
        versions: Of each version, the one that was answered last first.
    """

    classes: tuple[str, ...]
    window: int
    overall: Tracked
    versions: tuple[Tracked, ...]

    def of(self, version: str | None) -> Tracked | None:
        """Return the figures of a version, None where none of its predictions was answered."""
        return next((each for each in self.versions if each.version == version), None)


@dataclass(frozen=True, eq=False)
class Rolling:
    """Accuracy as time goes by: at each of m answers, over the last `window` predictions up to it.

    Attributes:
        times: (m,) float64, ascending, in seconds since 1970.
        accuracy: (m,) float64 in 0..1.
        interval: (m, 2) float64. Its 95 % interval.
    """

    times: np.ndarray
    accuracy: np.ndarray
    interval: np.ndarray


def track(outcomes: Outcomes, window: int = WINDOW) -> Tracking:
    """Return the figures of each version, and over all of them.

    Args:
        outcomes: In any order; of equal times, the order in which they come decides.
        window: Predictions that the figures are made of: the last ones.

    Raises:
        ValueError: `window` is not positive.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    ordered = outcomes[np.argsort(outcomes.times, kind="stable")]
    last = {str(version): row for row, version in enumerate(ordered.versions)}
    versions = sorted(last, key=lambda version: -last[version])
    return Tracking(
        outcomes.classes,
        window,
        _tracked("", ordered, window),
        tuple(_tracked(version, ordered[ordered.versions == version], window) for version in versions),
    )


def rolling(outcomes: Outcomes, window: int = WINDOW) -> Rolling:
    """Return how the accuracy went, over those of which it is known whether they are right."""
    judged = outcomes[outcomes.known]
    judged = judged[np.argsort(judged.times, kind="stable")]
    so_far = np.concatenate([[0], np.cumsum(judged.right)])
    ends = np.arange(1, len(judged) + 1)
    starts = np.maximum(ends - window, 0)
    hits, images = so_far[ends] - so_far[starts], ends - starts
    return Rolling(judged.times, hits / np.maximum(images, 1), share_intervals(hits, images))


def _tracked(version: str, ordered: Outcomes, window: int) -> Tracked:
    seen = ordered[-window:] if len(ordered) > window else ordered
    known, right, blind = seen.known, seen.right, seen.known & ~seen.shown
    support, hits = _by_class(seen)
    reviews, overrides = int(seen.reviews.sum()), int(seen.overrides.sum())
    return Tracked(
        version=version,
        answered=len(ordered),
        judged=int(known.sum()),
        accuracy=_share(right.sum(), known.sum()),
        interval=share_interval(int(right.sum()), int(known.sum())),
        blind=int(blind.sum()),
        blind_accuracy=_share(right[blind].sum(), blind.sum()),
        blind_interval=share_interval(int(right[blind].sum()), int(blind.sum())),
        none_of_them=0 if seen.multilabel else int((seen.answers == NONE_OF_THEM).sum()),
        split=int((~known).sum()),
        support=support,
        recall=np.divide(hits, support, out=np.full(len(support), np.nan), where=support > 0),
        recall_interval=share_intervals(hits, support),
        calibration_error=_calibration_error(seen),
        reviews=reviews,
        overrides=overrides,
        override_rate=_share(overrides, reviews),
        override_interval=share_interval(overrides, reviews),
        first=float(seen.times[0]) if len(seen) else math.nan,
        last=float(seen.times[-1]) if len(seen) else math.nan,
    )


def _by_class(outcomes: Outcomes) -> tuple[np.ndarray, np.ndarray]:
    """Return (k,) images of each class, and (k,) those of them that were predicted so."""
    k = len(outcomes.classes)
    if outcomes.multilabel:
        present = outcomes.answers == 1
        return present.sum(axis=0), (present & (outcomes.predicted == 1)).sum(axis=0)
    named = outcomes.answers >= 0
    found = outcomes.answers[named & outcomes.right]
    return np.bincount(outcomes.answers[named], minlength=k), np.bincount(found, minlength=k)


def _calibration_error(outcomes: Outcomes) -> float:
    if outcomes.multilabel:
        stated = np.isfinite(outcomes.answers) & np.isfinite(outcomes.confidence)
        return expected_calibration_error(outcomes.confidence[stated], outcomes.answers[stated] == 1)
    known = outcomes.known
    return expected_calibration_error(outcomes.confidence[known], outcomes.right[known])


def _share(hits: float, images: float) -> float:
    return float(hits / images) if images else math.nan
