"""The linear layer that training starts from: logistic regression on embeddings, of one label an image or of several.

Curation judges labels by a ridge regression that takes seconds (`curation.probe`); a classifier is worth the longer
descent to the likeliest weights. The penalty is chosen on held-out rows along a path from strong to weak, each solution
being the start of the next (Friedman, Hastie and Tibshirani 2010, Journal of Statistical Software 33(1)).
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import brentq, minimize
from scipy.special import expit, log_softmax, softmax

from ..curation.probe import FOLDS, fit_temperature, stratified_folds
from ..errors import DataError
from ..progress import Progress, silent
from .earlier import Prior

_PENALTIES = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)  # of the squared weights, beside the mean loss of a row
_PENALTIES_OF_PRIOR = (3.0, 1.0, 0.3)  # before those: much may be known already
_ALL_FOLDS_ROWS = 5_000  # with more of them, one held-out fold tells as much as is needed
_CHOOSING_ROWS = 10_000  # with many more of them, the penalty is chosen on about so many
_BLOCK = 8_192
_MOST_STEPS = 200
_DOUBT = 0.05  # p (1 - p) of a class, on average
_FACTOR_POWER = 3.0
_TOLERANCE = 1e-5  # of the mean loss; a step that gains less ends the descent


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A linear classifier on embeddings of length 1, calibrated.

    Attributes:
        weights: (d, k) float64.
        bias: (k,) float64.
        held_out_rows: (m,) int, ascending. Rows that were held out once: all of at most 5,000, else a fifth.
        held_out: (m, k) float64. Out-of-fold logits of those rows.
        held_out_folds: (m,) int. Which of f layers, that were fitted without a fold each, said so.
        fold_weights: (f, d, k) float64, fold_bias: (f, k) float64. Those layers.
        penalty: The chosen one.
        factor: What calibration multiplied the logits by.
    """

    weights: np.ndarray
    bias: np.ndarray
    held_out_rows: np.ndarray
    held_out: np.ndarray
    held_out_folds: np.ndarray
    fold_weights: np.ndarray
    fold_bias: np.ndarray
    penalty: float
    factor: float

    def logits(self, vectors: np.ndarray) -> np.ndarray:
        """Return (m, k) float64 logits of (m, d) embeddings, whose length does not matter."""
        return vectors @ self.weights / _lengths(vectors)[:, None] + self.bias


