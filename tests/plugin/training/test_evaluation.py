from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from winnow.plugin.training.evaluation import evaluate


def test_only_images_with_label_and_prediction_count() -> None:
    labels = np.array([0, 1, -1, 0, -1, 1])
    predicted = np.array([0, 0, 1, -1, -1, 1])

    found = evaluate(labels, predicted)

    assert (found.images, found.without_label, found.without_prediction) == (3, 2, 1)
    assert found.accuracy == pytest.approx(2 / 3)


def test_metrics_equal_their_definitions() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 300, p=[0.7, 0.2, 0.1])
    predicted = np.where(rng.random(300) < 0.6, labels, rng.integers(3, size=300))

    found = evaluate(labels, predicted)

    hits = np.array([[np.sum((labels == i) & (predicted == j)) for j in range(3)] for i in range(3)])
    recall, precision = np.diag(hits) / hits.sum(axis=1), np.diag(hits) / hits.sum(axis=0)
    assert found.accuracy == pytest.approx(np.trace(hits) / 300)
    assert found.balanced_accuracy == pytest.approx(recall.mean())
    assert found.macro_f1 == pytest.approx((2 * precision * recall / (precision + recall)).mean())


def test_the_interval_is_that_of_a_share() -> None:
    right = np.random.default_rng(0).random(400) < 0.8
    labels = np.ones(400, int)

    low, high = evaluate(labels, right.astype(int)).interval

    error = math.sqrt(right.mean() * (1 - right.mean()) / 400)
    assert low == pytest.approx(right.mean() - 1.96 * error, abs=0.01)
    assert high == pytest.approx(right.mean() + 1.96 * error, abs=0.01)


def test_the_interval_is_decided_by_the_seed() -> None:
    labels, predicted = np.random.default_rng(0).integers(2, size=(2, 997))

    assert evaluate(labels, predicted, seed=1) == evaluate(labels, predicted, seed=1)
    assert evaluate(labels, predicted, seed=1).interval != evaluate(labels, predicted, seed=2).interval


@pytest.mark.parametrize("n", [1, 5, 100])
def test_all_right_or_all_wrong_is_doubted_the_more_the_fewer_images_there_are(n: int) -> None:
    labels = np.zeros(n, int)

    right, wrong = evaluate(labels, labels), evaluate(labels, labels + 1)

    # A share of right images at the bound gives n right ones out of n with a probability of 2.5 %.
    assert right.interval == (pytest.approx(0.025 ** (1 / n)), 1)
    assert wrong.interval == (0, pytest.approx(1 - 0.025 ** (1 / n)))


@pytest.mark.parametrize("labels", [[], [-1, -1]])
def test_without_labelled_images_all_metrics_are_nan(labels: list[int]) -> None:
    found = evaluate(np.array(labels, int), np.zeros(len(labels), int))

    metrics = (found.accuracy, *found.interval, found.balanced_accuracy, found.macro_f1)
    assert found.images == 0
    assert all(math.isnan(metric) for metric in metrics)


def test_a_class_that_only_predictions_name_raises_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        found = evaluate(np.array([0, 1, 0, 1]), np.array([0, 1, 2, 1]))

    assert found.balanced_accuracy == pytest.approx(0.75)
