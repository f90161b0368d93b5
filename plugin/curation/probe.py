"""A linear probe in closed form: ridge regression on one-hot labels, out-of-fold scores from one Gram matrix.

The Gram matrix of each fold is built once, block by block; their sum less a fold's own (downdated) is solved for every
strength of the penalty by a Cholesky factor each (Hastie et al., The Elements of Statistical Learning, 2nd ed.,
sections 3.4.1 and 7.10). Seconds where an iterative solver needs minutes, at the accuracy of logistic regression on
such vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from ..errors import DataError
from ..progress import Progress, silent

_PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_CHOOSING_ROWS, _CHOOSING_NUMBERS = 20_000, 5_000_000  # rows, and rows times classes, to choose the penalty on
# Numbers at a time: what is freed after a larger block goes back to the operating system, which fills the next one with
# zeros first; that took longer than the matrix products.
_BLOCK_NUMBERS = 2_500_000
FOLDS = 5
LEAST_LABELS = 2 * FOLDS  # with fewer, no fold can be held out


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear classifier on embeddings, and what it says of each row that it was fitted on while that is held out.

    Attributes:
        weights: (d, k) float64, bias: (k,) float64. Logits = unit-length embedding @ weights + bias; the temperature is
            already in them.
        fold_weights: (f, d, k) float64, fold_bias: (f, k) float64. The same without the rows of one fold.
        folds: (n,) int. The fold of each row that it was fitted on.
        temperature: Factor that makes the softmax of out-of-fold scores likeliest.
        penalty: The chosen ridge penalty, as a share of n.
    """

    weights: np.ndarray
    bias: np.ndarray
    fold_weights: np.ndarray
    fold_bias: np.ndarray
    folds: np.ndarray
    temperature: float
    penalty: float

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Return (n, k) float64 logits of (n, d) embeddings, whose length does not matter."""
        return unit_length(embeddings) @ self.weights + self.bias

    def held_out_logits(self, embeddings: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return (m, k) float64 out-of-fold logits.

        Args:
            embeddings: (n, d) that the probe was fitted on.
            rows: (m,) int. Which of them; None = all.
        """
        chosen = np.arange(len(self.folds)) if rows is None else rows
        embeddings, folds = np.asarray(embeddings), self.folds[chosen]
        logits = np.zeros((len(chosen), len(self.bias)))
        for fold in np.unique(folds):
            for own in _blocks(np.flatnonzero(folds == fold), embeddings.shape[1]):
                features = unit_length(embeddings[chosen[own]])
                logits[own] = features @ self.fold_weights[fold] + self.fold_bias[fold]
        return logits

    def held_out_probabilities(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the (n, k) out-of-fold probabilities of the (n, d) embeddings that the probe was fitted on."""
        return np.exp(log_softmax(self.held_out_logits(embeddings), axis=1))


def fit_probe(
    embeddings: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Probe:
    """Fit a probe and its out-of-fold scores, in memory for a few matrices of (d, d) and 40 of (d, k).

    Args:
        embeddings: (n, d).
        labels: (n,) int in [0, n_classes).
        n_classes: k >= 2.
        groups: (n,) int: rows with the same number >= 0 stay in one fold (duplicates of each other); -1 = alone.
        seed: Of the folds, and of the rows that penalty and temperature are chosen on: 20,000, fewer with many classes.
        progress: Told after each fold.

    Raises:
        DataError: Fewer than two classes occur, or fewer than two rows a fold.
    """
    count = len(labels)
    if len(np.unique(labels)) < 2:
        raise DataError("all labelled images have the same class; a classifier needs at least two classes.")
    if count < LEAST_LABELS:
        raise DataError(f"only {count} labelled images; at least {LEAST_LABELS} are needed to judge any of them.")
    design = _Design(embeddings)
    folds = stratified_folds(labels, groups, seed)
    grams = np.zeros((FOLDS, design.width, design.width))
    moments = np.zeros((FOLDS, design.width, n_classes))
    targets = np.eye(n_classes, dtype=design.type)
    for fold in range(FOLDS):
        for block in _blocks(np.flatnonzero(folds == fold), design.width):
            rows = design.rows(block)
            grams[fold] += rows.T @ rows
            moments[fold] += rows.T @ targets[labels[block]]
    gram, moment = grams.sum(axis=0), moments.sum(axis=0)
    choosing: np.ndarray = np.arange(count)
    most = min(_CHOOSING_ROWS, max(_CHOOSING_NUMBERS // n_classes, 2_000))
    if count > most:
        choosing = np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
    scores = np.zeros((len(_PENALTIES), len(choosing), n_classes))
    solutions = np.zeros((len(_PENALTIES), FOLDS, design.width, n_classes))
    for fold in range(FOLDS):
        others, moment_of_others = gram - grams[fold], moment - moments[fold]
        for number, penalty in enumerate(_PENALTIES):
            solutions[number, fold] = _solved(others, moment_of_others, penalty * count)
        side_by_side = np.concatenate(solutions[:, fold], axis=1, dtype=design.type)  # one product instead of eight
        for block in _blocks(np.flatnonzero(folds[choosing] == fold), design.width):
            found = design.rows(choosing[block]) @ side_by_side
            scores[:, block] = found.reshape(len(block), len(_PENALTIES), n_classes).swapaxes(0, 1)
        progress("linear probe", fold + 1, FOLDS)
    fits = [fit_temperature(found, labels[choosing]) for found in scores]
    best = min(range(len(fits)), key=lambda number: (round(fits[number][1], 4), -number))
    temperature, penalty = fits[best][0], _PENALTIES[best]
    weights, bias = design.undone(_solved(gram, moment, penalty * count) * temperature)
    fold_weights, fold_bias = design.undone(solutions[best] * temperature)
    return Probe(weights, bias, fold_weights, fold_bias, folds, temperature, penalty)


class _Design:
    """Rows of unit length, standardised, with a one at the end; in their own span where they are fewer than columns.

    `type` is that of the rows. Where they are more than a block, float32 will do, as products of blocks are summed up
    as float64: out-of-fold probabilities change by less than 1e-6.
    """

    def __init__(self, embeddings: np.ndarray) -> None:
        self._embeddings = np.asarray(embeddings)
        count, width = self._embeddings.shape
        total, squares = np.zeros(width), np.zeros(width)
        for block in _blocks(np.arange(count), width):
            features = unit_length(self._embeddings[block])
            total += features.sum(axis=0)
            squares += np.einsum("ij,ij->j", features, features)
        self._centre = total / count
        self._spread = np.sqrt(np.maximum(squares / count - self._centre**2, 0)) + 1e-6
        self._rotation: np.ndarray | None = None
        self.type = np.float32 if count > width and count * width > _BLOCK_NUMBERS else np.float64
        if count <= width:
            self._rotation = np.linalg.svd(self.rows(np.arange(count)), full_matrices=False)[2].T
        self.width = min(count, width + 1)

    def rows(self, which: np.ndarray) -> np.ndarray:
        rows = np.empty((len(which), self._embeddings.shape[1] + 1), self.type)
        centred = unit_length(self._embeddings[which])
        centred -= self._centre
        np.divide(centred, self._spread, out=rows[:, :-1], casting="same_kind")
        rows[:, -1] = 1
        return rows if self._rotation is None else rows @ self._rotation

    def undone(self, solution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (..., d, k) and bias (..., k) for rows of unit length."""
        if self._rotation is not None:
            solution = self._rotation @ solution
        weights = solution[..., :-1, :] / self._spread[:, None]
        return weights, solution[..., -1, :] - self._centre @ weights


def _solved(gram: np.ndarray, moment: np.ndarray, penalty: float) -> np.ndarray:
    # As LAPACK wants it, which would copy it once more; a symmetric matrix need not be turned around for that.
    penalised = np.array(gram.T, order="F")
    penalised.flat[:: len(gram) + 1] += penalty
    return np.asarray(cho_solve(cho_factor(penalised, lower=True, overwrite_a=True), moment))


def _blocks(rows: np.ndarray, width: int) -> Iterator[np.ndarray]:
    step = max(_BLOCK_NUMBERS // width, 1)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the factor t that makes softmax(t * scores) likeliest, and its mean negative log-likelihood.

    Temperature scaling (Guo et al. 2017, arXiv:1706.04599), with t as a factor instead of a divisor.
    """
    below = scores - scores.max(axis=1, keepdims=True)  # the largest is 0: no power overflows
    given = below[np.arange(len(labels)), labels].mean()
    powers = np.empty_like(below)

    def loss(log_factor: float) -> float:
        factor = np.exp(log_factor)
        np.exp(np.multiply(below, factor, out=powers), out=powers)
        return float(np.log(powers.sum(axis=1)).mean() - factor * given)

    best = minimize_scalar(loss, bounds=(-4, 6), method="bounded")
    return float(np.exp(best.x)), float(best.fun)


def stratified_folds(labels: np.ndarray, groups: np.ndarray | None, seed: int, folds: int = FOLDS) -> np.ndarray:
    """Return (n,) fold numbers: each class is spread evenly, and rows of one group share a fold."""
    rng = np.random.default_rng(seed)
    fold = np.full(len(labels), -1)
    leaders = np.arange(len(labels))
    if groups is not None:
        grouped = groups >= 0
        _, first, inverse = np.unique(groups[grouped], return_index=True, return_inverse=True)
        leaders[grouped] = np.flatnonzero(grouped)[first][inverse]
    start = 0
    for label in np.unique(labels):
        own = np.flatnonzero((labels == label) & (leaders == np.arange(len(labels))))
        fold[rng.permutation(own)] = (start + np.arange(len(own))) % folds
        start += len(own)  # the next class goes on where this one stopped, so that small classes do not pile up
    return fold[leaders]


def unit_length(embeddings: np.ndarray) -> np.ndarray:
    """Return (n, d) float64 rows of length 1; an all-zero row stays zero."""
    scaled = np.array(embeddings, np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    scaled /= np.where(length > 0, length, 1)[:, None]
    return scaled
