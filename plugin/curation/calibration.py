"""From the margin of a pair to the probability that it is a copy, and to the cut that keeps a wanted precision.

A logistic curve (Platt 1999), fitted to the user's own images: the margins of copies come from copies made of some of
them on purpose, those of look-alikes from all candidate pairs, each weighed by the probability that it is none. The
share of copies among the candidates is then found by the EM algorithm of Saerens et al. 2002, "Adjusting the outputs of
a classifier to new a priori probabilities".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

EXPECTED_PRECISION = 0.95
_SMALLEST_THRESHOLD = 0.5
_TRUST = 30.0  # in the general slope, in pairs; it is trusted to within 30 %
_NEWTON_STEPS = 50
_EM_ROUNDS = 100


@dataclass(frozen=True)
class Curve:
    """Probability that a pair shows the same shot, by its margin.

    Attributes:
        slope: Change of the log-odds with the margin.
        middle: Margin where the probability is 1/2.
    """

    slope: float
    middle: float

    def __call__(self, margin: np.ndarray) -> np.ndarray:
        """Return (m,) float64 in [0, 1] for (m,) margins."""
        return expit(self.slope * (margin.astype(np.float64) - self.middle))


# Read off synthetic copies of Fashion-MNIST images; holds where there are too few images to learn from.
GENERAL_CURVE = Curve(5.0, 2.1)


def independence(pairs: np.ndarray, probability: np.ndarray, n: int) -> np.ndarray:
    """Return (m,) weights in 0..1, one over the number of likely pairs that either image is part of.

    A thousand frames of one scene make thousands of right pairs. Counted one by one, they would tell that copies are
    common among the other images too.

    Args:
        pairs: (m, 2) int64.
        probability: (m,) of each pair.
        n: Number of images.
    """
    likely = np.bincount(pairs[probability >= _SMALLEST_THRESHOLD].ravel(), minlength=n)
    return 1 / np.maximum(likely[pairs].max(axis=1, initial=1), 1)


def fit_curve(candidates: np.ndarray, copies: np.ndarray, weight: np.ndarray | None = None) -> Curve:
    """Fit the curve to the user's images.

    Args:
        candidates: (m,) margins of the pairs to be scored, of which nobody knows which are copies.
        copies: (t,) margins of known copies.
        weight: (m,) how much each candidate counts, see `independence`; None = all the same.
    """
    if not len(candidates) or not len(copies):
        return GENERAL_CURVE
    counts = np.ones(len(candidates)) if weight is None else weight
    doubt = GENERAL_CURVE(candidates)
    expected = max(float(counts @ doubt), 1.0)
    values = np.concatenate([copies, candidates]).astype(np.float64)
    labels = np.repeat([1.0, 0.0], [len(copies), len(candidates)])
    weights = np.concatenate([np.full(len(copies), expected / len(copies)), counts * (1 - doubt)])
    slope, bias = _logistic(values, labels, weights)
    total = float(counts.sum())
    share = expected / total
    for _ in range(_EM_ROUNDS):
        found = counts @ expit(slope * candidates.astype(np.float64) + bias) / total
        found = float(np.clip(found, 1 / (1 + total), 0.5))
        change = logit(found) - logit(share)
        bias, share = bias + change, found
        if abs(change) < 1e-3:
            break
    return Curve(slope, -bias / slope)


def _logistic(values: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return slope and bias of the weighted logistic regression, the slope drawn towards the general one (Newton)."""
    general = GENERAL_CURVE.slope
    stiffness = _TRUST / (0.3 * general) ** 2
    slope, bias = general, -general * GENERAL_CURVE.middle
    for _ in range(_NEWTON_STEPS):
        probability = expit(slope * values + bias)
        residual, spread = weights * (probability - labels), weights * probability * (1 - probability)
        gradient = np.array([residual @ values + stiffness * (slope - general), residual.sum()])
        mixed = spread @ values
        curvature = np.array([[spread @ values**2 + stiffness, mixed], [mixed, spread.sum() + 1e-9]])
        step = np.linalg.solve(curvature, gradient)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        slope, bias = max(slope - step[0], 0.5), bias - step[1]
        if np.abs(step).max() < 1e-6:
            break
    return slope, bias


def automatic_threshold(
    score: np.ndarray, weight: np.ndarray | None = None, precision: float = EXPECTED_PRECISION
) -> float:
    """Return the smallest score from which the mean probability is at least `precision`; 0.5 or more.

    Args:
        score: (m,) probabilities, the largest first.
        weight: (m,) how much each pair counts, see `independence`; None = all the same.
        precision: Wanted share of right pairs among those at or above the threshold.
    """
    counts = np.ones(len(score)) if weight is None else weight
    mean = np.cumsum(counts * score) / np.cumsum(counts)
    (enough,) = np.nonzero((mean >= precision) & (score >= _SMALLEST_THRESHOLD))
    # Equal scores are all flagged or none, so the last of a run of them decides.
    last = np.append(score[1:] < score[:-1], True) if len(score) else np.empty(0, bool)
    whole = enough[last[enough]]
    return round(float(score[whole[-1]]), 4) if len(whole) else EXPECTED_PRECISION
