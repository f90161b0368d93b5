"""Which pairs of images are worth a closer look: neighbours of three kinds, so that no one weakness loses a pair.

A weak backbone loses re-encoded and grey copies, the correlation of pixels loses shifted and cropped ones, both lose
mirrored ones; the correlation in a canonical orientation finds those (see `orientation`).
"""

from __future__ import annotations

from functools import cached_property, partial

import numpy as np

from ..progress import Progress, silent
from .alignment import pixel_rows
from .neighbors import NeighborIndex, nearest_of_some
from .orientation import canonical_orientation, orient
from .steps import Steps, not_kept

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
    def _indexes(self) -> dict[str, NeighborIndex]:
        return {kind: NeighborIndex(rows) for kind, rows in self._spaces.items()}

    def among_themselves(
        self, splits: np.ndarray | None = None, progress: Progress = silent, steps: Steps = not_kept
    ) -> np.ndarray:
        """Return (m, 2) int64 pairs, each once, the smaller row first.

        Args:
            splits: (n,) split names, "" = none. Where given, each image's neighbours in other splits are candidates
                too, so that a crowd of copies inside its own split cannot hide a leak.
            progress: Told after each block.
            steps: Each kind of neighbour is one.
        """
        found = [
            steps(f"nearest {kind}", partial(self._neighbours_of, kind, splits, progress))[0] for kind in self._spaces
        ]
        return np.unique(np.concatenate(found), axis=0)

    def _neighbours_of(self, kind: str, splits: np.ndarray | None, progress: Progress) -> tuple[np.ndarray]:
        rows, index = self._spaces[kind], self._indexes[kind]
        _, neighbors = index.search_itself(CANDIDATES, step=f"nearest {kind}", progress=progress)
        found = [_as_pairs(np.arange(len(rows)), neighbors)]
        for split in sorted(set(splits) - {""}) if splits is not None else ():
            own, other = np.flatnonzero(splits == split), np.flatnonzero((splits != split) & (splits != ""))
            _, neighbors = NeighborIndex(rows[other]).search(rows[own], CANDIDATES)
            found.append(_as_pairs(own, np.where(neighbors < 0, -1, other[neighbors]) if len(other) else neighbors))
        return (np.unique(np.sort(np.concatenate(found), axis=1), axis=0),)

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
        for kind, rows in _spaces(cosine_rows, thumbnails).items():
            found.append(_as_pairs(np.arange(len(rows)), self._indexes[kind].search(rows, CANDIDATES)[1]))
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
