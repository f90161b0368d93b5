"""The space in which images are near that vote on each other's class: whitened embeddings, and what lies where.

A network's pooled output tells what is in an image and hardly where. Where objects are centred and upright (garments,
X-rays, parts on a belt), coarse grey pixels know of their shape what the output has forgotten; where they are not,
pixels are noise. So how much they count is for the caller to choose.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import eigh

from .alignment import PIXEL_ROWS_WIDTH, pixel_rows
from .probe import unit_length

LAYOUT_WEIGHTS = (0.0, 0.35, 1.0)
"""Of pixels of length 1 beside an embedding of length 1."""

_DIMENSIONS = 256
_BLOCK = 8_192


class VoteSpace:
    """Images by their principal components, scaled towards equal variance.

    A tenth of the mean variance is added to each before scaling, so that noise is not blown up.

    Args:
        embeddings: (n, d).
        thumbnails: (n, 32, 32) uint8, grey, or None.
    """

    def __init__(self, embeddings: np.ndarray, thumbnails: np.ndarray | None = None) -> None:
        self._embeddings, self._thumbnails = embeddings, thumbnails
        self._pixels = 0 if thumbnails is None else PIXEL_ROWS_WIDTH
        self._width = embeddings.shape[1] + self._pixels
        self._every = np.arange(len(embeddings))
        total = sum((rows.sum(axis=0) for rows in self._joined(self._every)), np.zeros(self._width))
        self._centre = total / max(len(embeddings), 1)
        self._covariance = self._scatter()

    def rows(self, weight: float = 0.0, which: np.ndarray | None = None) -> np.ndarray:
        """Return (m, c) float32 rows of length 1, c = 256, or fewer for few or narrow images.

        Args:
            weight: Of the pixels, see `LAYOUT_WEIGHTS`.
            which: (m,) int. Row numbers; None = all.
        """
        which = self._every if which is None else which
        axes = self._axes(weight)
        found = np.empty((len(which), axes.shape[1]), np.float32)
        done = 0
        for rows in self._joined(which):
            found[done : done + len(rows)] = unit_length((rows - self._centre) @ axes)
            done += len(rows)
        return found

    def _axes(self, weight: float) -> np.ndarray:
        """Return the (width, c) float64 directions that joined rows are projected on."""
        scale = np.repeat([1.0, weight], [self._width - self._pixels, self._pixels])
        count = len(self._embeddings)
        if self._covariance is not None:
            last = (max(self._width - _DIMENSIONS, 0), self._width - 1)
            variance, axes = eigh(self._covariance * scale[:, None] * scale, subset_by_index=last)
        else:
            every = np.concatenate(list(self._joined(self._every)))
            _, deviation, transposed = np.linalg.svd((every - self._centre) * scale, full_matrices=False)
            variance, axes = deviation[:_DIMENSIONS] ** 2 / max(count, 1), transposed[:_DIMENSIONS].T
        spread = np.sqrt(np.maximum(variance, 0) + 0.1 * max(float(variance.mean()), 1e-12))
        return np.asarray(scale[:, None] * axes / spread)

    def _scatter(self) -> np.ndarray | None:
        """Return the (width, width) covariance; None where there are fewer images than numbers of one."""
        count = len(self._embeddings)
        if count < self._width:
            return None
        covariance = np.zeros((self._width, self._width))
        for rows in self._joined(self._every):
            rows -= self._centre
            covariance += rows.T @ rows / count
        return covariance

    def _joined(self, which: np.ndarray) -> Iterator[np.ndarray]:
        """Yield (b, width) float64: embeddings of length 1, beside pixels of length 1 around their mean."""
        for start in range(0, len(which), _BLOCK):
            own = which[start : start + _BLOCK]
            parts = [unit_length(self._embeddings[own])]
            if self._thumbnails is not None:
                parts.append(pixel_rows(self._thumbnails[own]))
            yield np.concatenate(parts, axis=1)
