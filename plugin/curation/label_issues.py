"""Wrong labels: out-of-sample evidence of the true class, a noise model that explains the labels, and a cut.

The labels are taken as the output of a noisy channel: with probability 1 - e a label is the true class, otherwise one
of the other classes. The true class given the image is a log-linear pool of the evidence at hand (a linear probe's
out-of-fold scores, the labels of the nearest neighbours, the caller's own out-of-sample probabilities). The noise rate
e and the weights of the pool are fitted together by maximum likelihood, so that labels that no sharpness of the
evidence can explain become noise instead of blunting it. What follows from it for each label is the probability that it
is wrong; on clean data e goes to 0 and nothing is flagged. (Noise channel: Sukhbaatar et al. 2015, arXiv:1406.2080;
log-linear pooling: Genest and Zidek 1986.)

The cut is where the expected F1 of the flagged set is largest (Lipton et al. 2014, arXiv:1402.1892).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from ..errors import DataError
from ..progress import Progress, silent
from .neighbors import NeighborIndex
from .probe import FOLDS, fit_probe

_NEIGHBORS = 30
_WHITE_DIMENSIONS = 256
_VOTE_SHARPNESS = 0.1
_VOTE_FLOOR = 0.05
_FIT_ROWS = 20_000
# A Beta prior on the noise rate, worth half a wrong and ten right labels: on a hundred images the likelihood alone can
# be largest at no noise at all; on thousands the prior is not felt.
_PRIOR_WRONG, _PRIOR_RIGHT = 0.5, 10.0
_LEAST_POSTERIOR = 0.3
_LEAST_CLASS = 3


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Which of n labels are probably wrong. For multi-label data each array is (n, k), one column a class.

    Attributes:
        quality: (n,) float32 in [0, 1], rounded to 1e-4: probability that the label is right. NaN where there is no
            label, or where its class is too small (fewer than 3 images) to be judged.
        is_issue: (n,) bool. In the automatic cut.
        suggested: (n,) int64. The likeliest class; for an issue never the given one. -1 where nothing is known.
        confidence: (n,) float32 in [0, 1]. Probability of the suggested class.
        estimated: Expected number of wrong labels, flagged or not.
        expected_precision: Expected share of wrong labels among the flagged; NaN where none is flagged.
        joint: (k, k) float64. Expected number of judged labels by given class (row) and true class (column).
    """

    quality: np.ndarray
    is_issue: np.ndarray
    suggested: np.ndarray
    confidence: np.ndarray
    estimated: float
    expected_precision: float
    joint: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))


