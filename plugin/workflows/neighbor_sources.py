"""Where a job's neighbours come from: this machine, or a vector database that FiftyOne knows."""

from __future__ import annotations

import numpy as np

from ..curation.centred_rows import Rows
from ..curation.nearest_rows import MakeNearest, NearestRows, RowsInMemory
from ..datasets.similarity_neighbors import OVER, SimilarityNeighbors
from ..datasets.views import Collection


def neighbors_from(
    view: Collection, key: str | None, ids: np.ndarray, vectors: np.ndarray, over: int = OVER
) -> MakeNearest:
    """Return what finds the neighbours of images.

    Args:
        view: Any collection of the dataset.
        key: Brain key of a similarity index; None = this machine compares them itself.
        ids: (n,) sample ids.
        vectors: (n, d) float32.
        over: See `SimilarityNeighbors`.
    """
    if key is None:
        return RowsInMemory

    def make(rows: Rows) -> NearestRows:
        return SimilarityNeighbors(view, key, ids, vectors, rows, over)

    return make
