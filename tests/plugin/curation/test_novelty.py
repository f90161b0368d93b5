from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.drift_shuffles import Shuffles, p_values
from winnow.plugin.curation.drift_space import Space
from winnow.plugin.curation.novelty import Novelty, farther
from winnow.plugin.errors import DataError


def rows_of(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def test_novelty_is_the_distance_to_the_nearest_training_image_in_units_of_the_limit() -> None:
    trained, held_out, asked = rows_of(200, 0), rows_of(300, 1), rows_of(20, 2) * 2
    space = Space.of(trained, np.random.default_rng(0))

    found = Novelty(space, trained, held_out).of(space.components(asked))

    def nearest(row: np.ndarray) -> float:
        return min(float(np.linalg.norm(row - other)) for other in trained)

    limit = np.quantile([nearest(row) for row in held_out], 0.99)
    assert found == pytest.approx([nearest(row) / limit for row in asked], rel=1e-2)


def test_one_in_a_hundred_reference_images_lies_beyond_the_limit() -> None:
    trained = rows_of(500, 0)
    space = Space.of(trained, np.random.default_rng(0))

    assert (Novelty(space, trained, None).of(space.components(rows_of(5_000, 1))) > 1).mean() < 0.03


def test_reference_among_the_training_images_is_an_error() -> None:
    trained = rows_of(200, 0)

    with pytest.raises(DataError, match="trained on"):
        Novelty(Space.of(trained, np.random.default_rng(0)), trained, trained[:100])


def test_equal_training_images_are_no_error() -> None:
    trained = np.ones((50, 3), np.float32)
    space = Space.of(trained, np.random.default_rng(0))

    assert (Novelty(space, trained, trained).of(space.components(trained)) == 0).all()


def test_few_rows_far_out_are_noticed_and_nearer_ones_are_not() -> None:
    shuffles = Shuffles.drawn(500, np.random.default_rng(0))
    distances = np.random.default_rng(1).random(1_000)
    far, near = distances.copy(), distances.copy()
    far[-30:] += 1
    near[500:] /= 2

    assert p_values(farther(far, shuffles)[0])[0] < 0.01
    statistic, effect = farther(near, shuffles)
    assert p_values(statistic)[0] > 0.9
    assert effect == 0