def find_label_issues(
    labels: np.ndarray,
    pred_probs: np.ndarray | None = None,
    embeddings: np.ndarray | None = None,
    *,
    groups: np.ndarray | None = None,
    confirmed: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> LabelIssues:
    """Find probably wrong labels.

    Args:
        labels: (n,) int, -1 = no label. Multi-label: (n, k) in {0, 1, NaN}, NaN = not annotated (not: absent).
        pred_probs: (n, k) float, out-of-sample probabilities. Multi-label: independent per class.
        embeddings: (n, d) float. From these, out-of-fold evidence is made here.
        groups: (n,) int. Duplicates of each other share a number >= 0: none is judged with the help of another.
        confirmed: (n,) bool. Labels that a person confirmed: never flagged, and of quality 1.
        seed: Of the folds.
        progress: Told while the evidence is made.

    Raises:
        ValueError: Neither kind of evidence, or shapes or values that do not fit.
        DataError: Embeddings alone, and all labels of one class, or hardly any labels.
    """
    labels = np.asarray(labels)
    _check(labels, pred_probs, embeddings)
    if labels.ndim == 2:
        return _multilabel(labels, pred_probs, embeddings, groups, seed)
    rows = np.flatnonzero(labels >= 0)
    given = labels[rows].astype(np.int64)
    n_classes = max(2, int(given.max(initial=-1)) + 1) if pred_probs is None else pred_probs.shape[1]
    result = _empty(len(labels))
    if len(rows) == 0 or n_classes < 2:
        return result
    evidence = []
    enough = len(rows) >= 2 * FOLDS and len(np.unique(given)) >= 2
    if embeddings is not None and (enough or pred_probs is None):
        own_groups = None if groups is None else np.asarray(groups)[rows]
        vectors = np.asarray(embeddings)[rows]
        evidence.append(fit_probe(vectors, given, n_classes, groups=own_groups, seed=seed, progress=progress).held_out)
        evidence.append(np.log(neighbor_votes(vectors, given, n_classes, own_groups, progress)))
    if pred_probs is not None:
        evidence.append(np.log(np.maximum(np.asarray(pred_probs, np.float64)[rows], 1e-6)))
    true_class, noise = fit_noise_channel(evidence, given, seed)
    result = _decide(result, rows, given, true_class, noise)
    if confirmed is not None:
        right = np.asarray(confirmed, bool) & (labels >= 0)
        result.quality[right], result.is_issue[right] = 1, False
        result.suggested[right], result.confidence[right] = labels[right], 1
    return result


def neighbor_votes(
    embeddings: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    groups: np.ndarray | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """Return (n, k) float64: how the 30 nearest other images vote on each image's class; rows sum to 1.

    Distances are cosines of whitened principal components; a vote weighs exp(cosine / 0.1). Members of an image's own
    group do not vote on it. No class gets less than the floor that a twentieth of one vote gives.
    """
    white = whitened(embeddings)
    spare = 0 if groups is None else int(np.bincount(groups[groups >= 0], minlength=1).max(initial=0))
    wanted = min(_NEIGHBORS + spare, 4 * _NEIGHBORS)
    similarity, neighbors = NeighborIndex(white, exact=True).search_itself(
        wanted, step="neighbour votes", progress=progress
    )
    weight = np.exp((similarity - similarity.mean()) / _VOTE_SHARPNESS)
    if groups is not None:
        weight[(groups[neighbors] == groups[:, None]) & (groups[:, None] >= 0)] = 0
        weight[np.cumsum(weight > 0, axis=1) > _NEIGHBORS] = 0
    votes = np.zeros((len(labels), n_classes))
    np.add.at(votes, (np.arange(len(labels))[:, None], labels[neighbors]), weight)
    votes += _VOTE_FLOOR * max(float(votes.sum(axis=1).mean()), 1e-12) / _NEIGHBORS
    return votes / votes.sum(axis=1, keepdims=True)


def whitened(embeddings: np.ndarray) -> np.ndarray:
    """Return (n, min(d, 256)) float32 unit rows: principal components, scaled towards equal variance.

    A tenth of the mean variance is added to each before scaling, so that noise is not blown up.
    """
    vectors = np.asarray(embeddings, np.float64)
    vectors = vectors - vectors.mean(axis=0)
    if len(vectors) < vectors.shape[1]:
        _, deviation, transposed = np.linalg.svd(vectors, full_matrices=False)
        variance, axes = deviation**2 / max(len(vectors), 1), transposed.T
    else:
        variance, axes = np.linalg.eigh(vectors.T @ vectors / len(vectors))
        variance, axes = variance[::-1], axes[:, ::-1]
    variance, axes = variance[:_WHITE_DIMENSIONS], axes[:, :_WHITE_DIMENSIONS]
    projected = vectors @ axes / np.sqrt(np.maximum(variance, 0) + 0.1 * max(float(variance.mean()), 1e-12))
    length = np.linalg.norm(projected, axis=1, keepdims=True)
    return np.divide(projected, length, out=np.zeros_like(projected), where=length > 0).astype(np.float32)


def fit_noise_channel(evidence: list[np.ndarray], labels: np.ndarray, seed: int = 0) -> tuple[np.ndarray, float]:
    """Fit noise rate and pool by maximum likelihood, with a weak prior on the rate.

    Args:
        evidence: One or more (n, k) arrays of scores: logarithms of probabilities up to a factor and an offset a row.
        labels: (n,) int in [0, k).
        seed: Of the 20,000 rows that are used where there are more.

    Returns:
        (n, k) float64 probabilities of the true class given the image (not its label), and the noise rate e.
    """
    n_classes = evidence[0].shape[1]
    rows: np.ndarray = np.arange(len(labels))
    if len(rows) > _FIT_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(len(labels), _FIT_ROWS, replace=False))
    fitted, given = [scores[rows] for scores in evidence], labels[rows]

    def loss(parameters: np.ndarray) -> float:
        noise = expit(parameters[0])
        right = np.exp(_pool(fitted, parameters[1:])[np.arange(len(given)), given])
        likelihood = np.log((1 - noise) * right + noise * (1 - right) / (n_classes - 1) + 1e-12).sum()
        prior = _PRIOR_WRONG * np.log(noise + 1e-12) + _PRIOR_RIGHT * np.log(1 - noise)
        return -float(likelihood + prior) / len(given)

    start = [-3.0] + [np.log(1 / max(float(scores.std()), 1e-6)) if scores.max() > 0 else 0.0 for scores in fitted]
    best = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 500, "xatol": 1e-3, "fatol": 1e-6})
    return np.exp(_pool(evidence, best.x[1:])), float(expit(best.x[0]))


def _pool(evidence: list[np.ndarray], log_weights: np.ndarray) -> np.ndarray:
    """Return the (n, k) log-probabilities of the weighted sum of scores."""
    return log_softmax(sum(np.exp(w) * scores for w, scores in zip(log_weights, evidence, strict=True)), axis=1)


