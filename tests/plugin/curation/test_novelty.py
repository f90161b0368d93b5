from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.drift_shuffles import Shuffles, p_values
from winnow.plugin.curation.novelty import Novelty, farther
from winnow.plugin.errors import DataError


def rows_of(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def test_novelty_is_the_larger_of_two_distances_to_the_fifth_nearest_in_units_of_the_limit() -> None:
    trained, held_out, asked = rows_of(200, 0), rows_of(300, 1), rows_of(20, 2) * 2

    found = Novelty(trained, held_out).of(asked)

    def fifth(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        return np.array([sorted(np.linalg.norm(row - others, axis=1))[4] for row in rows])

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def both(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        return np.stack([fifth(unit(rows), unit(others)), fifth(rows, others)], axis=1)

    own = np.array([both(trained[[row]], np.delete(trained, row, axis=0))[0] for row in range(200)])
    scales = np.quantile(own, 0.99, axis=0)
    limit = np.sort((both(held_out, trained) / scales).max(axis=1))[-3]  # of 300: three in 301 new ones lie beyond it
    assert found == pytest.approx((both(asked, trained) / scales).max(axis=1) / limit, rel=1e-2)


def test_one_in_a_hundred_new_images_lies_beyond_the_limit_also_of_few_reference_images() -> None:
    beyond = [
        (Novelty(rows_of(500, 0), rows_of(100, seed)).of(rows_of(1_000, 100 + seed)) > 1).mean()
        for seed in range(1, 20)
    ]

    assert np.mean(beyond) == pytest.approx(0.01, abs=0.005)


def test_images_that_differ_where_known_ones_hardly_vary_are_new() -> None:
    scale = np.r_[np.ones(70), np.full(10, 0.01)].astype(np.float32)
    rng = np.random.default_rng(0)
    known, foreign = (rng.normal(size=(count, 80)).astype(np.float32) * scale for count in (500, 50))
    foreign[:, 75] += 10

    found = Novelty(known, None).of(foreign)

    assert (found > 1).mean() > 0.9


def test_reference_among_the_training_images_is_an_error() -> None:
    trained = rows_of(200, 0)

    with pytest.raises(DataError, match="trained on"):
        Novelty(trained, trained[:100])


def test_equal_training_images_are_no_error() -> None:
    trained = np.ones((50, 3), np.float32)

    assert (Novelty(trained, trained).of(trained) == 0).all()


def test_a_single_training_image_and_images_without_length_are_no_error() -> None:
    found = Novelty(np.ones((1, 3), np.float32), rows_of(30, 0)[:, :3]).of(np.zeros((2, 3), np.float32))

    assert np.isfinite(found).all()


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
