"""Weighted k-means finds what lies together, and lets only what has weight decide."""

from __future__ import annotations

import numpy as np

from winnow.plugin.curation.kmeans import cluster, nearest


def test_points_that_lie_together_share_a_cluster() -> None:
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.arange(5), 40)
    points = (10 * np.eye(5)[kinds] + rng.normal(size=(200, 5))).astype(np.float32)

    centres, own = cluster(points, 5, np.random.default_rng(1))

    assert len(centres) == 5
    assert all(len(set(own[kinds == kind])) == 1 for kind in range(5))


def test_centres_are_weighted_means() -> None:
    points = np.array([[0.0], [1.0], [10.0], [11.0]], np.float32)
    weights = np.array([3.0, 1.0, 1.0, 0.0])

    centres, own = cluster(points, 2, np.random.default_rng(0), weights)

    assert own[0] == own[1] != own[2] == own[3]
    np.testing.assert_allclose(sorted(centres.ravel()), [0.25, 10.0])


def test_there_are_no_more_clusters_than_different_points() -> None:
    points = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)

    centres, _ = cluster(points, 8, np.random.default_rng(0))

    assert len(centres) == 3


def test_nearest_centre_is_that_of_the_plain_loop() -> None:
    rng = np.random.default_rng(0)
    points, centres = rng.normal(size=(300, 6)).astype(np.float32), rng.normal(size=(20, 6)).astype(np.float32)

    found = nearest(points, centres)

    assert found.tolist() == [int(((centres - point) ** 2).sum(axis=1).argmin()) for point in points]
