"""How the tests of `drift` get their p-values, and one decision from all of them: shuffles that they share.

Each reference row is paired at random with a current one. If both sets come from the same source, it does not matter
which of the two is called current: swapping some of the pairs changes no statistic's distribution, whatever the data
(a randomisation test: Lehmann and Romano, Testing Statistical Hypotheses, 3rd ed., section 15.2). All tests see the
same swaps. So the distribution of whatever combines their p-values is known too, however much they depend on each
other, and no correction is needed (Westfall and Young 1993; Pesarin 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHUFFLES = 399


@dataclass(frozen=True, eq=False)
class Shuffles:
    """Which of 2 m rows count as current: in truth, and after each of b shuffles.

    Attributes:
        signs: (2 m, b + 1) float32. 1 = current, -1 = reference; the first column is the truth: m times -1, m times 1.
    """

    signs: np.ndarray

    @classmethod
    def drawn(cls, pairs: int, rng: np.random.Generator, count: int = SHUFFLES) -> Shuffles:
        """Return shuffles of so many pairs; row i of the references is paired with row i of the current ones."""
        swapped = rng.integers(0, 2, (pairs, count), np.int8)
        current = np.concatenate([np.ones((pairs, 1), np.int8), 2 * swapped - 1], axis=1).astype(np.float32)
        return cls(np.concatenate([-current, current]))

    @property
    def swaps(self) -> np.ndarray:
        """(m, b + 1) float32: 1 where a pair is as in truth, -1 where it is swapped."""
        return self.signs[len(self.signs) // 2 :]

    def of(self, rows: np.ndarray) -> Shuffles:
        """Return the same shuffles of some pairs: rows i of the reference, and then their partners m + i."""
        return Shuffles(self.signs[rows])

    def mean_differences(self, columns: np.ndarray) -> np.ndarray:
        """Return (c, b + 1): the mean of the current rows less that of the reference rows of (2 m, c) columns."""
        half = len(columns) // 2
        return (columns[half:] - columns[:half]).T @ self.swaps / np.float32(half)


def p_values(statistic: np.ndarray) -> np.ndarray:
    """Return for each column the share of all columns whose statistic is at least as large.

    Args:
        statistic: (..., b + 1) float. The truth first; the larger, the less alike are both sets.

    Returns:
        (..., b + 1) float64 in 1 / (b + 1)..1.
    """
    rounded = _rounded(statistic)
    ordered = np.sort(rounded, axis=-1)
    flat, rows = rounded.reshape(-1, rounded.shape[-1]), ordered.reshape(-1, ordered.shape[-1])
    below = np.stack([np.searchsorted(row, own, side="left") for row, own in zip(rows, flat, strict=True)])
    count = rounded.shape[-1]
    return (count - below.reshape(rounded.shape)) / count


def _rounded(statistic: np.ndarray) -> np.ndarray:
    """Return the statistic in units of its spread, rounded to 1e-4: sums depend on the number of threads."""
    statistic = np.asarray(statistic, np.float64)
    centre = np.median(statistic, axis=-1, keepdims=True)
    spread = np.abs(statistic - centre).mean(axis=-1, keepdims=True)
    size = np.abs(statistic).max(axis=-1, keepdims=True)
    ratio = np.divide(statistic - centre, spread, out=np.zeros_like(statistic), where=spread > 1e-6 * size)
    return ratio.round(4)