def _decide(
    result: LabelIssues, rows: np.ndarray, given: np.ndarray, true_class: np.ndarray, noise: float
) -> LabelIssues:
    """Turn the fitted channel into quality, cut and suggestion."""
    n_classes, own = true_class.shape[1], np.arange(len(rows))
    joint = true_class * noise / (n_classes - 1)  # of each true class and the given label
    joint[own, given] = true_class[own, given] * (1 - noise)
    posterior = joint / joint.sum(axis=1, keepdims=True)
    wrong = np.round(1 - posterior[own, given], 4)
    judged = np.bincount(given, minlength=n_classes)[given] >= _LEAST_CLASS
    flagged = judged & (wrong >= best_expected_f1(wrong[judged]))
    others = posterior.copy()
    others[own, given] = -1
    suggested = np.where(flagged, others.argmax(axis=1), posterior.argmax(axis=1))
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, given[judged], posterior[judged])
    result.quality[rows] = np.where(judged, 1 - wrong, np.nan)
    result.is_issue[rows] = flagged
    result.suggested[rows] = np.where(judged, suggested, -1)
    result.confidence[rows] = np.round(posterior[own, suggested], 4)
    return LabelIssues(
        result.quality,
        result.is_issue,
        result.suggested,
        result.confidence,
        estimated=float(wrong[judged].sum()),
        expected_precision=float(wrong[flagged].mean()) if flagged.any() else float("nan"),
        joint=counts,
    )


def best_expected_f1(wrong: np.ndarray) -> float:
    """Return the smallest probability to flag so that the expected F1 is largest; never below 0.3.

    Args:
        wrong: (n,) probabilities that a label is wrong.
    """
    descending = np.sort(wrong)[::-1]
    found = np.cumsum(descending)
    if not len(found) or found[-1] <= 0:
        return float("inf")
    expected = 2 * found / (np.arange(1, len(found) + 1) + found[-1])
    return max(float(descending[int(expected.argmax())]), _LEAST_POSTERIOR)


def _multilabel(
    labels: np.ndarray,
    pred_probs: np.ndarray | None,
    embeddings: np.ndarray | None,
    groups: np.ndarray | None,
    seed: int,
) -> LabelIssues:
    """Judge each class as a two-class problem of its own, on the images where it is annotated."""
    columns = []
    for column in range(labels.shape[1]):
        given = np.where(np.isnan(labels[:, column].astype(float)), -1, labels[:, column]).astype(np.int64)
        if len(np.unique(given[given >= 0])) < 2:
            columns.append(_empty(len(labels)))
            continue
        probabilities = None
        if pred_probs is not None:
            probabilities = np.stack([1 - pred_probs[:, column], pred_probs[:, column]], axis=1)
        try:
            columns.append(find_label_issues(given, probabilities, embeddings, groups=groups, seed=seed))
        except DataError:  # too few annotated images to judge any of them; the other classes are judged all the same
            columns.append(_empty(len(labels)))
    flagged = sum(int(column.is_issue.sum()) for column in columns)
    right = sum(float(np.nansum((1 - column.quality)[column.is_issue])) for column in columns)
    return LabelIssues(
        quality=np.stack([column.quality for column in columns], axis=1),
        is_issue=np.stack([column.is_issue for column in columns], axis=1),
        suggested=np.stack([column.suggested for column in columns], axis=1),
        confidence=np.stack([column.confidence for column in columns], axis=1),
        estimated=sum(column.estimated for column in columns),
        expected_precision=right / flagged if flagged else float("nan"),
        joint=np.zeros((0, 0)),
    )


def _empty(n: int) -> LabelIssues:
    return LabelIssues(
        np.full(n, np.nan, np.float32),
        np.zeros(n, bool),
        np.full(n, -1, np.int64),
        np.zeros(n, np.float32),
        0.0,
        float("nan"),
        np.zeros((0, 0)),
    )


def _check(labels: np.ndarray, pred_probs: np.ndarray | None, embeddings: np.ndarray | None) -> None:
    if pred_probs is None and embeddings is None:
        raise ValueError("give pred_probs (n, k), embeddings (n, d), or both: labels alone hold no evidence")
    if labels.ndim not in (1, 2):
        raise ValueError(f"labels must have shape (n,) or, multi-label, (n, k), got {labels.shape}")
    if labels.ndim == 2 and not (np.isnan(labels.astype(float)) | (labels == 0) | (labels == 1)).all():
        raise ValueError("multi-label labels must be 0, 1 or NaN (not annotated)")
    for name, array in (("pred_probs", pred_probs), ("embeddings", embeddings)):
        if array is not None and (np.ndim(array) != 2 or len(array) != len(labels)):
            raise ValueError(f"{name} must have shape ({len(labels)}, ...) like labels, got {np.shape(array)}")
        if array is not None and not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity; leave those rows out")
    if pred_probs is not None and (np.min(pred_probs, initial=0) < 0 or np.max(pred_probs, initial=0) > 1 + 1e-6):
        raise ValueError("pred_probs must lie in 0..1: probabilities, not logits")
    if pred_probs is not None and labels.ndim == 2 and np.shape(pred_probs) != labels.shape:
        raise ValueError(f"pred_probs must have shape {labels.shape} like labels, got {np.shape(pred_probs)}")
    if pred_probs is not None and labels.ndim == 1 and labels.max(initial=-1) >= pred_probs.shape[1]:
        raise ValueError(f"labels go up to {labels.max()}, but pred_probs has only {pred_probs.shape[1]} columns")