def fit_head(
    vectors: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    *,
    groups: np.ndarray,
    seed: int,
    prior: Prior | None = None,
    progress: Progress = silent,
) -> LinearHead:
    """Fit a linear classifier, without a copy of the vectors.

    Args:
        vectors: (n, d) float32.
        labels: (n,) int in [0, k); or (n, k) float in {0, 1, NaN}, each class by itself, of the images that are known.
        n_classes: k.
        groups: (n,) int: rows with the same number >= 0 are never on both sides of a fold; -1 = alone.
        seed: Of the folds.
        prior: What an earlier classifier knows of the classes; the weights are drawn to it instead of to zero.
        progress: Told along the way.

    Raises:
        DataError: Too few images, or one label an image and fewer than two classes.
    """
    if labels.ndim == 1 and len(np.unique(labels)) < 2:
        raise DataError("all labelled images have the same class; a classifier needs at least two classes.")
    if len(labels) < 2 * FOLDS:
        raise DataError(f"only {len(labels)} labelled images; at least {2 * FOLDS} are needed to judge any of them.")
    targets = labels_as_targets(vectors, labels, n_classes, prior)
    problem = _Problem(vectors, targets, several=labels.ndim == 2, prior=prior)
    strata = strata_of(labels)
    folds = stratified_folds(strata, groups, seed)
    asked = range(FOLDS) if len(labels) <= _ALL_FOLDS_ROWS else range(1)
    if len(labels) < 2 * _CHOOSING_ROWS:
        solutions, penalty = _along_the_path(problem, folds, asked, progress)
    else:
        few = np.flatnonzero(stratified_folds(strata, groups, seed + 1, len(labels) // _CHOOSING_ROWS) == 0)
        solutions, penalty = _along_the_path(problem.of_rows(few), folds[few], asked, progress)
        penalty *= len(few) / len(labels)  # as strong beside the sum of the losses
        solutions = {fold: problem.solve(solutions[fold], penalty, _without(folds, fold)) for fold in asked}
    rows = np.flatnonzero(np.isin(folds, asked))
    held_out = np.zeros((len(rows), n_classes))
    for fold, solution in solutions.items():
        own = folds[rows] == fold
        held_out[own] = problem.logits(solution, rows[own])
    factor = temperature(held_out, labels[rows])
    layers = [problem.undone(solutions[fold] * factor) for fold in asked]
    solution = problem.solve(solutions[0], penalty, np.ones(len(labels), np.float32))
    weights, bias = problem.undone(solution * factor)
    progress("linear probe", 1, 1)
    return LinearHead(
        weights,
        bias,
        rows,
        held_out * factor,
        folds[rows],
        np.stack([layer[0] for layer in layers]),
        np.stack([layer[1] for layer in layers]),
        penalty,
        factor,
    )


def labels_as_targets(
    vectors: np.ndarray, labels: np.ndarray, n_classes: int, prior: Prior | None = None
) -> np.ndarray:
    """Return (n, k) float32: shares of classes that sum to 1, or several labels an image as they are."""
    if prior is not None:
        return prior.targets(vectors, labels).astype(np.float32)
    return (labels if labels.ndim == 2 else np.eye(n_classes)[labels]).astype(np.float32)


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor that calibrates (n, k) logits, given (n,) or (n, k) labels of images that were not trained on.

    It makes the labels likeliest, see `fit_temperature`. Of one label an image it is the geometric mean of that factor
    and of the one with which the mean confidence is the accuracy (Clarte et al. 2023, arXiv:2303.02644): on some
    hundred images each of the two is further off by itself. Where all are right, no factor is the likeliest.
    """
    if labels.ndim == 1:
        right = logits.argmax(axis=1) == labels
        # As if one more were right and one more were wrong (Laplace's rule of succession): certainty takes more images.
        consistent = _consistent_factor(logits, (right.sum() + 1) / (len(right) + 2))
        return consistent if right.all() else float(np.sqrt(fit_temperature(logits, labels)[0] * consistent))
    known = np.isfinite(labels)
    # The odds of one class against none are a softmax of two.
    pairs = np.stack([np.zeros(known.sum()), logits[known]], axis=1)
    return fit_temperature(pairs, labels[known].astype(np.int64))[0]


def _consistent_factor(logits: np.ndarray, accuracy: float) -> float:
    """Return the factor, from e^-3 to e^3, with which the mean confidence is the accuracy, or comes nearest to it."""

    def excess(power: float) -> float:
        return float(softmax(logits * np.exp(power), axis=1).max(axis=1).mean() - accuracy)

    low, high = -_FACTOR_POWER, _FACTOR_POWER
    if excess(low) >= 0 or excess(high) <= 0:
        return float(np.exp(low if excess(low) >= 0 else high))
    return float(np.exp(brentq(excess, low, high, xtol=1e-4)))


def strata_of(labels: np.ndarray) -> np.ndarray:
    """Return (n,) int: what parts of the images should hold alike, the class, or the rarest of several."""
    if labels.ndim == 1:
        return labels
    present = np.nan_to_num(labels) > 0
    rarest = np.where(present, present.sum(axis=0), len(labels) + 1).argmin(axis=1)
    return np.where(present.any(axis=1), rarest, labels.shape[1])


class _Problem:
    """Logistic regression on rows of length 1, standardised; a solution is (d + 1, k), its last row the bias."""

    def __init__(self, vectors: np.ndarray, targets: np.ndarray, *, several: bool, prior: Prior | None = None) -> None:
        self._vectors, self._targets, self._several = vectors, targets, several
        self._lengths = _lengths(vectors)
        count, width = vectors.shape
        total, products = np.zeros(width), np.zeros((width, width))
        for block in _blocks(count):
            rows = vectors[block] / self._lengths[block, None]
            total += rows.sum(axis=0)
            products += rows.T @ rows
        self._centre = total / count
        covariance = products / count - np.outer(self._centre, self._centre)
        self._spread = np.sqrt(np.maximum(np.diag(covariance), 0)) + 1e-6
        self.start = np.zeros((width + 1, targets.shape[1]))
        self.penalties: tuple[float, ...] = _PENALTIES
        if prior is not None:
            # One scale for all directions: those in which the new images hardly differ are not free to turn away.
            self._spread = np.full(width, np.sqrt((self._spread**2).mean()))
            self.start[:-1] = prior.weights * self._spread[:, None]
            self.start[-1] = prior.bias + self._centre @ prior.weights
            self.penalties = (*_PENALTIES_OF_PRIOR, *_PENALTIES)
        self._correlation = covariance / np.outer(self._spread, self._spread)

    def of_rows(self, rows: np.ndarray) -> _Problem:
        """Return the problem of some (m,) rows, in the same coordinates."""
        part = copy(self)
        part._vectors, part._targets, part._lengths = self._vectors[rows], self._targets[rows], self._lengths[rows]
        return part

    def solve(self, start: np.ndarray, penalty: float, row_weights: np.ndarray) -> np.ndarray:
        """Return the weights that make the targets likeliest, from `start` on; (n,) rows of weight 0 are held out.

        The descent goes in coordinates in which the curvature is about the same in every direction (as if all rows
        were equally sure of their class: Boehning 1992), which takes a quarter of the steps.
        """
        curvature = _DOUBT * self._correlation + (penalty + 1e-8) * np.eye(len(self._correlation))
        root = cholesky(curvature, lower=True)

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            solution = flat.reshape(start.shape).copy()
            solution[:-1] = solve_triangular(root, solution[:-1], lower=True, trans="T")
            value, gradient = self._loss(solution, penalty, row_weights)
            gradient[:-1] = solve_triangular(root, gradient[:-1], lower=True)
            return value, gradient.ravel()

        begin = start.copy()
        begin[:-1] = root.T @ start[:-1]
        options = {"maxiter": _MOST_STEPS, "ftol": _TOLERANCE, "gtol": 1e-6}
        found = np.asarray(minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options=options).x)
        solution = found.reshape(start.shape)
        solution[:-1] = solve_triangular(root, solution[:-1], lower=True, trans="T")
        return solution

    def logits(self, solution: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        """Return (m, k) logits of some rows."""
        weights, bias = self.undone(solution)
        return self._vectors[rows] @ weights.astype(np.float32) / self._lengths[rows, None] + bias

    def undone(self, solution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (d, k) weights and (k,) bias for rows of length 1 that are not standardised."""
        weights = solution[:-1] / self._spread[:, None]
        return weights, solution[-1] - self._centre @ weights

    def held_out_loss(self, solution: np.ndarray, rows: np.ndarray) -> float:
        """Return the summed loss of some rows."""
        return float(self._losses(self.logits(solution, rows), self._targets[rows])[0].sum())

    def _loss(self, solution: np.ndarray, penalty: float, row_weights: np.ndarray) -> tuple[float, np.ndarray]:
        count, total = float(row_weights.sum()), 0.0
        moments, sums = np.zeros(solution[:-1].shape), np.zeros(solution.shape[1])
        for block in _blocks(len(row_weights)):
            losses, residuals = self._losses(self.logits(solution, block), self._targets[block])
            weighted = residuals * row_weights[block, None]
            total += float(losses @ row_weights[block])
            scaled = (weighted / self._lengths[block, None]).astype(np.float32)
            moments += self._vectors[block].T @ scaled
            sums += weighted.sum(axis=0)
        gradient = np.vstack([(moments - np.outer(self._centre, sums)) / self._spread[:, None], sums]) / count
        moved = solution[:-1] - self.start[:-1]
        gradient[:-1] += penalty * moved
        return total / count + penalty / 2 * float((moved**2).sum()), gradient

    def _losses(self, logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (b,) negative log-likelihoods and (b, k) their derivatives."""
        if not self._several:
            logs = log_softmax(logits, axis=1)
            return -(targets * logs).sum(axis=1), np.exp(logs) - targets
        known = np.isfinite(targets)
        wanted = np.nan_to_num(targets)
        losses = np.logaddexp(0, logits) - wanted * logits
        return (losses * known).sum(axis=1), (expit(logits) - wanted) * known


def _along_the_path(
    problem: _Problem, folds: np.ndarray, asked: range, progress: Progress
) -> tuple[dict[int, np.ndarray], float]:
    """Return the solutions without each of the asked folds at the best penalty, and that penalty."""
    solutions = {fold: problem.start for fold in asked}
    best, chosen, kept = np.inf, problem.penalties[0], solutions
    for number, penalty in enumerate(problem.penalties):
        solutions = {
            fold: problem.solve(solution, penalty, _without(folds, fold)) for fold, solution in solutions.items()
        }
        lost = sum(
            problem.held_out_loss(solution, np.flatnonzero(folds == fold)) for fold, solution in solutions.items()
        )
        if lost >= best:
            break  # weaker penalties only fit the noise more closely
        best, chosen, kept = lost, penalty, solutions
        progress("linear probe", number + 1, len(problem.penalties) + 1)
    return kept, chosen


def _without(folds: np.ndarray, fold: int) -> np.ndarray:
    """Return the (n,) weights of rows, 0 in one fold."""
    return (folds != fold).astype(np.float32)


def _blocks(count: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, count, _BLOCK)]


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """Return the (n,) lengths of rows, 1 for a row of zeros."""
    lengths = np.linalg.norm(vectors, axis=1)
    return np.where(lengths > 0, lengths, 1).astype(vectors.dtype)
