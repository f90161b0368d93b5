from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from winnow.plugin.training.comparison import Comparison, compare, compare_several

Predictions = tuple[np.ndarray, np.ndarray, np.ndarray]


def made(seed: int, n: int = 300, first: float = 0.8, second: float = 0.8) -> Predictions:
    """Return (n,) labels and two predictions that are right with these chances, on much the same images."""
    rng = np.random.default_rng(seed)
    labels, difficulty = rng.integers(3, size=n), rng.random(n)
    wrong = (labels + rng.integers(1, 3, n)) % 3
    own = 0.8 * difficulty[None] + 0.2 * rng.random((2, n))  # what is hard for one is mostly hard for the other
    share = np.array([[first], [second]])
    right = own < np.quantile(0.8 * rng.random(100_000) + 0.2 * rng.random(100_000), share)
    return labels, np.where(right[0], labels, wrong), np.where(right[1], labels, wrong)


def test_what_one_alone_has_right_decides() -> None:
    labels = np.zeros(20, int)
    first, second = (np.arange(20) < 2).astype(int), ((np.arange(20) >= 1) & (np.arange(20) < 11)).astype(int)

    found = compare(labels, first, second)

    assert (found.images, found.only_first, found.only_second) == (20, 9, 1)
    assert found.p_value == pytest.approx(2 * (1 + 10) / 2**10)
    assert found.score == (pytest.approx(0.9), pytest.approx(0.5))
    assert found.gain == pytest.approx(0.4)
    assert found.better == 1
    assert compare(labels, second, first).better == 2


def test_macro_f1_is_scikit_learns() -> None:
    labels, first, second = made(0)

    found = compare(labels, first, second)

    f1 = [f1_score(labels, each, average="macro") for each in (first, second)]
    assert found.macro_f1 == pytest.approx(f1)
    assert found.f1_gain == pytest.approx(f1[0] - f1[1])


def test_images_without_both_predictions_do_not_count() -> None:
    labels, first, second = np.array([0, 0, 0, -1, 1]), np.array([0, -1, 0, 0, 1]), np.array([0, 0, -1, 1, 0])

    found = compare(labels, first, second)

    assert (found.images, found.left_out, found.only_first) == (2, 2, 1)


def test_equally_good_ones_are_seldom_told_apart_and_their_gain_lies_in_the_intervals() -> None:
    found = [compare(*made(seed), seed=seed) for seed in range(100)]

    assert sum(each.better != 0 for each in found) <= 8
    assert 90 <= sum(each.interval[0] <= 0 <= each.interval[1] for each in found) <= 99
    assert 90 <= sum(each.f1_interval[0] <= 0 <= each.f1_interval[1] for each in found) <= 99


def test_what_is_hard_for_both_does_not_hide_that_one_is_better() -> None:
    found = [compare(*made(seed, 600, first=0.8, second=0.75)) for seed in range(20)]

    assert all(each.better == 1 for each in found)
    assert all(each.interval[0] > 0 for each in found)


def test_predictions_that_agree_leave_the_more_doubt_the_fewer_they_are() -> None:
    few, many = compare(*[np.zeros(5, int)] * 3), compare(*[np.zeros(500, int)] * 3)

    bound = 1 - 0.025 ** (1 / 5)
    assert few.interval == few.f1_interval == (pytest.approx(-bound), pytest.approx(bound))
    assert many.interval[1] < 0.01
    assert (few.p_value, few.better) == (1, 0)


def test_classes_are_compared_one_by_one() -> None:
    found = compare(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), np.array([0, 1, 1, 1]))

    assert found.classes[0].recall.tolist() == [1, 0.5]
    assert found.classes[1].recall.tolist() == [0.5, 1]


def test_the_seed_decides_the_interval() -> None:
    def interval(seed: int) -> tuple[float, float]:
        return compare(*made(0), seed=seed).f1_interval

    assert interval(1) == interval(1) != interval(2)


def test_nothing_to_compare_is_no_difference() -> None:
    found: Comparison = compare(*[np.array([-1, -1])] * 3)

    assert (found.images, found.better) == (0, 0)
    assert math.isnan(found.gain)


def several(seed: int, n: int = 200, right: tuple[float, float] = (0.9, 0.9)) -> Predictions:
    """Return (n, 4) labels, a tenth not annotated, and two predictions that are right with these chances."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 4)) < 0.4).astype(float)
    first, second = (np.where(rng.random((n, 4)) < chance, truth, 1 - truth) for chance in right)
    return np.where(rng.random((n, 4)) < 0.1, np.nan, truth), first, second


def test_f1_of_several_labels_is_scikit_learns_over_what_is_annotated() -> None:
    labels, first, second = several(0)

    found = compare_several(labels, first, second)

    known = np.isfinite(labels)
    assert found.score == pytest.approx([f1_score(labels[known], each[known]) for each in (first, second)])
    by_class = [
        np.mean([f1_score(labels[known[:, k], k], each[known[:, k], k]) for k in range(4)]) for each in (first, second)
    ]
    assert found.macro_f1 == pytest.approx(by_class)


def test_of_several_labels_the_better_one_is_told_and_equally_good_ones_seldom_are() -> None:
    alike = [compare_several(*several(seed), seed=seed) for seed in range(60)]
    better = compare_several(*several(0, right=(0.95, 0.8)))

    assert better.better == 1
    assert better.interval[0] > 0
    assert sum(each.better != 0 for each in alike) <= 6
    assert sum(each.interval[0] <= 0 <= each.interval[1] for each in alike) >= 53
