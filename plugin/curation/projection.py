"""Vectors in fewer dimensions: two for a plot, some hundred for a search that has to fit into memory."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Literal, get_args

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from ..errors import MissingPartError
from .neighbors import unit_rows

Projection = Literal["pca", "tsne", "umap"]
PROJECTIONS: tuple[str, ...] = get_args(Projection)

_START_WIDTH = 50  # dimensions that t-SNE and UMAP start from (van der Maaten and Hinton 2008, section 4.2, use 30)
_TSNE_SPREAD = 1e-4  # standard deviation of t-SNE's first column at its start, as in scikit-learn's init="pca"
_PERPLEXITY = 30.0
_NEIGHBOURS = 15
_ONE_THREAD = 1_000  # with fewer points, threads wait for each other longer than they work
_FEW = 3  # so few points need no other layout than PCA's


def project(vectors: np.ndarray, method: Projection = "pca", seed: int = 0) -> np.ndarray:
    """Place vectors in a plane, so that similar ones lie close together.

    Args:
        vectors: (n, d) float32; compared by their angle.
        method: "pca" (seconds), "tsne" (minutes), or "umap".
        seed: Seed of t-SNE and UMAP; PCA has no choice to make.

    Returns:
        (n, 2) float32, centred.

    Raises:
        MissingPartError: The method needs a package that is not installed.
    """
    check_installed(method)
    rows = unit_rows(vectors, centered=False)
    if method == "pca" or len(rows) <= _FEW:
        return _two_columns(reduce_width(rows, 2)[0])
    start = reduce_width(rows, _START_WIDTH)[0]
    points = _tsne(start, seed) if method == "tsne" else _umap(start, seed)
    return (points - points.mean(axis=0)).astype(np.float32)


def check_installed(method: str) -> None:
    """Make sure that a projection can be made: to be called before long work.

    Raises:
        MissingPartError: It needs a package that is not installed.
    """
    if method == "umap" and importlib.util.find_spec("umap") is None:
        raise MissingPartError(
            'UMAP needs umap-learn: `pip install "fiftyone-winnow[umap]"`. Or choose the projection pca or tsne.'
        )


def reduce_width(vectors: np.ndarray, width: int) -> tuple[np.ndarray, float]:
    """Keep the `width` directions in which the vectors differ most (principal components).

    Args:
        vectors: (n, d) float32.
        width: Number of directions; more than n or d are not to be had.

    Returns:
        (n, min(width, n, d)) float32, whose Euclidean distances approach those of the vectors; and the share of the
        variance that is kept, in 0..1 (1 where the vectors are all equal).
    """
    width = min(width, *vectors.shape)
    if len(vectors) < 2 or not np.ptp(vectors, axis=0).any():
        return np.zeros((len(vectors), width), np.float32), 1.0
    # One d x d matrix, not a decomposition of all rows: exact, and 100,000 rows take seconds.
    pca = PCA(width, svd_solver="covariance_eigh")
    return pca.fit_transform(vectors).astype(np.float32), float(pca.explained_variance_ratio_.sum())


def _two_columns(columns: np.ndarray) -> np.ndarray:
    return np.pad(columns, ((0, 0), (0, 2 - columns.shape[1])))


def _tsne(rows: np.ndarray, seed: int) -> np.ndarray:
    first = _two_columns(rows[:, :2])
    start = first * (_TSNE_SPREAD / max(float(first[:, 0].std()), 1e-9))
    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
    with threadpool_limits(1 if len(rows) < _ONE_THREAD else None, user_api="openmp"):
        return TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(rows)


def _umap(rows: np.ndarray, seed: int) -> np.ndarray:
    umap = importlib.import_module("umap")
    reducer = umap.UMAP(n_neighbors=min(_NEIGHBOURS, len(rows) - 1), init="pca", random_state=seed)
    return reducer.fit_transform(rows)
