"""Odd images: off-topic, broken or very rare ones, by how far their neighbours are.

An image is as odd as the cosine distance from it to its 20th nearest other image is large (deep nearest neighbours: Sun
et al. 2022, arXiv:2204.06507). Near-duplicates count once, so that copies of an odd image do not make it look normal.
Fewer than 20 odd images of one kind are found that way; more of them look like a class of their own. (Among 10,000
garments of Fashion-MNIST, 100 crops of photos are flagged with recall .99 and precision .86, AUROC 1.00; 100
handwritten digits, which resemble each other and, to this network, garments, are not: AUROC .53.)

The cut is robust: the distances of ordinary images are taken as normally distributed above their median, with a spread
that is read from the ninth decile. A few per cent of odd images therefore hardly move it. One ordinary image in 1,000
would lie beyond it; of the garments of Fashion-MNIST and the photos of CIFAR-10, three in 1,000 do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from ..progress import Progress, silent
from .neighbors import NeighborIndex, unit_rows

_BEYOND = 0.001
_NEIGHBOR = 20
_PART = 10  # in few images, the neighbour that counts is one of the nearest tenth
_FEWEST = 50
_DECILE = 0.9
_FARTHEST = 2.0


@dataclass(frozen=True, eq=False)
class Outliers:
    """How odd n images are.

    Attributes:
        score: (n,) float32 in [0, 1). Share of the images that are less odd, rounded to 1e-4.
        is_outlier: (n,) bool. Beyond the cut; with fewer than 50 images nothing is.
        distance: (n,) float32 in [0, 2], rounded to 1e-4. Cosine distance to the neighbour that counts.
        cut: Distance beyond which an image is an outlier. Infinite where nothing can be said.
    """

    score: np.ndarray
    is_outlier: np.ndarray
    distance: np.ndarray
    cut: float


def find_outliers(vectors: np.ndarray, groups: np.ndarray | None = None, progress: Progress = silent) -> Outliers:
    """Find odd images. Beside the vectors it needs one copy of them (two where `groups` holds any), about 1 kB an image
    and what `NeighborIndex` takes.

    Args:
        vectors: (n, d) float32. Up to 20,000 are compared each with each, more as `NeighborIndex` does it.
        groups: (n,) int. Near-duplicates share a number >= 0 and count as one image; -1 = none.
        progress: Told after each block.

    Raises:
        ValueError: Not a matrix, a value that is not finite, or `groups` of another length.
    """
    rows = unit_rows(vectors, centered=False)
    count = len(rows)
    if groups is not None and np.shape(groups) != (count,):
        raise ValueError(f"groups must have shape ({count},) like the vectors' rows, got {np.shape(groups)}")
    leaders, own = _leaders(np.full(count, -1) if groups is None else np.asarray(groups))
    distance = _neighbor_distance(rows, leaders, own, progress)
    cut = _cut(distance[leaders])
    score = np.searchsorted(np.sort(distance), distance) / max(count, 1)
    return Outliers(np.round(score, 4).astype(np.float32), distance > cut, distance, cut)


def _leaders(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that count, ascending: the first of each group, and all others; and each row's place there."""
    leader = np.arange(len(groups))
    grouped = np.flatnonzero(groups >= 0)
    _, first, inverse = np.unique(groups[grouped], return_index=True, return_inverse=True)
    leader[grouped] = grouped[first][inverse]
    return np.unique(leader, return_inverse=True)


def _neighbor_distance(rows: np.ndarray, leaders: np.ndarray, own: np.ndarray, progress: Progress) -> np.ndarray:
    """Return the (n,) float32 distance to the 20th nearest leader that is not the row's own."""
    k = min(_NEIGHBOR, max(1, len(leaders) // _PART), len(leaders) - 1)
    if k < 1:
        return np.zeros(len(rows), np.float32)
    base = rows if len(leaders) == len(rows) else rows[leaders]
    similarity, found = NeighborIndex(base).search(rows, k + 1, step="outliers", progress=progress)
    nearer = (found[:, :k] == own[:, None]).any(axis=1)  # one of the k nearest is the row itself
    last = np.where(nearer, similarity[:, k], similarity[:, k - 1])
    # An inexact search may have seen fewer: then hardly anything is near.
    distance = np.where(np.isneginf(last), _FARTHEST, 1 - last)
    return np.clip(distance, 0, _FARTHEST).round(4).astype(np.float32)


def _cut(distance: np.ndarray) -> float:
    if len(distance) < _FEWEST:
        return float("inf")
    middle, high = np.quantile(distance, [0.5, _DECILE])
    if high <= middle:
        return float("inf")
    return float(middle + (high - middle) / norm.ppf(_DECILE) * norm.isf(_BEYOND))
