from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from winnow.plugin.curation.drift_probabilities import (
    beyond_chance,
    class_distances,
    class_drift,
    predicted_distances,
)
from winnow.plugin.curation.drift_shuffles import Shuffles


def test_distances_are_close_to_scipys_in_truth_and_after_a_shuffle() -> None:
    rng = np.random.default_rng(0)
    shuffles = Shuffles.drawn(300, rng, count=5)
    probs = np.concatenate([rng.dirichlet([1, 2, 3], 300), rng.dirichlet([2, 2, 2], 300)])

    found = class_distances(probs, shuffles)

    for number, signs in enumerate(shuffles.signs.T):
        for label in range(3):
            exact = ks_2samp(probs[signs > 0, label], probs[signs < 0, label]).statistic
            assert exact - 0.05 <= found[label, number] <= exact + 1e-6


def test_more_classes_than_fit_into_one_product_give_the_same() -> None:
    rng = np.random.default_rng(0)
    shuffles = Shuffles.drawn(30, rng, count=3)
    probs = rng.dirichlet(np.ones(700), 60)

    found = class_distances(probs, shuffles)

    assert found.shape == (700, 4)
    assert found[600] == pytest.approx(class_distances(probs[:, 100:], shuffles)[500])


def test_p_values_of_classes_are_corrected_for_the_number_of_classes() -> None:
    distances = np.array([[0.5, 0.1, 0.6, 0.2], [0.1, 0.3, 0.1, 0.1]])

    found = class_drift(distances, np.array([0.4, 0.6]), np.array([0.5, 0.5]))

    assert found.p_value.tolist() == [0.5, 1.0]
    assert found.effect == pytest.approx([0.5, 0.1])


def test_effect_on_predictions_is_the_share_that_would_have_to_change() -> None:
    predicted = np.repeat([0, 1, 0, 1], (800, 200, 500, 500))

    _, effect = predicted_distances(predicted, Shuffles.drawn(1_000, np.random.default_rng(0)))

    assert effect == pytest.approx(0.3, abs=0.01)


def test_distance_that_chance_gives_too_is_no_effect() -> None:
    assert beyond_chance(np.array([0.1, 0.1, 0.12])) == 0
