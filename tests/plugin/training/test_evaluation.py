from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, top_k_accuracy_score

from winnow.plugin.training.evaluation import evaluate


def made(classes: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) labels and the (n, classes) probabilities of a model that is often right."""
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


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


def test_metrics_of_probabilities_equal_scikit_learns() -> None:
    labels, probabilities = made(8)

    found = evaluate(labels, probabilities.argmax(axis=1), probabilities=probabilities)

    assert found.roc_auc == pytest.approx(roc_auc_score(labels, probabilities, multi_class="ovr"))
    assert found.top_k == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5))
    assert found.average_precision == pytest.approx(average_precision_score(np.eye(8)[labels], probabilities))


@pytest.mark.parametrize(("classes", "k"), [(2, 0), (3, 2), (5, 2), (6, 5)])
def test_top_k_looks_at_as_many_classes_as_make_sense(classes: int, k: int) -> None:
    labels, probabilities = made(classes)

    found = evaluate(labels, probabilities.argmax(axis=1), probabilities=probabilities)

    assert found.k == k
    assert math.isnan(found.top_k) == (k == 0)


def test_of_equally_likely_classes_the_first_ones_are_the_top() -> None:
    labels = np.array([0, 1, 2, 3, 4, 5])

    found = evaluate(labels, labels, probabilities=np.full((6, 6), 1 / 6))

    assert found.top_k == pytest.approx(5 / 6)


def test_a_class_that_the_model_does_not_know_is_wrong_everywhere_and_has_no_curve() -> None:
    labels, probabilities = made(6)
    strange = np.where(np.arange(len(labels)) < 30, 6, labels)

    found = evaluate(strange, probabilities.argmax(axis=1), probabilities=probabilities)

    top = top_k_accuracy_score(labels[30:], probabilities[30:], k=5)
    areas = [roc_auc_score(strange == column, probabilities[:, column]) for column in range(6)]
    assert found.top_k == pytest.approx(top * (len(labels) - 30) / len(labels))
    assert found.roc_auc == pytest.approx(np.mean(areas))


def test_images_without_probabilities_count_for_accuracy_alone() -> None:
    labels, probabilities = made(6)
    predicted, few = probabilities.argmax(axis=1), np.arange(len(labels)) % 2 == 0

    found = evaluate(labels, predicted, probabilities=np.where(few[:, None], probabilities, np.nan))

    assert found.accuracy == (labels == predicted).mean()
    assert found.roc_auc == evaluate(labels[few], predicted[few], probabilities=probabilities[few]).roc_auc


def test_confidences_alone_give_the_calibration_error() -> None:
    labels, predicted = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 1])

    found = evaluate(labels, predicted, confidences=np.array([0.9, 0.9, 0.9, 0.9, np.nan]))

    assert found.calibration_error == pytest.approx(0.15)
    assert math.isnan(found.roc_auc)


def test_coverage_is_the_share_of_labelled_images_with_a_prediction() -> None:
    found = evaluate(np.array([0, 1, 1, 0, -1]), np.array([0, -1, -1, -1, 0]))

    assert found.coverage == 0.25


def test_intervals_of_means_over_classes_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    shares, recall = np.array([0.6, 0.3, 0.1]), np.array([0.9, 0.8, 0.6])
    held = np.zeros(2)
    for seed in range(100):
        labels = rng.choice(3, 400, p=shares)
        predicted = np.where(rng.random(400) < recall[labels], labels, (labels + 1) % 3)
        found = evaluate(labels, predicted, seed)
        right, claimed = shares * recall, shares * recall + np.roll(shares * (1 - recall), 1)
        truths = (recall.mean(), (2 * right / (shares + claimed)).mean())
        intervals = (found.balanced_interval, found.f1_interval)
        held += [low <= truth <= high for (low, high), truth in zip(intervals, truths, strict=True)]

    assert (held >= 90).all()
    assert held.sum() < 200


def test_the_rarer_a_class_the_more_is_doubted_that_all_are_right() -> None:
    even, rare = np.array([0, 1] * 50), np.array([0] * 99 + [1])

    narrow, wide = evaluate(even, even), evaluate(rare, rare)

    assert narrow.balanced_interval == narrow.interval == wide.interval
    assert wide.balanced_interval[0] == pytest.approx(0.025 ** (1 / (4 / (1 / 99 + 1))))
