from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.drift_shuffles import Shuffles, p_values


def test_first_column_is_the_truth_and_each_shuffle_swaps_whole_pairs() -> None:
    shuffles = Shuffles.drawn(50, np.random.default_rng(0), count=20)

    assert shuffles.signs.shape == (100, 21)
    assert shuffles.signs[:50, 0].tolist() == [-1] * 50
    assert np.array_equal(shuffles.signs[:50], -shuffles.signs[50:])
    assert 0.4 < (shuffles.signs[50:, 1:] > 0).mean() < 0.6


def test_mean_differences_are_those_of_the_rows_that_count_as_current() -> None:
    rng = np.random.default_rng(1)
    shuffles = Shuffles.drawn(40, rng, count=10)
    columns = rng.normal(size=(80, 3)).astype(np.float32)

    found = shuffles.mean_differences(columns)

    for number, signs in enumerate(shuffles.signs.T):
        expected = columns[signs > 0].mean(axis=0) - columns[signs < 0].mean(axis=0)
        assert found[:, number] == pytest.approx(expected, abs=1e-5)


def test_p_value_is_the_share_of_columns_that_are_at_least_as_large() -> None:
    statistic = np.array([3.0, 1.0, 2.0, 3.0])

    assert p_values(statistic).tolist() == [0.5, 1.0, 0.75, 0.5]


def test_statistic_that_never_differs_proves_nothing() -> None:
    assert p_values(np.full((2, 5), 7.0)).tolist() == [[1.0] * 5] * 2


def test_differences_below_rounding_do_not_count() -> None:
    statistic = np.array([1.0, 1.0, 2.0, 3.0])
    noisy = statistic + np.array([1e-9, 0, 0, 0])

    assert np.array_equal(p_values(noisy), p_values(statistic))
