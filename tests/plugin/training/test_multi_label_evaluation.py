from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from winnow.plugin.training.multi_label_evaluation import evaluate_multi_label

Table = tuple[np.ndarray, np.ndarray, np.ndarray]


def made(n: int = 300, k: int = 4, seed: int = 0) -> Table:
    """Return labels, predictions and probabilities of `n` images and `k` classes."""
    rng = np.random.default_rng(seed)
    probabilities = rng.random((n, k))
    labels = (rng.random((n, k)) < probabilities).astype(float)
    return labels, (probabilities > 0.6).astype(float), probabilities


def test_metrics_equal_scikit_learns() -> None:
    labels, predicted, probabilities = made()

    found, by_class = evaluate_multi_label(labels, predicted, probabilities)

    micro = precision_recall_fscore_support(labels, predicted, average="micro")
    macro = precision_recall_fscore_support(labels, predicted, average="macro")
    each = precision_recall_fscore_support(labels, predicted, average=None)
    assert (found.micro_precision, found.micro_recall, found.micro_f1) == pytest.approx(micro[:3])
    assert (found.macro_precision, found.macro_recall, found.macro_f1) == pytest.approx(macro[:3])
    assert found.roc_auc == pytest.approx(roc_auc_score(labels, probabilities))
    assert found.average_precision == pytest.approx(average_precision_score(labels, probabilities))
    assert found.exact_match == (labels == predicted).all(axis=1).mean()
    np.testing.assert_allclose([by_class.precision, by_class.recall, by_class.f1, by_class.support], each)


def test_what_is_not_annotated_counts_neither_way() -> None:
    labels, predicted, probabilities = made()
    hidden = np.random.default_rng(1).random(labels.shape) < 0.3
    partly = np.where(hidden, np.nan, labels)

    found, _ = evaluate_multi_label(partly, predicted, probabilities)
    otherwise, _ = evaluate_multi_label(partly, np.where(hidden, 1 - predicted, predicted), probabilities)

    assert found == otherwise
    assert found.annotated == (~hidden[~hidden.all(axis=1)]).sum()


def test_images_without_annotation_or_prediction_are_counted_apart() -> None:
    labels = np.array([[1, 0], [np.nan, np.nan], [0, 1], [1, np.nan]])
    predicted = np.array([[1, 0], [1, 1], [np.nan, np.nan], [1, 0]])

    found, _ = evaluate_multi_label(labels, predicted)

    assert (found.images, found.without_label, found.without_prediction) == (2, 1, 1)
    assert (found.exact_match, found.coverage) == (1, pytest.approx(2 / 3))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    truth, _ = evaluate_multi_label(*made(50_000, seed=1)[:2])
    held = np.zeros(3)
    for seed in range(60):
        found, _ = evaluate_multi_label(*made(150, seed=100 + seed)[:2])
        intervals = (found.interval, found.micro_f1_interval, found.f1_interval)
        means = (truth.exact_match, truth.micro_f1, truth.macro_f1)
        held += [low <= mean <= high for (low, high), mean in zip(intervals, means, strict=True)]

    assert (held / 60 > 0.85).all()
    assert held.sum() < 180


def test_faultless_predictions_of_few_images_leave_doubt() -> None:
    labels, _, _ = made(8)

    found, _ = evaluate_multi_label(labels, labels)

    assert found.f1_interval == found.interval == (pytest.approx(0.025 ** (1 / 8)), 1)


def test_a_class_that_nobody_has_or_claims_does_not_lower_the_means() -> None:
    labels, predicted, probabilities = made()
    nothing = np.zeros((len(labels), 1))

    found, by_class = evaluate_multi_label(
        np.hstack([labels, nothing]), np.hstack([predicted, nothing]), np.hstack([probabilities, nothing])
    )

    without, _ = evaluate_multi_label(labels, predicted, probabilities)
    assert (found.macro_f1, found.average_precision) == pytest.approx((without.macro_f1, without.average_precision))
    assert np.isnan([by_class.precision[-1], by_class.recall[-1], by_class.f1[-1], by_class.roc_auc[-1]]).all()


def test_without_probabilities_their_metrics_are_not_known() -> None:
    labels, predicted, _ = made()

    found, _ = evaluate_multi_label(labels, predicted)

    assert all(math.isnan(each) for each in (found.roc_auc, found.average_precision, found.calibration_error))


def test_probabilities_that_are_true_are_calibrated() -> None:
    labels, predicted, probabilities = made(20_000)

    found, _ = evaluate_multi_label(labels, predicted, probabilities)
    exaggerated, _ = evaluate_multi_label(labels, predicted, (probabilities > 0.5).astype(float))

    assert found.calibration_error < 0.02
    assert exaggerated.calibration_error == pytest.approx(0.25, abs=0.01)


def test_no_images_give_no_metrics() -> None:
    found, _ = evaluate_multi_label(np.zeros((0, 3)), np.zeros((0, 3)))

    assert (found.images, math.isnan(found.macro_f1)) == (0, True)


def test_shapes_that_differ_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"predicted must have shape \(3, 2\)"):
        evaluate_multi_label(np.zeros((3, 2)), np.zeros((2, 2)))
