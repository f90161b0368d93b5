"""What the next labels are worth: an inverse power law through the rounds so far, and when to stop.

Error falls with the number of labels n as `floor + scale * n ** -exponent` (Cortes et al. 1994, "Learning curves:
asymptotic values and rate of convergence", NIPS 6). It is fitted by least squares in which later rounds weigh more, as
Figueroa et al. (2012, "Predicting sample size required for classification performance", BMC Medical Informatics and
Decision Making 12:8) do: the curve is asked what comes next, not what was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_EXPONENTS = np.geomspace(0.05, 2, 60)
_LEAST_ROUNDS = 3  # with fewer, the three numbers of the law are anybody's guess
_DRAWS = 400
_Z = 1.959964  # a 95 % interval is so many standard errors to each side


@dataclass(frozen=True)
class PowerLaw:
    """Error as a function of the number of labels: `floor + scale * n ** -exponent`.

    Attributes:
        floor: Error that no number of labels takes away, in 0..1.
        scale: Error at one label, beyond the floor; at least 0.
        exponent: How fast it falls; above 0.
    """

    floor: float
    scale: float
    exponent: float

    def score(self, labels: float) -> float:
        """Return one minus the error that is expected of so many labels, at least 0."""
        return max(0.0, 1 - self.floor - self.scale * labels**-self.exponent)

    def gain(self, labels: float, more: float) -> float:
        """Return what so many more labels are expected to add to the score."""
        return self.score(labels + more) - self.score(labels)

    def labels_for(self, score: float) -> float:
        """Return how many labels are expected to be needed for a score; infinity where the floor lies above it."""
        left = 1 - score - self.floor
        if left <= 0:
            return float("inf")
        return float((self.scale / left) ** (1 / self.exponent))


@dataclass(frozen=True)
class ExpectedGain:
    """What more labels are expected to add to the score.

    Attributes:
        more: How many more labels.
        gain: In 0..1.
        interval: 95 % interval, by drawing the measured scores again within theirs (a parametric bootstrap).
    """

    more: int
    gain: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Advice:
    """Whether another round is worth it.

    Attributes:
        without_gain: How many of the latest rounds have not beaten the best one before them.
        expected: What the next 100 labels should bring; None while there are fewer than three rounds.
        no_gain: As many rounds without a gain as one was ready to see.
        little_expected: The next 100 labels should bring less than is worth it.
    """

    without_gain: int
    expected: ExpectedGain | None
    no_gain: bool
    little_expected: bool

    @property
    def stop(self) -> bool:
        """Whether to stop."""
        return self.no_gain or self.little_expected


def fit_power_law(labels: np.ndarray, scores: np.ndarray) -> PowerLaw | None:
    """Fit the law to m rounds.

    Args:
        labels: (m,) How many labels each round was trained on, above 0.
        scores: (m,) What it reached, in 0..1; NaN = not measured.

    Returns:
        None where fewer than three different numbers of labels were measured.

    Raises:
        ValueError: The lengths differ, or a number of labels is not positive.
    """
    counts, reached = _measured(labels, scores)
    if len(np.unique(counts)) < _LEAST_ROUNDS:
        return None
    floor, scale, exponent = _fit(counts, reached[None])
    return PowerLaw(float(floor[0]), float(scale[0]), float(exponent[0]))


def expected_gain(
    labels: np.ndarray, scores: np.ndarray, intervals: np.ndarray, more: int = 100, seed: int = 0
) -> ExpectedGain | None:
    """Return what `more` labels should add after the last of m rounds.

    Args:
        labels: (m,) as for `fit_power_law`, ascending.
        scores: (m,) likewise.
        intervals: (m, 2) 95 % intervals of the scores.
        more: How many more labels.
        seed: Of the draws.

    Returns:
        None where the law can't be fitted.
    """
    law = fit_power_law(labels, scores)
    if law is None:
        return None
    known = np.isfinite(scores)
    counts, reached = _measured(labels, scores)
    deviation = np.diff(np.asarray(intervals, np.float64)[known], axis=1)[:, 0] / (2 * _Z)
    drawn = reached + np.random.default_rng(seed).normal(0, 1, (_DRAWS, len(reached))) * deviation
    _, scale, exponent = _fit(counts, np.clip(drawn, 0, 1))
    now = counts[-1]
    gains = scale * (now**-exponent - (now + more) ** -exponent)
    low, high = np.percentile(gains, [2.5, 97.5])
    return ExpectedGain(more, law.gain(float(now), more), (float(low), float(high)))


def rounds_without_gain(scores: np.ndarray) -> int:
    """Return how many of the latest rounds have not beaten the best one before them; rounds of NaN are passed over."""
    best, since = -np.inf, 0
    for score in scores[np.isfinite(scores)]:
        if score > best:
            best, since = score, 0
        else:
            since += 1
    return since


def advise(
    labels: np.ndarray,
    scores: np.ndarray,
    intervals: np.ndarray,
    *,
    patience: int,
    least_gain: float,
    seed: int = 0,
) -> Advice:
    """Judge whether another round is worth it.

    Args:
        labels: (m,) as for `expected_gain`.
        scores: (m,) likewise.
        intervals: (m, 2) likewise.
        patience: Rounds without a gain after which to stop.
        least_gain: What 100 labels must bring, in 0..1, so that they are worth it.
        seed: Of the draws.
    """
    since = rounds_without_gain(scores)
    expected = expected_gain(labels, scores, intervals, 100, seed)
    return Advice(since, expected, since >= patience, expected is not None and expected.gain < least_gain)


def _measured(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if labels.shape != scores.shape:
        raise ValueError(f"scores must have shape {labels.shape} like labels, got {scores.shape}")
    if (labels <= 0).any():
        raise ValueError(f"each round needs at least one label, got {labels.tolist()}")
    known = np.isfinite(scores)
    return labels[known].astype(np.float64), scores[known].astype(np.float64)


def _fit(counts: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (r,) floor, scale and exponent of the laws nearest to (r, m) scores.

    Given the exponent the law is a line in `n ** -exponent`; its two numbers must not be negative, so that the best
    line is the free one or lies on the edge.
    """
    errors = 1 - scores
    weights = np.arange(1, len(counts) + 1) / len(counts)
    powers = counts[None, :] ** -_EXPONENTS[:, None]  # (e, m)
    total, mean_x = weights.sum(), powers @ weights / weights.sum()
    mean_y = errors @ weights / total
    spread = (powers - mean_x[:, None]) ** 2 @ weights
    together = np.einsum("em,rm,m->re", powers - mean_x[:, None], errors, weights)
    scale = np.maximum(together / spread, 0)
    floor = mean_y[:, None] - scale * mean_x
    through_zero = np.einsum("em,rm,m->re", powers, errors, weights) / (powers**2 @ weights)
    scale = np.where(floor < 0, through_zero, scale)
    floor = np.maximum(floor, 0)
    fitted = floor[:, :, None] + scale[:, :, None] * powers[None]
    lost = ((fitted - errors[:, None, :]) ** 2) @ weights
    best = lost.argmin(axis=1)
    rows = np.arange(len(scores))
    return floor[rows, best], scale[rows, best], _EXPONENTS[best]
