"""How predictions of several labels an image turn out, class by class, and the scores of that."""

from __future__ import annotations

import numpy as np

FOUND, EXTRA, MISSED = 1, 2, 3  # 0: rightly left out, or not annotated


def outcomes_of(labels: np.ndarray, claimed: np.ndarray) -> np.ndarray:
    """Return (n, k) int8: whether each class is found, claimed wrongly or missed.

    Args:
        labels: (n, k) in {0, 1, NaN}; NaN = not annotated.
        claimed: (n, k) bool. What is predicted.
    """
    found, extra, missed = (labels == 1) & claimed, (labels == 0) & claimed, (labels == 1) & ~claimed
    return np.asarray(FOUND * found + EXTRA * extra + MISSED * missed, np.int8)


def faults_of(outcomes: np.ndarray) -> np.ndarray:
    """Return (n,) int64: how many classes of each image are predicted wrongly."""
    return np.asarray((outcomes > FOUND).sum(axis=1))


class OutcomeScores:
    """Scores of images of m kinds, by how many there are of each.

    Args:
        outcomes: (m, k) of the kinds, see `outcomes_of`.
    """

    def __init__(self, outcomes: np.ndarray) -> None:
        self._kinds = [(outcomes == code).astype(np.float64) for code in (FOUND, EXTRA, MISSED)]
        self._faultless = faults_of(outcomes) == 0

    def means(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (3,) precision, recall and F1 over all pairs of image and class, and their (3,) means over classes."""
        sums = self._sums(counts[None])
        return _over_pairs(*sums)[:, 0], _over_classes(*sums)[:, 0]

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        """Return (r, 3) share of exact matches, micro F1 and macro F1 of (r, m) counts."""
        sums = self._sums(counts)
        exact = counts @ self._faultless / counts.sum(axis=1)
        return np.stack([exact, _over_pairs(*sums)[2], _over_classes(*sums)[2]], axis=1)

    def _sums(self, counts: np.ndarray) -> list[np.ndarray]:
        """Return how often each class is found, claimed wrongly and missed, (r, k) each, for (r, m) counts."""
        return [counts @ kinds for kinds in self._kinds]


def ratios(found: np.ndarray, extra: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return (3, r, k) precision, recall and F1 of (r, k) sums; 0 where there is nothing to divide by."""
    parts = np.stack([found, found, 2 * found])
    wholes = np.stack([found + extra, found + missed, 2 * found + extra + missed])
    return np.divide(parts, wholes, out=np.zeros_like(parts), where=wholes > 0)


def _over_pairs(found: np.ndarray, extra: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return (3, r) precision, recall and F1 over all classes together."""
    return ratios(*(each.sum(axis=1, keepdims=True) for each in (found, extra, missed)))[:, :, 0]


def _over_classes(found: np.ndarray, extra: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return (3, r) means of precision, recall and F1 over the classes that are present or claimed; 0 without any."""
    occurs = (found + extra + missed > 0).sum(axis=1)
    return ratios(found, extra, missed).sum(axis=2) / np.maximum(occurs, 1)
