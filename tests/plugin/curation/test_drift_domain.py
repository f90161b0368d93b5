from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.drift_domain import DomainClassifier
from winnow.plugin.curation.drift_shuffles import Shuffles


def two_sets(moved: float, half: int = 60, width: int = 4) -> tuple[np.ndarray, Shuffles]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2 * half, width)).astype(np.float32)
    rows[half:, 0] += moved
    return rows, Shuffles.drawn(half, rng, count=50)


def ridge(rows: np.ndarray, labels: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Return centre, weights and mean label of a ridge regression with a penalty per row."""
    centre = rows.mean(axis=0)
    gram = (rows - centre).T @ (rows - centre) + penalty * np.eye(rows.shape[1])
    return centre, np.linalg.solve(gram, (rows - centre).T @ (labels - labels.mean())), labels.mean()


def test_held_out_chance_is_that_of_a_fit_without_the_row() -> None:
    rows, shuffles = two_sets(moved=1.0)
    labels = shuffles.signs[:, 0].astype(np.float64)
    spread = ((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean() / rows.shape[1]

    found = DomainClassifier.fit(rows, shuffles).held_out

    for row in (0, 30, 70, 119):
        others = np.arange(len(rows)) != row
        centre, weights, mean = ridge(rows[others].astype(np.float64), labels[others], spread * len(rows))
        expected = (rows[row] - centre) @ weights + mean
        assert found[row] == pytest.approx((1 + np.clip(expected, -1, 1)) / 2, abs=2e-3)


def test_what_shuffles_explain_is_what_a_fit_on_shuffled_labels_would() -> None:
    rows, shuffles = two_sets(moved=1.0)
    spread = ((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean() / rows.shape[1]

    found = DomainClassifier.fit(rows, shuffles).explained

    for number in (0, 1, 17):
        labels = shuffles.signs[:, number].astype(np.float64)
        centre, weights, _ = ridge(rows.astype(np.float64), labels, spread * len(rows))
        assert found[number] == pytest.approx(labels @ ((rows - centre) @ weights) / len(rows), abs=1e-4)


def test_rows_on_the_side_of_the_current_ones_get_the_higher_chance() -> None:
    rows, shuffles = two_sets(moved=2.0)

    chance = DomainClassifier.fit(rows, shuffles).chance(np.array([[3.0, 0, 0, 0], [-1.0, 0, 0, 0]], np.float32))

    assert chance[0] > 0.7
    assert chance[1] < 0.3


@pytest.mark.parametrize(("moved", "low", "high"), [(0.0, 0.0, 0.25), (1.0, 0.25, 0.6), (8.0, 0.8, 1.0)])
def test_effect_grows_with_the_distance(moved: float, low: float, high: float) -> None:
    assert low <= DomainClassifier.fit(*two_sets(moved)).effect_size <= high


def test_columns_that_never_differ_tell_nothing() -> None:
    found = DomainClassifier.fit(np.ones((40, 3), np.float32), Shuffles.drawn(20, np.random.default_rng(0)))

    assert (found.explained == 0).all()
    assert found.effect_size == 0
    assert found.held_out == pytest.approx(np.full(40, 0.5), abs=0.03)
