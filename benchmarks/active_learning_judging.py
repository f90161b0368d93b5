"""Judges learning curves: labels that are needed, areas, and whether any round is worse than random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from .report import Target

_SHARE = 0.9  # of what all labels of the pool would give
_DRAWS = 2_000
_OVERALL, _OF_RARE = 0, 1


@dataclass(frozen=True, eq=False)
class Curves:
    """What s simulations of each strategy measured after each of r budgets.

    Attributes:
        budgets: (r,) int. Labels.
        measured: Strategy -> (s, r, 2): accuracy, and recall of rare classes.
        full: (s, 2). The same with all labels of the pool.
    """

    budgets: np.ndarray
    measured: dict[str, np.ndarray]
    full: np.ndarray

    def needed(self, strategy: str, measure: int) -> np.ndarray:
        """Return (s,) labels with which the share of the full figure is first reached, the last budget where never.

        Between budgets, by interpolation over the logarithm of the labels.
        """
        return np.array(
            [
                _first_reached(self.budgets, curve, _SHARE * full)
                for curve, full in zip(self.measured[strategy][..., measure], self.full[:, measure], strict=True)
            ]
        )

    def never(self, strategy: str, measure: int) -> int:
        """Return how many simulations never reached it."""
        reached = self.measured[strategy][..., measure] >= _SHARE * self.full[:, measure, None]
        return int((~reached.any(axis=1)).sum())

    def area(self, strategy: str) -> np.ndarray:
        """Return (s,) areas under the curve over the logarithm of the labels, as a mean accuracy."""
        steps = np.log(self.budgets)
        return np.trapezoid(self.measured[strategy][..., _OVERALL], steps, axis=1) / (steps[-1] - steps[0])


def _first_reached(budgets: np.ndarray, curve: np.ndarray, wanted: float) -> float:
    reached = np.flatnonzero(curve >= wanted)
    if not len(reached):
        return float(budgets[-1])
    place = int(reached[0])
    if place == 0:
        return float(budgets[0])
    part = (wanted - curve[place - 1]) / (curve[place] - curve[place - 1])
    low, high = np.log(budgets[[place - 1, place]])
    return float(np.exp(low + part * (high - low)))


def judge_balanced(curves: dict[str, Curves]) -> tuple[list[Target], dict[str, Any]]:
    """Judge curves of several sets with balanced classes."""
    saved, interval = _saved(curves, _OVERALL)
    least = min(
        _interval([each.area("auto") - each.area(strategy) for each in curves.values()])[1]
        for strategy in _others(curves)
    )
    targets = [
        Target("labels saved to reach 90 % of full accuracy", saved, at_least=0.2),
        Target("lower end of the interval of the labels saved", interval[0], at_least=0.0),
        Target("area of auto less the best strategy's, upper end of the interval", least, at_least=0.0),
        *_never_worse(curves),
    ]
    return targets, _kept(curves, _OVERALL, interval)


def judge_imbalanced(curves: dict[str, Curves]) -> tuple[list[Target], dict[str, Any]]:
    """Judge curves where half of the classes are rare."""
    saved, interval = _saved(curves, _OF_RARE)
    targets = [Target("labels saved to reach 90 % of the full recall of rare classes, 10:1", saved, at_least=0.3)]
    return targets, _kept(curves, _OF_RARE, interval)


def judge_several(curves: dict[str, Curves]) -> tuple[list[Target], dict[str, Any]]:
    """Judge curves of images with several labels."""
    _, interval = _saved(curves, _OVERALL)
    return _never_worse(curves), _kept(curves, _OVERALL, interval)


def _others(curves: dict[str, Curves]) -> list[str]:
    return [name for name in next(iter(curves.values())).measured if name != "auto"]


def _saved(curves: dict[str, Curves], measure: int) -> tuple[float, tuple[float, float]]:
    """Return the share of labels saved against random, as the mean of the sets, and its paired bootstrap interval."""
    auto = [each.needed("auto", measure) for each in curves.values()]
    random = [each.needed("random", measure) for each in curves.values()]

    def saved(rows: np.ndarray) -> float:
        return float(np.mean([1 - a[rows].mean() / r[rows].mean() for a, r in zip(auto, random, strict=True)]))

    count, rng = len(auto[0]), np.random.default_rng(0)
    drawn = [saved(rng.integers(0, count, count)) for _ in range(_DRAWS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return saved(np.arange(count)), (float(low), float(high))


def _interval(differences: list[np.ndarray]) -> tuple[float, float]:
    """Return the bootstrap interval of the mean over sets and simulations."""
    together, rng = np.mean(differences, axis=0), np.random.default_rng(0)
    drawn = [together[rng.integers(0, len(together), len(together))].mean() for _ in range(_DRAWS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _never_worse(curves: dict[str, Curves]) -> list[Target]:
    """Return for each set the smallest p-value, after Holm's correction, of auto being worse than random in a round."""
    return [
        Target(f"{name}: smallest p of auto being worse than random in a round, after Holm", _holm(each), at_least=0.05)
        for name, each in curves.items()
    ]


def _holm(curves: Curves) -> float:
    """Holm 1979: the smallest of r p-values counts r times. Wilcoxon's signed-rank test, one-sided and paired."""
    gain = curves.measured["auto"][..., _OVERALL] - curves.measured["random"][..., _OVERALL]
    found = [float(wilcoxon(of_round, alternative="less").pvalue) if of_round.any() else 1.0 for of_round in gain.T]
    return min(1.0, min(found) * len(found))


def _kept(curves: dict[str, Curves], measure: int, interval: tuple[float, float]) -> dict[str, Any]:
    return {
        "interval_of_labels_saved": interval,
        **{
            name: {
                "budgets": each.budgets.tolist(),
                "full": float(each.full[:, measure].mean()),
                "strategies": {
                    strategy: {
                        "labels_needed": float(each.needed(strategy, measure).mean()),
                        "never_reached": each.never(strategy, measure),
                        "area": float(each.area(strategy).mean()),
                        "area_less_autos": _interval([each.area(strategy) - each.area("auto")]),
                        "curve": np.round(each.measured[strategy][..., measure].mean(axis=0), 4).tolist(),
                    }
                    for strategy in each.measured
                },
            }
            for name, each in curves.items()
        },
    }
