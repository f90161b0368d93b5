"""What wrong labels look like: a noisy channel between true and given classes, fitted to labels and evidence.

The evidence about an image is first calibrated to the given labels: a log-linear pool (Genest and Zidek 1986) with
weights for each kind of evidence and class and an offset for each class (vector scaling: Guo et al. 2017,
arXiv:1706.04599).

Where labels are wrong, calibrated evidence is blunt: among images that are certainly cats, it says "cat" only as often
as cats are labelled so. The channel T, T[i, j] = P(given i | true j), undoes that: the true class is distributed as the
inverse of T applied to the calibrated evidence (Patrini et al. 2017, arXiv:1609.03683), sharpened or blunted once more,
and T is fitted by expectation maximisation (Dempster et al. 1977) from a start that takes every disagreement for noise.
So the fit ends at the noisiest channel that the most certain images allow (the principle of minimum volume: Li et al.
2021, arXiv:2102.02400), and counts what likelihood alone leaves open.

What no fit can tell is noise that falls just where the evidence is unsure anyway: to the labels it is the same as a
weak classifier. Which of three pictures is taken is therefore decided openly, see `fit_noise_channel`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize

Kind = Literal["none", "uniform", "pairs"]

_FIT_ROWS = 50_000
_FIT_NUMBERS = 500_000  # rows times classes that the fit works on, but for
_FIT_CLASS = 5  # rows a class, on average, that it needs at least
_STEPS = 40
_TOLERANCE = 1e-6  # nats a label
_FLOOR = 0.01  # of a class's probability after the inverse, over the number of classes
# A normal prior of this deviation around equal classes: the fewer labels, the less may classes differ.
_DEVIATION = 0.1
# A Beta prior on the noise rate, worth half a wrong and ten right labels: on a hundred images the likelihood alone can
# be largest at no noise at all; on thousands the prior is not felt.
_PRIOR_WRONG, _PRIOR_RIGHT = 0.5, 10.0
_PAIR_PRIOR = 2.0  # labels a class that pull its errors towards uniform ones
_MOST_OF_DIAGONAL = 0.9  # a wrong class is given less often than the right one, by this factor at least
# Nats a label by which a kind of noise must explain the labels better than less of it. In simulations pairs gain less
# than 0.006 beyond uniform noise where noise is uniform, and more than 0.01 where it is not.
_UNIFORM_GAIN, _PAIRS_GAIN, _DECISIVE_GAIN = 0.005, 0.01, 0.03
_TWO_CLASSES_GAIN = 0.001  # by which pairs must explain the labels of two classes, which hold less information
# How far the logarithms of the rates of pairs are drawn together: by half, or by this over the noise where that is
# less. The fewer labels are wrong, the more the rates of pairs are what the evidence itself confuses.
_MOST_DRAWN, _DRAWN_OVER_NOISE = 0.5, 0.04
_PAIRS_SHARE = 0.9  # of what uniform noise gains: below that pairs are mostly what the evidence itself confuses
_LIKE_NONE = 0.01  # nats a label by which much noise of pairs may explain the labels worse than no noise
_MUCH_NOISE = 0.1


@dataclass(frozen=True, eq=False)
class NoiseChannel:
    """How labels come about from true classes, and what the evidence says of these.

    Attributes:
        kind: "uniform": a wrong label is any other class. "pairs": each pair of classes has a rate of its own. "none":
            the labels show no noise but what the evidence's own errors explain too.
        matrix: (k, k) float64. P(given i | true j); each column sums to 1.
        pool: (e + 1, k) float64. A row of weights for each of e kinds of evidence, then the offsets of the classes.
        sharpening: (2, k) float64. Exponents and offsets of the distribution of the true class.
        shares: (k,) float64. How often each class is given; sums to 1.
    """

    kind: Kind
    matrix: np.ndarray
    pool: np.ndarray
    sharpening: np.ndarray
    shares: np.ndarray

    def calibrated(self, evidence: list[np.ndarray]) -> np.ndarray:
        """Return (n, k) float64: P(given class | image)."""
        return np.exp(scaled(evidence, self.pool))

    def true_class(self, evidence: list[np.ndarray], labels: np.ndarray) -> np.ndarray:
        """Return (n, k) float64: P(true class | image, label); evidence as for `fit_noise_channel`, labels (n,) int."""
        calibrated = self.calibrated(evidence)
        if self.kind == "none":
            return _undecided(calibrated, labels, self.shares)
        likely = np.exp(scaled([_inverted(calibrated, self.matrix)], self.sharpening))
        return _given_label(likely, _drawn_together(self.matrix, self.shares), labels)[0]


def rows_to_fit(count: int, n_classes: int, seed: int) -> np.ndarray:
    """Return the numbers of the rows, of `count`, that a channel is fitted on: 50,000, or fewer with many classes."""
    most = max(1_000, _FIT_CLASS * n_classes, min(_FIT_ROWS, _FIT_NUMBERS // n_classes))
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def fit_noise_channel(
    evidence: list[np.ndarray],
    labels: np.ndarray,
    confirmed: np.ndarray | None = None,
    kind: Kind | None = None,
) -> NoiseChannel:
    """Fit a channel, and decide what kind of noise there is where it is not told.

    Uniform noise is taken where it explains the labels clearly better than none, and about as well as noise of pairs:
    what these explain beyond it are mostly the pairs that the evidence itself confuses. Noise of pairs is taken where
    it explains labels that were left out of its rates clearly better, or is much and explains them as well as no noise.
    With two classes, a rate of each class is noise of pairs; it is taken where it explains the labels better than none.

    Args:
        evidence: One or more (n, k) arrays of scores: logarithms of probabilities up to a factor and an offset a row.
        labels: (n,) int in [0, k).
        confirmed: (n,) bool. Labels that are known to be right.
        kind: What kind of noise there is; None = decided here.
    """
    n_classes = evidence[0].shape[1]
    known = np.zeros(len(labels), bool) if confirmed is None else confirmed
    pool = calibrate(evidence, labels)
    log_calibrated = scaled(evidence, pool)
    without = -float(log_calibrated[np.arange(len(labels)), labels].sum())
    fit = _Fit(np.exp(log_calibrated), labels, known)
    uniform, pairs = fit.run(pairs=False), fit.run(pairs=True)
    kind = kind or _kind_of_noise(without, uniform, pairs, len(labels))
    shares = np.bincount(labels, minlength=n_classes) / max(len(labels), 1)
    if kind == "none":
        return NoiseChannel(kind, np.eye(n_classes), pool, _as_it_is(n_classes), shares)
    best = pairs if kind == "pairs" else uniform
    return NoiseChannel(kind, best.matrix, pool, best.sharpening, shares)


def calibrate(evidence: list[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Return the (e + 1, k) rows of `scaled` that make (n,) labels likeliest; evidence as for `fit_noise_channel`."""
    n_classes = evidence[0].shape[1]
    weights = np.full((len(evidence), n_classes), 1 / len(evidence))
    start = np.vstack([weights, np.zeros(n_classes)])
    return _fit_scaling(evidence, np.eye(n_classes)[labels], start, iterations=50)


