"""Thresholds from which on a class is decided for, so that decisions are as precise, or as complete, as is wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from .calibration import DECIMALS, NEVER

_STEP = 1.1  # from one number of decisions that is tried to the next
_START = 3  # from one number of decisions that is started with to the next

REACHED, TOO_FEW, NOT_REACHED = "", "too few images", "not reached"


@dataclass(frozen=True, eq=False)
class Thresholds:
    """For each of k classes the probability from which on it is decided for, and what is to be expected of that.

    Attributes:
        values: (k,) float64.
        precision: (k,) float64. Share of right decisions for the class on the held-out images, NaN without any.
        recall: (k,) float64. Share of the class's held-out images that are decided for it, NaN without any.
        support: (k,) int64. Held-out images of the class.
        decided: (k,) int64. Held-out images that are decided for the class.
        reasons: k times `REACHED`, or why it is not: `TOO_FEW` or `NOT_REACHED`.
        least: Held-out decisions for a class (or, for recall, images of it) without which nothing can be shown.
        abstained: Share of the held-out images that no class is decided for, NaN without any.
    """

    values: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    support: np.ndarray
    decided: np.ndarray
    reasons: tuple[str, ...]
    least: int
    abstained: float


def thresholds_for(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    precision: float | None = None,
    recall: float | None = None,
    confidence: float = 0.9,
) -> Thresholds:
    """Choose thresholds that reach a precision, or a recall, on fresh images too.

    The threshold that just reaches the wanted precision on the held-out images misses it on fresh ones half of the
    time, and more often since it is the luckiest of many. So each class's threshold has to pass a test: that its true
    precision is below the wanted one must be less likely than 1 - `confidence` (binomial test on the held-out
    decisions, which is conservative for images of different difficulty: Hoeffding 1956). Many thresholds are tried, as
    "learn then test" allows (Angelopoulos et al. 2021, arXiv:2110.01052, multi-start fixed sequence
    testing): from a high one down until one fails, and again from starts with three, nine, ... times as many decisions,
    which share the level. The lowest that passed is taken. A recall falls as its threshold rises, so that the highest
    threshold which passes one test is taken.

    What cannot be shown is not promised. Where no threshold passes, or there are fewer held-out decisions for a class
    than `least` (45 for a precision of 0.95), the class gets `NEVER`. For a recall that is not reached, or with fewer
    images of the class, it gets 0, or 0.5 where classes are independent. The promise is one of each class by itself,
    and for images like the held-out ones.

    Args:
        probabilities: (n, k) of images that the model was not trained on; rows with NaN are left out.
        labels: (n,) int, -1 = none, and numbers from k on for classes that the model does not know; or (n, k) in
            {0, 1, NaN} where classes are independent, NaN = not annotated.
        precision: Wanted, in (0, 1); or
        recall: wanted, in (0, 1).
        confidence: With which each class reaches it, in [0.5, 1).

    Raises:
        ValueError: Not exactly one of precision and recall, or one of the numbers is out of its range.
    """
    wanted = _checked(precision, recall, confidence)
    least = _fewest(1 - confidence, wanted)
    judged = np.isfinite(probabilities).all(axis=1) & (
        np.isfinite(labels).any(axis=1) if labels.ndim == 2 else labels >= 0
    )
    scores, truth = np.round(np.asarray(probabilities[judged], np.float64), DECIMALS), labels[judged]
    if labels.ndim == 2:
        eligible, present, otherwise = np.isfinite(truth), truth == 1, 0.5
    else:
        classes = np.arange(scores.shape[1])
        eligible = probabilities[judged].argmax(axis=1)[:, None] == classes
        present, otherwise = truth[:, None] == classes, 0.0
    found = [
        _for_precision(scores[own, column], present[own, column], wanted, 1 - confidence)
        if precision is not None
        else _for_recall(np.where(own, scores[:, column], -1)[present[:, column]], wanted, 1 - confidence, otherwise)
        for column, own in enumerate(eligible.T)
    ]
    values = np.array([value for value, _ in found], np.float64)
    return _measured(scores, eligible, present, values, [reason for _, reason in found], least)


def _checked(precision: float | None, recall: float | None, confidence: float) -> float:
    given = [value for value in (precision, recall) if value is not None]
    if len(given) != 1:
        raise ValueError("name either a precision or a recall")
    if not 0 < given[0] < 1:
        raise ValueError(f"precision and recall must lie in (0, 1), got {given[0]}")
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence must lie in [0.5, 1), got {confidence}")
    return given[0]


def _fewest(level: float, wanted: float) -> int:
    """Return how many right ones in a row are less likely than `level` where the chance of one is `wanted`."""
    return math.ceil(round(math.log(level) / math.log(wanted), 9))


def _for_precision(scores: np.ndarray, right: np.ndarray, wanted: float, level: float) -> tuple[float, str]:
    """Return the lowest threshold that passes, and why there is none.

    Args:
        scores: (m,) of the decisions that there are without any threshold.
        right: (m,) bool.
        wanted: Precision.
        level: How likely a threshold of a lower precision may pass.
    """
    least = _fewest(level, wanted)
    if len(scores) < least:
        return NEVER, TOO_FEW
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(right[order])
    share = math.floor(math.log(len(scores) / least, _START)) + 1
    fewest = _fewest(level / share, wanted)
    starts = fewest * _START ** np.arange(share)
    counts = np.flatnonzero(np.append(scores[1:] < scores[:-1], True)) + 1  # equal scores are decided alike
    steps = fewest * _STEP ** np.arange(math.ceil(math.log(max(len(scores) / fewest, 1), _STEP)) + 1)
    tried = np.unique(np.append(counts[np.searchsorted(counts, steps[steps <= len(scores)])], len(scores)))
    fails = binom.sf(hits[tried - 1] - 1, tried, wanted) > level / share
    passed = NEVER
    for start in starts:
        first = int(np.searchsorted(tried, start))
        ends = int(np.argmax(np.append(fails[first:], True)))
        if ends:
            passed = min(passed, float(scores[tried[first + ends - 1] - 1]))
    return passed, REACHED if passed < NEVER else NOT_REACHED


def _for_recall(scores: np.ndarray, wanted: float, level: float, otherwise: float) -> tuple[float, str]:
    """Return the highest threshold that passes, or `otherwise` and why there is none.

    Args:
        scores: (m,) of the class's images; -1 where no threshold would let it be decided for.
        wanted: Recall.
        level: How likely a threshold of a lower recall may pass.
        otherwise: The threshold where none passes.
    """
    if len(scores) < _fewest(level, wanted):
        return otherwise, TOO_FEW
    needed = int(binom.ppf(1 - level, len(scores), wanted)) + 1  # as many as would be too many for a lower recall
    reached = np.sort(scores)[len(scores) - needed] if needed <= len(scores) else -1
    return (float(reached), REACHED) if reached >= 0 else (otherwise, NOT_REACHED)


def _measured(
    scores: np.ndarray,
    eligible: np.ndarray,
    present: np.ndarray,
    values: np.ndarray,
    reasons: Sequence[str],
    least: int,
) -> Thresholds:
    """Say what the thresholds do on the held-out images; (m, k) each."""
    decided = eligible & (scores >= values)
    hits, total, support = (table.sum(axis=0) for table in (decided & present, decided, present))
    return Thresholds(
        values=values,
        precision=np.divide(hits, total, out=np.full(len(values), np.nan), where=total > 0),
        recall=np.divide(hits, support, out=np.full(len(values), np.nan), where=support > 0),
        support=support,
        decided=total,
        reasons=tuple(reasons),
        least=least,
        abstained=float(1 - decided.any(axis=1).mean()) if len(decided) else float("nan"),
    )
