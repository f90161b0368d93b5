"""How sure a metric is: percentile bootstrap over images (Efron and Tibshirani 1993, chapter 13).

Of an image only its kind matters, such as its cell of the confusion matrix: resampling images is drawing the numbers of
each kind from one multinomial distribution.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array
from scipy.special import betaincinv

_RESAMPLES = 1000
_AT_ONCE = 4_000_000  # counts drawn at a time
_TAIL = 0.025

Interval = tuple[float, float]


def score_intervals(labels: np.ndarray, predicted: np.ndarray, seed: int) -> tuple[Interval, Interval, Interval]:
    """Return 95 % intervals of accuracy, balanced accuracy and macro F1.

    Resampling images that are all right, or all wrong, shows no doubt however few they are; the exact interval of
    Clopper and Pearson (1934) does. For the two means over classes it takes as many images as would say as much in
    balanced classes, `len(n) ** 2 / sum(1 / n)` for classes of n images.

    Args:
        labels: (n,) int, n > 0.
        predicted: (n,) int.
        seed: Of the resampling.
    """
    right = labels == predicted
    if right.all() or not right.any():
        sizes = np.unique(labels, return_counts=True)[1]
        balanced = exact_interval(len(sizes) ** 2 / (1 / sizes).sum(), all_right=bool(right.all()))
        return exact_interval(len(labels), all_right=bool(right.all())), balanced, balanced
    cells, counts = np.unique(np.stack([labels, predicted]), axis=1, return_counts=True)
    accuracy, balanced, f1 = percentile_intervals(KindScores(*cells), counts, seed)
    return accuracy, balanced, f1


def percentile_intervals(scores: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, seed: int) -> list[Interval]:
    """Return the 95 % intervals of scores over resampled images.

    Args:
        scores: (r, m) counts of r resamples -> (r, s) scores.
        counts: (m,) int. How many images there are of each of m kinds.
        seed: Of the resampling.
    """
    rng, images = np.random.default_rng(seed), counts.sum()
    step = max(1, _AT_ONCE // len(counts))
    drawn = [
        scores(rng.multinomial(images, counts / images, min(step, _RESAMPLES - start)))
        for start in range(0, _RESAMPLES, step)
    ]
    low, high = np.percentile(np.concatenate(drawn), [100 * _TAIL, 100 * (1 - _TAIL)], axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def exact_interval(images: float, *, all_right: bool) -> Interval:
    """Return the 95 % interval of the share of right ones, where all of the images are right, or all are wrong."""
    bound = float(_TAIL ** (1 / images))
    return (bound, 1.0) if all_right else (0.0, 1 - bound)


def share_interval(hits: int, images: int) -> Interval:
    """Return the exact 95 % interval of a share (Clopper and Pearson 1934); all of 0..1 without images."""
    low, high = share_intervals(np.array([hits]), np.array([images]))[0]
    return float(low), float(high)


def share_intervals(hits: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return (m, 2) exact 95 % intervals of m shares.

    Args:
        hits: (m,) int.
        images: (m,) int >= hits.
    """
    misses = images - hits
    # quantiles of beta distributions, which do not exist at the ends
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), misses + 1, _TAIL), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1), 1 - _TAIL), 1.0)
    return np.stack([low, high], axis=1)


class KindScores:
    """Scores of images of m kinds, by how many there are of each.

    Args:
        labels: (m,) int. Of the kinds.
        predicted: (m,) int.
    """

    def __init__(self, labels: np.ndarray, predicted: np.ndarray) -> None:
        classes, numbers = np.unique(np.concatenate([labels, predicted]), return_inverse=True)
        place, ones, shape = np.arange(len(labels)), np.ones(len(labels)), (len(labels), len(classes))
        self._by_label = csr_array((ones, (place, numbers[: len(labels)])), shape=shape)
        self._by_prediction = csr_array((ones, (place, numbers[len(labels) :])), shape=shape)
        self._hits = csr_array(((labels == predicted).astype(float), (place, numbers[: len(labels)])), shape=shape)

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        """Return (r, 3) accuracy, balanced accuracy and macro F1 of (r, m) counts."""
        support, predicted, hits = (counts @ sums for sums in (self._by_label, self._by_prediction, self._hits))
        labelled, occurs = support > 0, support + predicted > 0
        recall = np.divide(hits, support, out=np.zeros_like(hits), where=labelled)
        f1 = np.divide(2 * hits, support + predicted, out=np.zeros_like(hits), where=occurs)
        return np.stack(
            [
                hits.sum(axis=1) / counts.sum(axis=1),
                recall.sum(axis=1) / labelled.sum(axis=1),
                f1.sum(axis=1) / occurs.sum(axis=1),
            ],
            axis=1,
        )
