from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.drift_neighbours import Neighbourhoods
from winnow.plugin.curation.drift_shuffles import Shuffles, p_values


def neighbourhoods(rows: np.ndarray) -> Neighbourhoods:
    rng = np.random.default_rng(0)
    return Neighbourhoods(rows.astype(np.float32), Shuffles.drawn(len(rows) // 2, rng, count=99), rng)


def with_new_kind(half: int, new: int) -> np.ndarray:
    rows = np.random.default_rng(1).normal(size=(2 * half, 6))
    rows[2 * half - new :] = 3 + 0.3 * np.random.default_rng(2).normal(size=(new, 6))
    return rows


def test_shares_and_distances_are_those_of_a_plain_comparison() -> None:
    rows = with_new_kind(60, 5)

    found = neighbourhoods(rows)

    for row in range(0, 120, 7):
        away = np.linalg.norm(rows - rows[row], axis=1)
        away[row] = np.inf
        nearest = np.argsort(away)[:15]
        assert found.shares[row] == pytest.approx(((nearest >= 60).sum() + 1) / 17)
        assert found.distance[row] == pytest.approx(away[nearest[-1]], rel=1e-3)


def test_few_images_of_a_new_kind_are_noticed() -> None:
    found = neighbourhoods(with_new_kind(200, 14))

    assert p_values(found.statistic())[0] == pytest.approx(0.01)
    assert found.shares[-14:].min() > 0.8


def test_images_of_one_kind_are_among_both_sets_alike() -> None:
    found = neighbourhoods(with_new_kind(200, 0))

    assert p_values(found.statistic())[0] > 0.05
    assert found.effect_size() < 0.05


def test_sets_that_share_no_place_have_the_full_effect() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 3))
    rows[50:] += 100

    assert neighbourhoods(rows).effect_size() > 0.95


def test_other_rows_get_the_share_around_them() -> None:
    found = neighbourhoods(with_new_kind(200, 20))

    assert found.shares_around(np.full((1, 6), 3, np.float32))[0] == pytest.approx(16 / 17)


def test_equal_rows_do_not_favour_one_set() -> None:
    found = neighbourhoods(np.ones((60, 2)))

    assert p_values(found.statistic())[0] > 0.05
