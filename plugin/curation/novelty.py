"""Images unlike anything that a classifier was trained on: candidates for a class that it does not know.

How far an image lies from its five nearest training images (nearest neighbours find what is out of distribution about
as well as anything: Sun et al. 2022, arXiv:2204.06507), in units of a limit that one in a hundred reference images
exceeds. Distances are measured in all directions, since what is foreign differs in those in which known images hardly
vary. They are measured twice: between vectors of length 1, as a network's features say most by their direction, and
between the vectors as they are.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from .drift_shuffles import Shuffles
from .drift_space import blocks

_NEIGHBOURS = 5
_BEYOND = 0.01
_SCALED_BY = 500  # training images, each compared with the others
_BLOCK = 2_048
_LEAST = 1e-3  # of the usual length of a vector: anything nearer may be the same image, after rounding
_NOTHING = 1e-12


class Novelty:
    """Training images, or reference images in their place, and how far others may lie from them.

    Args:
        trained: (t, d) training vectors, all finite; `MOST` are enough.
        held_out: (n, d) vectors of the same kinds of images that are not among them; None = each training image in
            turn, compared with the others.

    Raises:
        DataError: Most of `held_out` are training images after all.
    """

    MOST = 2_000

    def __init__(self, trained: np.ndarray, held_out: np.ndarray | None) -> None:
        self._trained = np.asarray(trained, np.float32)
        self._lengths = np.linalg.norm(self._trained, axis=1)
        self._usual_length = max(float(self._lengths.mean()), _NOTHING)
        itself = held_out is None
        usual, nearest = self._distances(self._trained if held_out is None else held_out, itself)
        if not itself and not np.median(nearest) and self._varies():
            raise DataError(
                "most of the reference images are among those that the classifier was trained on, so that anything "
                "else would look new. Choose reference images that it was not trained on, or leave those out."
            )
        # What the two distances are measured by comes of training images alone: of reference images it would make these
        # less new than any others, and a test of that would find what is not there.
        own = usual
        if not itself and len(self._trained) > 1:
            own = self._distances(self._trained[:_SCALED_BY], itself=True)[0]
        self._scales = np.maximum(np.quantile(own, 1 - _BEYOND, axis=0), _LEAST)
        beyond = self._beyond(usual)
        # Of so many other images one more is among them: the quantile that a new one exceeds once in a hundred times.
        level = min(1.0, (1 - _BEYOND) * (1 + 1 / len(beyond)))
        self._limit = float(np.quantile(beyond, level, method="higher")) or 1.0

    def of(self, vectors: np.ndarray) -> np.ndarray:
        """Return (n,) float32 >= 0: how far (n, d) vectors lie out, 1 = at the limit; rounded to 1e-4."""
        return np.round(self._beyond(self._distances(vectors)[0]) / self._limit, 4).astype(np.float32)

    def _beyond(self, distances: np.ndarray) -> np.ndarray:
        return np.asarray((distances / self._scales).max(axis=1))

    def _varies(self) -> bool:
        return bool((self._trained != self._trained[0]).any())

    def _distances(self, vectors: np.ndarray, itself: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return how far (n, d) vectors lie from training vectors; `itself`: they are these, each left out in turn.

        Returns:
            (n, 2) distances to the fifth nearest one, of length 1 and as they are; (n,) to the nearest one as it is.
            Those as they are come in units of the usual length.
        """
        far, near = np.empty((len(vectors), 2), np.float32), np.empty(len(vectors), np.float32)
        rank = min(_NEIGHBOURS, len(self._trained) - itself) - 1
        for part in blocks(len(vectors), _BLOCK):
            rows = np.asarray(vectors[part], np.float32)
            lengths = np.linalg.norm(rows, axis=1)[:, None]
            products = rows @ self._trained.T
            turned = 2 - 2 * products / np.maximum(lengths * self._lengths, _NOTHING)
            apart = (lengths**2 + self._lengths**2 - 2 * products) / self._usual_length**2
            for column, squares in enumerate((turned, apart)):
                if itself:
                    squares[np.arange(len(rows)), np.arange(part.start, part.stop)] = np.inf
                far[part, column] = np.partition(squares, rank, axis=1)[:, rank]
            near[part] = apart.min(axis=1)
        return _roots(far), _roots(near)


def _roots(squares: np.ndarray) -> np.ndarray:
    """Return the distances; what rounding alone may make of 0 is 0."""
    distances = np.sqrt(np.maximum(squares, 0))
    return np.where(distances < _LEAST, 0, distances)


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
