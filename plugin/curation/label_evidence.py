"""Evidence of an image's true class from the images around it: a probe's word, and its neighbours' votes."""

from __future__ import annotations

import numpy as np

from ..progress import Progress, silent
from .neighbors import NeighborIndex
from .probe import fit_probe, unit_length

_NEIGHBORS = 30
_WHITE_DIMENSIONS = 256
_VOTE_SHARPNESS = 0.1
_VOTE_FLOOR = 0.05


def evidence_of_embeddings(
    embeddings: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    groups: np.ndarray | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> list[np.ndarray]:
    """Return two (n, k) arrays of logarithms of probabilities, each row made without its own label.

    Args:
        embeddings: (n, d).
        labels: (n,) int in [0, k).
        n_classes: k.
        groups: (n,) int. Members of a group (numbers >= 0) do not bear witness for each other.
        seed: Of the probe's folds.
        progress: Told after each step.

    Raises:
        DataError: One class only, or hardly any labels.
    """
    probe = fit_probe(embeddings, labels, n_classes, groups=groups, seed=seed, progress=progress)
    votes = neighbor_votes(embeddings, labels, n_classes, groups, progress)
    return [np.log(np.maximum(probe.held_out_probabilities(), 1e-12)), np.log(votes)]


def neighbor_votes(
    embeddings: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    groups: np.ndarray | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """Return (n, k) float64: how the 30 nearest other images vote on each image's class; rows sum to 1.

    Distances are cosines of whitened principal components; a vote weighs exp(cosine / 0.1). Members of an image's own
    group do not vote on it. No class gets less than the floor that a twentieth of one vote gives.
    """
    white = whitened(embeddings)
    spare = 0 if groups is None else int(np.bincount(groups[groups >= 0], minlength=1).max(initial=0))
    wanted = min(_NEIGHBORS + spare, 4 * _NEIGHBORS)
    similarity, neighbors = NeighborIndex(white, exact=True).search_itself(
        wanted, step="neighbour votes", progress=progress
    )
    weight = np.exp((similarity - similarity.mean()) / _VOTE_SHARPNESS)
    if groups is not None:
        weight[(groups[neighbors] == groups[:, None]) & (groups[:, None] >= 0)] = 0
        weight[np.cumsum(weight > 0, axis=1) > _NEIGHBORS] = 0
    votes = np.zeros((len(labels), n_classes))
    np.add.at(votes, (np.arange(len(labels))[:, None], labels[neighbors]), weight)
    votes += _VOTE_FLOOR * max(float(votes.sum(axis=1).mean()), 1e-12) / _NEIGHBORS
    return votes / votes.sum(axis=1, keepdims=True)


def whitened(embeddings: np.ndarray) -> np.ndarray:
    """Return (n, min(d, 256)) float32 unit rows: principal components, scaled towards equal variance.

    A tenth of the mean variance is added to each before scaling, so that noise is not blown up.
    """
    vectors = np.asarray(embeddings, np.float64)
    vectors = vectors - vectors.mean(axis=0)
    if len(vectors) < vectors.shape[1]:
        _, deviation, transposed = np.linalg.svd(vectors, full_matrices=False)
        variance, axes = deviation**2 / max(len(vectors), 1), transposed.T
    else:
        variance, axes = np.linalg.eigh(vectors.T @ vectors / len(vectors))
        variance, axes = variance[::-1], axes[:, ::-1]
    variance, axes = variance[:_WHITE_DIMENSIONS], axes[:, :_WHITE_DIMENSIONS]
    projected = vectors @ axes / np.sqrt(np.maximum(variance, 0) + 0.1 * max(float(variance.mean()), 1e-12))
    return unit_length(projected).astype(np.float32)
