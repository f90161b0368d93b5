"""Images unlike anything that a classifier was trained on: candidates for a class that it does not know.

How far an image lies from the nearest training image (nearest neighbours find what is out of distribution about as well
as anything: Sun et al. 2022, arXiv:2204.06507), in units of a limit that one in a hundred reference images exceeds.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from .drift_shuffles import Shuffles
from .drift_space import Space, blocks

_BEYOND = 0.01
_BLOCK = 2_048
_LEAST = 1e-3  # of the usual length of a vector: anything nearer may be the same image, after rounding


class Novelty:
    """Training images, or reference images in their place, and how far others may lie from them.

    Args:
        space: What distances are measured in.
        trained: (t, d) training vectors, all finite; `MOST` are enough.
        held_out: (n, d) vectors of the same kinds of images that are not among them; None = each training image in
            turn, compared with the others.

    Raises:
        DataError: Most of `held_out` are training images after all.
    """

    MOST = 4_000

    def __init__(self, space: Space, trained: np.ndarray, held_out: np.ndarray | None) -> None:
        self._trained = space.components(trained)
        self._squares = (self._trained**2).sum(axis=1)
        itself = held_out is None
        usual = self._distances(self._trained if held_out is None else space.components(held_out), itself)
        if not itself and not np.median(usual) and self._squares.any():
            raise DataError(
                "most of the reference images are among those that the classifier was trained on, so that anything "
                "else would look new. Choose reference images that it was not trained on, or leave those out."
            )
        self._limit = max(float(np.quantile(usual, 1 - _BEYOND)), _LEAST)

    def of(self, components: np.ndarray) -> np.ndarray:
        """Return (n,) float32 >= 0: distances to the nearest training image, 1 = at the limit; rounded to 1e-4."""
        return np.round(self._distances(components) / self._limit, 4).astype(np.float32)

    def _distances(self, components: np.ndarray, itself: bool = False) -> np.ndarray:
        found = np.empty(len(components), np.float32)
        for part in blocks(len(components), _BLOCK):
            rows = components[part]
            nearest = self._squares - 2 * rows @ self._trained.T
            if itself:
                nearest[np.arange(len(rows)), np.arange(part.start, part.stop)] = np.inf
            found[part] = np.sqrt(np.maximum((rows**2).sum(axis=1) + nearest.min(axis=1), 0))
        found[found < _LEAST] = 0
        return found


def farther(distances: np.ndarray, shuffles: Shuffles) -> tuple[np.ndarray, float]:
    """Test whether current rows lie farther out than reference ones, the outermost counting most.

    Args:
        distances: (2 m,) of the matched rows, the reference first.
        shuffles: Of as many rows.

    Returns:
        (b + 1,) statistics: differences of the mean logarithm of how few rows lie farther out (Savage's scores); and
        the effect size in 0..1: the share of pairs in which the current row lies farther out, from one half to all.
    """
    ranks = _ranks(distances)
    scores = np.stack([-np.log(1 - ranks), ranks], axis=1).astype(np.float32)
    tail, centre = shuffles.mean_differences(scores)
    return tail, float(np.clip(2 * centre[0], 0, 1))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks in 0..1 without both ends; equal values, after rounding, share their mean rank."""
    rounded = np.round(values.astype(np.float64) / max(float(values.max(initial=0)), 1e-30), 6)
    ordered = np.sort(rounded)
    below, upto = np.searchsorted(ordered, rounded, "left"), np.searchsorted(ordered, rounded, "right")
    return (below + upto) / (2 * len(values))
