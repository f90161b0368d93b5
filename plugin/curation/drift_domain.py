"""A classifier that tells reference images from current ones: whether it can, how well, and by which images.

Ridge regression on the labels -1 and 1, in closed form (Hastie et al., The Elements of Statistical Learning, 2nd ed.,
sections 3.4.1 and 7.10): what it explains of the labels is known for all shuffles from one matrix product, and each
row's score without that row needs no second fit. How much it explains by mere chance the shuffles tell, so that no rows
need to be held back. Domain classifiers are what finds typical examples of a drift best (Rabanser et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .drift_shuffles import Shuffles

_PENALTY = 1.0  # in units of the mean variance of a component
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class DomainClassifier:
    """Fitted on matched rows.

    Attributes:
        explained: (b + 1,) float64 in 0..1. Share of the labels' variance that it explains, in truth and after each
            shuffle.
        held_out: (2 m,) float32 in 0..1. Chance that each row is a current one, from a fit without the row.
        weights: (r,) float64, bias: float. Of the fit on all rows.
    """

    explained: np.ndarray
    held_out: np.ndarray
    weights: np.ndarray
    bias: float

    @classmethod
    def fit(cls, components: np.ndarray, shuffles: Shuffles) -> DomainClassifier:
        """Fit on (2 m, r) components, the reference first."""
        rows = components.astype(np.float64)
        centre = rows.mean(axis=0)
        rows -= centre
        spread, axes = np.linalg.eigh(rows.T @ rows / len(rows))
        spread = np.maximum(spread, 0)
        kept = 1 / (spread + _PENALTY * max(spread.mean(), _LEAST))
        turned = rows @ axes
        moments = shuffles.mean_differences(turned.astype(np.float32)).astype(np.float64) / 2
        labels = shuffles.signs[:, 0].astype(np.float64)
        solved = kept * (turned.T @ labels / len(rows))
        leverage = (turned**2 @ kept) / len(rows) + 1 / len(rows)
        without = (turned @ solved - leverage * labels) / np.maximum(1 - leverage, _LEAST)
        weights = axes @ solved
        return cls(
            explained=np.einsum("r,rb->b", kept, moments**2),
            held_out=_chance(without),
            weights=weights,
            bias=-float(centre @ weights),
        )

    def chance(self, components: np.ndarray) -> np.ndarray:
        """Return the (n,) float32 chance that rows with these (n, r) components are current ones."""
        return _chance(components @ self.weights + self.bias)

    @property
    def effect_size(self) -> float:
        """0..1: the correlation of labels and scores, less what chance gives."""
        chance = float(self.explained[1:].mean())
        return float(np.sqrt(np.clip((self.explained[0] - chance) / max(1 - chance, _LEAST), 0, 1)))


def _chance(scores: np.ndarray) -> np.ndarray:
    """A regression on -1 and 1 gives the expected label."""
    return ((1 + np.clip(scores, -1, 1)) / 2).astype(np.float32)
