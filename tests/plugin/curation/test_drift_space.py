from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.drift_space import Space


def test_components_keep_distances_where_few_directions_matter() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(2_500, 5)) @ rng.normal(size=(5, 300))).astype(np.float32)

    found = Space.of(vectors, rng).components(vectors)

    scale = np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())
    for some, other in ((0, 1), (7, 2_400)):
        expected = np.linalg.norm(vectors[some] - vectors[other]) / scale
        assert np.linalg.norm(found[some] - found[other]) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("shape", [(40, 2), (40, 1), (40, 2_048)])
def test_few_or_many_columns_have_a_length_of_one(shape: tuple[int, int]) -> None:
    vectors = 5 + np.random.default_rng(0).normal(size=shape).astype(np.float16)

    found = Space.of(vectors, np.random.default_rng(0)).components(vectors)

    assert np.sqrt((found**2).sum(axis=1).mean()) == pytest.approx(1, abs=0.02)


def test_equal_vectors_have_components_of_zero() -> None:
    vectors = np.full((30, 8), 0.1, np.float32)

    assert (Space.of(vectors, np.random.default_rng(0)).components(vectors) == 0).all()
