"""The learning curve's arithmetic, against laws that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from winnow.plugin.curation.learning_curve import (
    PowerLaw,
    advise,
    expected_gain,
    fit_power_law,
    rounds_without_gain,
)

LABELS = np.array([50, 100, 150, 200, 300, 400, 600])


def scores_of(law: PowerLaw, labels: np.ndarray = LABELS) -> np.ndarray:
    return np.array([law.score(count) for count in labels])


def around(scores: np.ndarray, half: float) -> np.ndarray:
    return np.stack([scores - half, scores + half], axis=1)


@pytest.mark.parametrize("law", [PowerLaw(0.05, 2.0, 0.7), PowerLaw(0.0, 1.0, 0.3), PowerLaw(0.2, 5.0, 1.2)])
def test_law_that_made_the_scores_is_found(law: PowerLaw) -> None:
    found = fit_power_law(LABELS, scores_of(law))

    assert found is not None
    assert found.gain(600, 100) == pytest.approx(law.gain(600, 100), rel=0.05)
    assert found.score(600) == pytest.approx(law.score(600), abs=1e-3)


def test_fit_is_as_good_as_an_iterative_solvers() -> None:
    rng = np.random.default_rng(0)
    scores = scores_of(PowerLaw(0.08, 3.0, 0.8)) + rng.normal(0, 0.01, len(LABELS))
    weights = np.arange(1, len(LABELS) + 1) / len(LABELS)

    def law(n: np.ndarray, floor: float, scale: float, exponent: float) -> np.ndarray:
        return 1 - floor - scale * n**-exponent

    solved, _ = curve_fit(
        law, LABELS.astype(float), scores, p0=(0.1, 1, 0.5), sigma=weights**-0.5, bounds=([0, 0, 0.05], [1, 100, 2])
    )
    found = fit_power_law(LABELS, scores)

    assert found is not None
    lost = [
        weights @ (law(LABELS, *each) - scores) ** 2 for each in ((found.floor, found.scale, found.exponent), solved)
    ]
    assert lost[0] <= lost[1] * 1.05


@given(st.lists(st.floats(0, 1), min_size=3, max_size=12), st.integers(0, 3))
def test_more_labels_are_never_expected_to_harm(scores: list[float], seed: int) -> None:
    labels = 20 * np.arange(1, len(scores) + 1)

    expected = expected_gain(labels, np.array(scores), around(np.array(scores), 0.03), seed=seed)

    assert expected is not None
    assert 0 <= expected.gain <= 1
    assert 0 <= expected.interval[0] <= expected.interval[1]


def test_two_rounds_are_too_few_for_a_law() -> None:
    assert fit_power_law(np.array([50, 100]), np.array([0.5, 0.6])) is None


def test_rounds_with_the_same_number_of_labels_count_as_one() -> None:
    assert fit_power_law(np.array([50, 50, 100]), np.array([0.5, 0.5, 0.6])) is None


def test_rounds_that_were_not_measured_are_passed_over() -> None:
    law = PowerLaw(0.05, 2.0, 0.7)
    scores = scores_of(law)
    scores[2] = np.nan

    found = fit_power_law(LABELS, scores)

    assert found is not None
    assert found.score(600) == pytest.approx(law.score(600), abs=1e-3)


def test_wider_intervals_make_the_expected_gain_less_sure() -> None:
    scores = scores_of(PowerLaw(0.1, 2.0, 0.6))

    sure, unsure = (expected_gain(LABELS, scores, around(scores, half)) for half in (0.005, 0.05))

    assert sure is not None and unsure is not None
    assert np.diff(sure.interval) < np.diff(unsure.interval)
    assert sure.interval[0] <= sure.gain <= sure.interval[1]


def test_score_below_the_floor_needs_a_number_of_labels_that_reaches_it() -> None:
    law = PowerLaw(0.1, 2.0, 0.5)

    assert law.score(law.labels_for(0.8)) == pytest.approx(0.8)
    assert law.labels_for(0.95) == float("inf")


@pytest.mark.parametrize(
    ("scores", "since"),
    [
        ([], 0),
        ([0.5], 0),
        ([0.5, 0.6], 0),
        ([0.5, 0.6, 0.6], 1),  # as good is no gain
        ([0.5, 0.7, 0.6, 0.65], 2),
        ([0.5, 0.7, np.nan, 0.65], 1),
    ],
)
def test_rounds_since_the_best_are_counted(scores: list[float], since: int) -> None:
    assert rounds_without_gain(np.array(scores)) == since


def test_flat_curve_is_to_be_stopped_for_want_of_gain() -> None:
    scores = np.array([0.6, 0.8, 0.8, 0.79, 0.8])

    advice = advise(LABELS[:5], scores, around(scores, 0.02), patience=3, least_gain=0.0)

    assert advice.no_gain and advice.stop
    assert advice.without_gain == 3


def test_curve_that_still_rises_goes_on() -> None:
    scores = scores_of(PowerLaw(0.02, 3.0, 0.6))

    advice = advise(LABELS, scores, around(scores, 0.02), patience=3, least_gain=0.001)

    assert not advice.stop


def test_curve_that_has_levelled_off_is_to_be_stopped_before_its_patience_ends() -> None:
    scores = 0.9 - 0.5 * np.exp(-LABELS / 40)

    advice = advise(LABELS, scores, around(scores, 0.01), patience=99, least_gain=0.005)

    assert advice.little_expected and advice.stop
    assert not advice.no_gain


@pytest.mark.parametrize(
    ("labels", "scores"), [(np.array([0, 50, 100]), np.zeros(3)), (np.array([50, 100]), np.zeros(3))]
)
def test_impossible_rounds_are_refused(labels: np.ndarray, scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match="label"):
        fit_power_law(labels, scores)
