"""Neighbours among many rows: inverted lists (Sivic and Zisserman 2003; FAISS: Douze et al. 2024, arXiv:2401.08281).

Rows are put into the cells of a k-means clustering, and a query looks into the few cells nearest to it. How many is
decided on the data: enough that rows a little off their place are still found.
"""

from __future__ import annotations

import math

import faiss
import numpy as np
from faiss.contrib.ivf_tools import add_preassigned, search_preassigned

_TRAIN_PER_CELL = 40
_ITERATIONS = 8
_MOVED = 2_000  # rows that decide how many cells a query looks into
_RECALL = 0.995
_SEED = 0
_AT_ONCE = 65_536


class InvertedLists:
    """An index of rows of length 1 by inner product.

    Args:
        rows: (n, d) float32, of length 1.
        similarity: Inner product of the furthest neighbours that are to be found reliably.

    Attributes:
        probes: Cells that a query looks into.
        recall: Share of rows that are found once they are moved in a random direction, to an inner product of
            `similarity` with where they were; in 0..1, measured on a sample of 2,000.
    """

    def __init__(self, rows: np.ndarray, similarity: float = 0.8) -> None:
        count, width = rows.shape
        cells = 2 ** round(math.log2(4 * math.sqrt(count)))
        rng = np.random.default_rng(_SEED)
        self._quantizer = faiss.IndexFlatIP(width)
        self._index = faiss.IndexIVFFlat(self._quantizer, width, cells, faiss.METRIC_INNER_PRODUCT)
        settings = self._index.cp
        settings.niter, settings.seed, settings.spherical = _ITERATIONS, _SEED, True
        settings.max_points_per_centroid = settings.min_points_per_centroid = _TRAIN_PER_CELL
        sample = np.sort(rng.choice(count, min(count, _TRAIN_PER_CELL * cells), replace=False))
        self._index.train(rows[sample])
        for start in range(0, count, _AT_ONCE):
            part = np.ascontiguousarray(rows[start : start + _AT_ONCE])
            add_preassigned(self._index, part, self._quantizer.search(part, 1)[1][:, 0])
        self.probes, self.recall = self._enough_probes(rows, similarity, rng)

    def cells_of(self, queries: np.ndarray) -> np.ndarray:
        """Return the (q, probes) cells that queries look into, the nearest first."""
        return self._quantizer.search(queries, self.probes)[1]

    def search(self, queries: np.ndarray, cells: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return similarity (q, k) float32 and row (q, k) int64, best first; -1 where the cells hold fewer than k."""
        self._index.nprobe = cells.shape[1]
        return search_preassigned(self._index, queries, k, cells)

    def _enough_probes(self, rows: np.ndarray, similarity: float, rng: np.random.Generator) -> tuple[int, float]:
        """Move some rows and see how many cells have to be looked into until theirs is among them."""
        chosen = rows[np.sort(rng.choice(len(rows), min(len(rows), _MOVED), replace=False))]
        noise = rng.normal(size=chosen.shape).astype(np.float32)
        noise -= np.einsum("ij,ij->i", noise, chosen)[:, None] * chosen
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        moved = similarity * chosen + math.sqrt(1 - similarity**2) * noise
        own = self._quantizer.search(chosen, 1)[1]
        most = min(256, self._index.nlist)
        is_own = self._quantizer.search(moved, most)[1] == own
        place, found = is_own.argmax(axis=1), is_own.any(axis=1)
        probes = 4
        while probes < most and np.mean(found & (place < probes)) < _RECALL:
            probes *= 2
        return probes, float(np.mean(found & (place < probes)))
