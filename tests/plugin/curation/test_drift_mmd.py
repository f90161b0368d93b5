from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation import drift_mmd
from winnow.plugin.curation.drift_mmd import mean_discrepancy
from winnow.plugin.curation.drift_shuffles import Shuffles, p_values


def two_sets(half: int, moved: float) -> tuple[np.ndarray, Shuffles]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2 * half, 3)).astype(np.float32)
    rows[half:] += moved
    return rows, Shuffles.drawn(half, rng, count=30)


def test_small_sets_are_compared_pair_by_pair() -> None:
    rows, shuffles = two_sets(15, moved=0.5)
    squares = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    kernel = np.exp(-squares / np.median(squares))

    found, _ = mean_discrepancy(rows, shuffles, np.random.default_rng(0))

    for number in (0, 3):
        signs = shuffles.signs[:, number]
        expected = sum(signs[i] * signs[j] * kernel[i, j] for i in range(len(rows)) for j in range(len(rows)) if i != j)
        assert found[number] == pytest.approx(expected, abs=1e-3)


def test_random_features_come_close_to_the_exact_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, shuffles = two_sets(400, moved=0.3)
    exact, effect = mean_discrepancy(rows, shuffles, np.random.default_rng(0))

    monkeypatch.setattr(drift_mmd, "_EXACT_UP_TO", 100)
    found, approached = mean_discrepancy(rows, shuffles, np.random.default_rng(0))

    assert np.corrcoef(exact, found)[0, 1] > 0.9
    assert approached == pytest.approx(effect, abs=0.02)


def test_sets_that_lie_apart_are_told_from_shuffled_ones() -> None:
    found, effect = mean_discrepancy(*two_sets(100, moved=1.0), np.random.default_rng(0))

    assert p_values(found)[0] == pytest.approx(1 / 31)
    assert effect > 0.1


def test_equal_rows_have_no_distance() -> None:
    found, effect = mean_discrepancy(
        np.ones((40, 2), np.float32), Shuffles.drawn(20, np.random.default_rng(0)), np.random.default_rng(0)
    )

    assert (found == 0).all()
    assert effect == 0
