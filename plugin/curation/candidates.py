"""Which pairs of images are worth a closer look: neighbours of three kinds, so that no one weakness loses a pair.

A weak backbone loses re-encoded and grey copies, the correlation of pixels loses shifted and cropped ones, both lose
mirrored ones; the correlation in a canonical orientation finds those (see `orientation`).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..progress import Progress, silent
from .alignment import pixel_rows
from .neighbors import NeighborIndex, nearest_of_some
from .orientation import canonical_orientation, orient

CANDIDATES = 8  # neighbours of each kind


class Candidates:
    """The neighbours of n images.

    Args:
        cosine_rows: (n, d) float32, of length 1.
        thumbnails: (n, 32, 32) uint8, grey.
    """

    def __init__(self, cosine_rows: np.ndarray, thumbnails: np.ndarray) -> None:
        self._spaces = _spaces(cosine_rows, thumbnails)

    @cached_property
    def _indexes(self) -> list[NeighborIndex]:
        return [NeighborIndex(rows) for rows in self._spaces.values()]

    def among_themselves(self, splits: np.ndarray | None = None, progress: Progress = silent) -> np.ndarray:
        """Return (m, 2) int64 pairs, each once, the smaller row first.

        Args:
            splits: (n,) split names, "" = none. Where given, each image's neighbours in other splits are candidates
                too, so that a crowd of copies inside its own split cannot hide a leak.
            progress: Told after each block.
        """
        found = []
        for (name, rows), index in zip(self._spaces.items(), self._indexes, strict=True):
            _, neighbors = index.search_itself(CANDIDATES, step=f"nearest {name}", progress=progress)
            found.append(_as_pairs(np.arange(len(rows)), neighbors))
            for split in sorted(set(splits) - {""}) if splits is not None else ():
                own, other = np.flatnonzero(splits == split), np.flatnonzero((splits != split) & (splits != ""))
                _, neighbors = NeighborIndex(rows[other]).search(rows[own], CANDIDATES)
                found.append(_as_pairs(own, np.where(neighbors < 0, -1, other[neighbors]) if len(other) else neighbors))
        return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)

    def of_some(self, some: np.ndarray, splits: np.ndarray | None = None, progress: Progress = silent) -> np.ndarray:
        """Return the pairs of (k,) rows with all others, as `among_themselves` does, by comparing each with each."""
        found = []
        for name, rows in self._spaces.items():
            found.append(_as_pairs(some, nearest_of_some(rows, some, CANDIDATES)))
            if splits is not None:
                for split in sorted(set(splits[some]) - {""}):
                    own, other = some[splits[some] == split], (splits != split) & (splits != "")
                    found.append(_as_pairs(own, nearest_of_some(rows, own, CANDIDATES, other)))
            progress(f"nearest {name}", len(some), len(some))
        return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)

    def of(self, cosine_rows: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
        """Return (m, 2) int64 pairs of q other images with these: the query's row, this one's row; each once."""
        found = []
        for rows, index in zip(_spaces(cosine_rows, thumbnails).values(), self._indexes, strict=True):
            found.append(_as_pairs(np.arange(len(rows)), index.search(rows, CANDIDATES)[1]))
        return np.unique(np.concatenate(found), axis=0)


def _spaces(cosine_rows: np.ndarray, thumbnails: np.ndarray) -> dict[str, np.ndarray]:
    upright = orient(thumbnails, canonical_orientation(thumbnails))
    return {
        "embeddings": cosine_rows,
        "thumbnails": pixel_rows(thumbnails),
        "mirrored thumbnails": pixel_rows(upright),
    }


def _as_pairs(rows: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    pairs = np.stack([np.repeat(rows, neighbors.shape[1]), neighbors.ravel()], axis=1)
    return pairs[pairs[:, 1] >= 0]
