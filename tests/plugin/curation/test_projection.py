from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from winnow.plugin.curation.neighbors import unit_rows
from winnow.plugin.curation.projection import project, reduce_width
from winnow.plugin.errors import MissingPartError

METHODS = [
    "pca",
    "tsne",
    pytest.param(
        "umap", marks=pytest.mark.skipif(not importlib.util.find_spec("umap"), reason="umap-learn is not installed")
    ),
]


def clusters(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors around three directions, of any length, and which direction each one belongs to."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 20))
    member = np.arange(n) % 3
    vectors = centres[member] + rng.normal(0, 0.2, (n, 20))
    return (vectors * rng.uniform(0.5, 5, (n, 1))).astype(np.float32), member


@pytest.mark.parametrize("method", METHODS)
def test_neighbours_in_the_plane_are_of_the_same_cluster(method: str) -> None:
    vectors, member = clusters()

    points = project(vectors, method)

    assert (points.shape, points.dtype) == ((60, 2), np.float32)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (member[distance.argmin(axis=1)] == member).mean() > 0.95


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_points(method: str) -> None:
    vectors, _ = clusters()

    np.testing.assert_array_equal(project(vectors, method, seed=3), project(vectors, method, seed=3))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_few_vectors_have_points_too(n: int, method: str) -> None:
    points = project(clusters()[0][:n], method)

    assert points.shape == (n, 2)
    assert np.isfinite(points).all()


def test_equal_vectors_and_zeros_have_finite_points() -> None:
    assert np.isfinite(project(np.zeros((5, 8), np.float32))).all()
    assert np.isfinite(project(np.ones((5, 8), np.float32))).all()


def test_reduced_vectors_keep_their_nearest_neighbours() -> None:
    unit = unit_rows(clusters()[0], centered=False)

    reduced, kept = reduce_width(unit, 12)

    def nearest(rows: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm(rows[:, None] - rows[None], axis=2)
        np.fill_diagonal(distance, np.inf)
        return distance.argmin(axis=1)

    assert reduced.shape == (60, 12)
    assert 0.8 < kept < 1
    assert (nearest(reduced) == nearest(unit)).mean() > 0.5


@pytest.mark.skipif(bool(importlib.util.find_spec("umap")), reason="umap-learn is installed")
def test_umap_without_its_package_names_the_command() -> None:
    with pytest.raises(MissingPartError, match=r'pip install "fiftyone-winnow\[umap\]"'):
        project(clusters()[0], "umap")
