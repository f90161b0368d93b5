"""The few directions in which two sets of vectors are compared, found without knowing which row is of which set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.utils.extmath import randomized_svd

_WIDTH = 64
_ROWS = 2_000  # that the directions are found on
_BLOCK = 8_192


@dataclass(frozen=True, eq=False)
class Space:
    """A linear map of vectors to components, along the directions in which a sample of both sets varies most.

    Attributes:
        centre: (d,) float32. Subtracted first.
        directions: (d, r) float32. Orthogonal, each divided by the root mean square length of the sample's vectors.
    """

    centre: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, rng: np.random.Generator, width: int = _WIDTH) -> Space:
        """Return the space of (n, d) vectors: their main components (of a sample, where there are many).

        A space that depends on which rows belong to which set would make every test on it invalid.
        """
        some = np.sort(rng.permutation(len(vectors))[:_ROWS])
        sample = np.asarray(vectors[some], np.float32)
        centre = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        sample = sample - centre
        length = float(np.sqrt(np.square(sample, dtype=np.float64).sum(axis=1).mean()))
        if length <= 1e-6 * max(float(np.abs(centre).max(initial=0)), 1e-30):
            return cls(centre, np.zeros((vectors.shape[1], 1), np.float32))
        width = min(width, *sample.shape)
        if 2 * width >= min(sample.shape):
            directions = np.linalg.svd(sample, full_matrices=False)[2][:width].T
        else:
            directions = randomized_svd(sample, width, n_iter=2, random_state=int(rng.integers(2**31)))[2].T
        return cls(centre, np.ascontiguousarray(directions / np.float32(length), np.float32))

    def components(self, vectors: np.ndarray) -> np.ndarray:
        """Return the (n, r) float32 components of (n, d) vectors, block by block."""
        found = np.empty((len(vectors), self.directions.shape[1]), np.float32)
        for part in blocks(len(vectors)):
            found[part] = (np.asarray(vectors[part], np.float32) - self.centre) @ self.directions
        return found


def blocks(count: int, size: int = _BLOCK) -> Iterator[slice]:
    """Yield slices that cover so many rows."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
