"""What explains a drift: brightness, contrast, sharpness, size and the like, compared one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp

_FEWEST = 2


@dataclass(frozen=True)
class StatisticDrift:
    """How one number that was measured of each image moved.

    Attributes:
        name: Its name.
        p_value: Two-sample Kolmogorov-Smirnov, corrected for the number of statistics (Bonferroni).
        effect: 0..1. Kolmogorov-Smirnov distance.
        reference_median, current_median: In the statistic's own unit; NaN where it was measured of too few images.
    """

    name: str
    p_value: float
    effect: float
    reference_median: float
    current_median: float


def compare_statistics(
    reference: np.ndarray, current: np.ndarray, names: Sequence[str], matched: int, rng: np.random.Generator
) -> tuple[StatisticDrift, ...]:
    """Compare statistics, those that moved furthest first.

    Args:
        reference: (n, s), current: (m, s) float. NaN = not measured.
        names: s names.
        matched: Images of each set at most that a p-value is based on.
        rng: Of the choice of these.
    """
    found = []
    for name, then, now in zip(names, reference.T, current.T, strict=True):
        then, now = then[np.isfinite(then)], now[np.isfinite(now)]
        if min(len(then), len(now)) < _FEWEST:
            found.append(StatisticDrift(name, 1.0, 0.0, float("nan"), float("nan")))
            continue
        some = min(len(then), len(now), matched)
        test = ks_2samp(rng.permutation(then)[:some], rng.permutation(now)[:some], method="asymp")
        p_value = min(1.0, float(test.pvalue) * len(names))
        found.append(
            StatisticDrift(
                name, p_value, round(float(test.statistic), 4), float(np.median(then)), float(np.median(now))
            )
        )
    return tuple(sorted(found, key=lambda each: -each.effect))