def scaled(evidence: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Return the (n, k) log-probabilities of the weighted sum of scores plus offsets.

    Args:
        evidence: One or more (n, k) arrays of scores.
        rows: (e + 1, k). A row of weights for each of them, then the offsets.
    """
    total = rows[0] * evidence[0] + rows[-1]
    for weights, scores in zip(rows[1:-1], evidence[1:], strict=True):
        total += weights * scores
    total -= total.max(axis=1, keepdims=True)
    total -= np.log(np.exp(total).sum(axis=1, keepdims=True))
    return total


def _kind_of_noise(without: float, uniform: _Fitted, pairs: _Fitted, count: int) -> Kind:
    """Decide from the losses in nats of `count` labels; without: the loss with no noise."""
    gain, more = without - uniform.loss, uniform.loss - pairs.loss
    chance = np.log(count) / 2
    if len(pairs.matrix) == 2:
        return "pairs" if gain + more > max(chance, _TWO_CLASSES_GAIN * count) else "none"
    clear = gain > max(chance, _UNIFORM_GAIN * count)
    if clear and more < min(_PAIRS_SHARE * gain, _DECISIVE_GAIN * count):
        return "uniform"
    # Evidence that has learned the noise explains the labels without it just as well; then the noisier picture counts.
    as_good = pairs.loss < without + _LIKE_NONE * count and pairs.noise >= _MUCH_NOISE
    if more > max(chance, _PAIRS_GAIN * count) or as_good:
        return "pairs"
    return "uniform" if clear else "none"


@dataclass(frozen=True, eq=False)
class _Fitted:
    matrix: np.ndarray
    sharpening: np.ndarray
    loss: float  # nats of all labels; of pairs, with each label left out of its own rates
    noise: float  # share of wrong labels


class _Fit:
    """Expectation maximisation on (n, k) calibrated probabilities."""

    def __init__(self, calibrated: np.ndarray, labels: np.ndarray, known: np.ndarray) -> None:
        self._calibrated, self._labels, self._known = calibrated, labels, known
        self._targets = np.eye(calibrated.shape[1])[labels]

    def run(self, *, pairs: bool) -> _Fitted:
        """Fit one rate for all errors, or one for each pair of classes."""
        count, n_classes = self._calibrated.shape
        matrix = self._every_disagreement(pairs)
        sharpening = _as_it_is(n_classes)
        last, loss, counts = np.inf, 0.0, np.zeros((n_classes, n_classes))
        inverted = posterior = np.zeros((count, n_classes))
        for step in range(_STEPS):
            inverted = _inverted(self._calibrated, matrix)
            posterior, loss = self._expect(inverted, sharpening, matrix)
            if last - loss < _TOLERANCE * count and step > 5:
                break
            last = loss
            sharpening = _fit_scaling([inverted], posterior, sharpening, iterations=4)
            posterior, _ = self._expect(inverted, sharpening, matrix)
            counts = self._targets[~self._known].T @ posterior[~self._known]
            matrix = _channel(counts, pairs)
        noise = float(1 - np.trace(counts) / max(counts.sum(), 1e-12))
        loss = self._left_out(inverted, sharpening, posterior, counts) if pairs else loss
        return _Fitted(matrix, sharpening, loss, noise)

    def _left_out(
        self, inverted: np.ndarray, sharpening: np.ndarray, posterior: np.ndarray, counts: np.ndarray
    ) -> float:
        """Return the loss of pairs with each label left out of its own rates: a lone error does not explain itself."""
        own = np.where(self._known[:, None], 0, posterior)
        total, uniform = counts.sum(axis=0) - own, _channel(counts, pairs=False)[self._labels]
        rates = (counts[self._labels] - own + _PAIR_PRIOR * uniform) / (np.maximum(total, 0) + _PAIR_PRIOR)
        likelihood = (np.exp(scaled([inverted], sharpening)) * np.maximum(rates, 1e-12)).sum(axis=1)
        return -float(np.log(np.maximum(likelihood, 1e-300)).sum())

    def _expect(self, inverted: np.ndarray, sharpening: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, float]:
        posterior, likelihood = _given_label(np.exp(scaled([inverted], sharpening)), matrix, self._labels)
        posterior[self._known] = self._targets[self._known]
        return posterior, -float(np.log(likelihood).sum())

    def _every_disagreement(self, pairs: bool) -> np.ndarray:
        counts = self._targets.T @ np.eye(self._targets.shape[1])[self._calibrated.argmax(axis=1)]
        return _channel(counts, pairs)


def _channel(counts: np.ndarray, pairs: bool) -> np.ndarray:
    """Return the (k, k) channel for the expected number of labels by given and true class."""
    n_classes = len(counts)
    diagonal = np.eye(n_classes, dtype=bool)
    total, wrong = counts.sum(axis=0), np.where(diagonal, 0, counts)
    noise = (wrong.sum() + _PRIOR_WRONG) / (total.sum() + _PRIOR_WRONG + _PRIOR_RIGHT)
    uniform = np.where(diagonal, 0, noise / (n_classes - 1))
    rates = (wrong + _PAIR_PRIOR * uniform) / (total + _PAIR_PRIOR) if pairs else uniform
    # The right class must stay the likeliest label, or no evidence could tell which class is which.
    most = rates.max(axis=0)
    allowed = _MOST_OF_DIAGONAL * (1 - rates.sum(axis=0) + most) / (1 + _MOST_OF_DIAGONAL)
    rates = rates * np.minimum(1, allowed / np.maximum(most, 1e-12))
    return rates + np.where(diagonal, 1 - rates.sum(axis=0), 0)


def _drawn_together(matrix: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the (k, k) channel with rates that differ less between pairs of more than two classes; as much noise."""
    n_classes = len(matrix)
    noise = float(((1 - np.diag(matrix)) * shares).sum())
    if n_classes == 2 or noise <= 0:
        return matrix
    weight = min(_MOST_DRAWN, _DRAWN_OVER_NOISE / noise)
    rates = np.where(np.eye(n_classes, dtype=bool), 0, matrix ** (1 - weight))
    rates *= noise / float((rates * shares).sum())
    return rates + np.diag(1 - rates.sum(axis=0))


def _inverted(calibrated: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the (n, k) logarithms of the inverse channel's answer, which may miss the simplex and is cut off there."""
    true = np.linalg.solve(matrix, calibrated.T).T
    return np.log(np.maximum(true, _FLOOR / len(matrix)))


def _given_label(likely: np.ndarray, matrix: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P(true class | image, label), (n, k), and P(label | image), (n,)."""
    joint = likely * matrix[labels]
    likelihood = np.maximum(joint.sum(axis=1), 1e-300)
    return joint / likelihood[:, None], likelihood


def _undecided(calibrated: np.ndarray, labels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return P(true class | image, label) where a disagreement may be the label's error as well as the evidence's.

    Half of a disagreement's weight, a little less where it is close, goes to the label; agreement is taken as right. A
    label of a rare class agrees, too, where the class would be the likeliest if all classes were as frequent: evidence
    hardly ever names a class that it has seen ten times, and that is not the labels' fault.
    """
    own = np.arange(len(labels))
    given, most = calibrated[own, labels], calibrated.max(axis=1)
    level = np.divide(calibrated, shares, out=np.zeros_like(calibrated), where=shares > 0)
    agreed = (given == most) | (level[own, labels] == level.max(axis=1))
    wrong = np.where(agreed, 0, 0.5 - 0.1 * given / np.maximum(most, 1e-300))
    others = calibrated.copy()
    others[own, labels] = 0
    posterior = others * (wrong / np.maximum(others.sum(axis=1), 1e-300))[:, None]
    posterior[own, labels] = 1 - wrong
    return posterior


def _as_it_is(n_classes: int) -> np.ndarray:
    """Return the (2, k) sharpening that changes nothing."""
    return np.stack([np.ones(n_classes), np.zeros(n_classes)])


def _fit_scaling(evidence: list[np.ndarray], targets: np.ndarray, start: np.ndarray, iterations: int) -> np.ndarray:
    """Return the rows of `scaled` that make (n, k) soft targets likeliest; start from rows of (e + 1, k)."""
    penalty = 1 / (2 * _DEVIATION**2 * len(targets))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        rows = flat.reshape(start.shape)
        log_likely = scaled(evidence, rows)
        slope = (np.exp(log_likely) - targets) / len(targets)
        apart = np.vstack([rows[:-1] - rows[:-1].mean(axis=1, keepdims=True), rows[-1:]])
        value = -float(np.vdot(targets, log_likely)) / len(targets) + penalty * float(np.vdot(apart, apart))
        gradient = np.stack([*(np.einsum("nk,nk->k", slope, scores) for scores in evidence), slope.sum(axis=0)])
        return value, (gradient + 2 * penalty * apart).ravel()

    best = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": iterations})
    return best.x.reshape(start.shape)
