"""Which pairs of images are worth a closer look: neighbours of three kinds, so that no one weakness loses a pair.

A weak backbone loses re-encoded and grey copies, the correlation of pixels loses shifted and cropped ones, both lose
mirrored ones; the correlation in a canonical orientation finds those (see `orientation`).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..progress import Progress, silent
from .alignment import pixel_rows
from .centred_rows import Rows
from .nearest_rows import MakeNearest, RowsInMemory
from .orientation import canonical_orientation, orient
from .pair_sets import each_once
from .steps import Steps, not_kept

CANDIDATES = 8  # neighbours of each kind
_EMBEDDINGS = "embeddings"


class Candidates:
    """The neighbours of n images.

    Args:
        cosine_rows: (n, d) float32, of length 1.
        thumbnails: (n, 32, 32) uint8, grey.
        make_nearest: What knows the neighbours of the cosine rows; those of the pixels are always compared here.
    """

    def __init__(self, cosine_rows: Rows, thumbnails: np.ndarray, make_nearest: MakeNearest = RowsInMemory) -> None:
        pixels = {kind: RowsInMemory(rows) for kind, rows in _pixel_spaces(thumbnails).items()}
        self._count = len(thumbnails)
        self._nearest = {_EMBEDDINGS: make_nearest(cosine_rows), **pixels}

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
            steps(f"nearest {kind}", partial(self._neighbours_of, kind, splits, progress, steps))[0]
            for kind in self._nearest
        ]
        return each_once(np.concatenate(found))

    def _neighbours_of(
        self, kind: str, splits: np.ndarray | None, progress: Progress, steps: Steps
    ) -> tuple[np.ndarray]:
        nearest = self._nearest[kind]
        neighbors = nearest.of_all(CANDIDATES, step=f"nearest {kind}", progress=progress, steps=steps)
        found = [_as_pairs(np.arange(self._count), neighbors)]
        for split in sorted(set(splits) - {""}) if splits is not None else ():
            own, other = np.flatnonzero(splits == split), np.flatnonzero((splits != split) & (splits != ""))
            found.append(_as_pairs(own, nearest.between(own, other, CANDIDATES)))
        return (each_once(np.sort(np.concatenate(found), axis=1)),)

    def of_some(self, some: np.ndarray, splits: np.ndarray | None = None, progress: Progress = silent) -> np.ndarray:
        """Return the pairs of (k,) rows with all others, as `among_themselves` does, by comparing each with each."""
        found = []
        for name, nearest in self._nearest.items():
            found.append(_as_pairs(some, nearest.of_some(some, CANDIDATES)))
            if splits is not None:
                for split in sorted(set(splits[some]) - {""}):
                    own, other = some[splits[some] == split], (splits != split) & (splits != "")
                    found.append(_as_pairs(own, nearest.of_some(own, CANDIDATES, other)))
            progress(f"nearest {name}", len(some), len(some))
        return each_once(np.sort(np.concatenate(found), axis=1))

    def of(self, cosine_rows: np.ndarray, embeddings: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
        """Return (m, 2) int64 pairs of q other images with these: the query's row, this one's row; each once.

        Args:
            cosine_rows: (q, d) float32, of length 1, around the centre of these images' own.
            embeddings: (q, d) float32. The same as the backbone gave them.
            thumbnails: (q, 32, 32) uint8.
        """
        found = []
        for kind, rows in {_EMBEDDINGS: cosine_rows, **_pixel_spaces(thumbnails)}.items():
            given = embeddings if kind == _EMBEDDINGS else rows
            found.append(_as_pairs(np.arange(len(rows)), self._nearest[kind].of_queries(rows, given, CANDIDATES)))
        return each_once(np.concatenate(found))


def _pixel_spaces(thumbnails: np.ndarray) -> dict[str, np.ndarray]:
    upright = orient(thumbnails, canonical_orientation(thumbnails))
    return {"thumbnails": pixel_rows(thumbnails), "mirrored thumbnails": pixel_rows(upright)}


def _as_pairs(rows: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    pairs = np.stack([np.repeat(rows, neighbors.shape[1]), neighbors.ravel()], axis=1)
    return pairs[pairs[:, 1] >= 0]
