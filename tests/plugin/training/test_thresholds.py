from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from winnow.plugin.training.calibration import NEVER, decide
from winnow.plugin.training.thresholds import NOT_REACHED, REACHED, TOO_FEW, thresholds_for


def made(rng: np.random.Generator, n: int, classes: int = 3, overconfident: float = 1.0) -> tuple[np.ndarray, ...]:
    """Return (n, classes) probabilities of a model, which may be overconfident, and (n,) labels."""
    labels = rng.integers(classes, size=n)
    logits = 4 * (rng.normal(size=(n, classes)) + 2 * np.eye(classes)[labels]) * overconfident / 2
    return softmax(logits, axis=1), labels


def test_a_precision_that_is_promised_holds_on_fresh_images() -> None:
    fresh, truth = made(np.random.default_rng(0), 100_000, overconfident=2)
    promised = missed = 0
    for seed in range(1, 101):
        found = thresholds_for(*made(np.random.default_rng(seed), 900, overconfident=2), precision=0.95)
        decided = decide(fresh, found.values)
        for column, reason in enumerate(found.reasons):
            promised += reason == REACHED
            missed += reason == REACHED and np.mean(truth[decided == column] == column) < 0.95

    assert promised > 150
    assert missed <= 30  # of 300 classes, with a confidence of 90 %


def test_a_recall_that_is_promised_holds_on_fresh_images() -> None:
    fresh, truth = made(np.random.default_rng(0), 100_000)
    recalls = []
    for seed in range(1, 101):
        found = thresholds_for(*made(np.random.default_rng(seed), 600), recall=0.7)
        decided = decide(fresh, found.values)
        recalls += [np.mean(decided[truth == column] == column) for column in range(3)]

    assert np.mean(np.array(recalls) < 0.7) <= 0.13
    assert np.mean(recalls) < 0.78  # and no image is decided for without need


def test_thresholds_come_close_to_what_is_possible_with_many_images() -> None:
    probabilities, labels = made(np.random.default_rng(0), 60_000)

    found = thresholds_for(probabilities, labels, precision=0.97)

    mine = probabilities.argmax(axis=1) == 0
    order = np.argsort(-probabilities[mine, 0])
    precise = np.cumsum(labels[mine][order] == 0) / np.arange(1, mine.sum() + 1) >= 0.97
    assert found.decided[0] > 0.9 * (np.flatnonzero(precise).max() + 1)


def test_independent_classes_get_thresholds_of_their_own() -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(4000, 2)) - [0, 1]
    labels = (rng.random(logits.shape) < expit(logits)).astype(float)
    hidden = np.where(rng.random(logits.shape) < 0.2, np.nan, labels)

    found = thresholds_for(expit(logits), hidden, precision=0.8)

    claimed = decide(expit(logits), found.values, multilabel=True)
    judged = np.isfinite(hidden)
    assert found.reasons == (REACHED, REACHED)
    assert found.support.tolist() == np.nansum(hidden, axis=0).tolist()
    np.testing.assert_allclose(found.precision, [labels[judged[:, k] & claimed[:, k], k].mean() for k in (0, 1)])
    assert (found.precision >= 0.8).all()
    assert found.abstained == pytest.approx((~(claimed & judged).any(axis=1))[judged.any(axis=1)].mean())


@pytest.mark.parametrize(("images", "value", "reason"), [(44, NEVER, TOO_FEW), (45, 0.9, REACHED)])
def test_a_precision_needs_as_many_right_decisions_as_make_it_likely(images: int, value: float, reason: str) -> None:
    probabilities = np.tile([0.9, 0.1], (images, 1))

    found = thresholds_for(probabilities, np.zeros(images, int), precision=0.95)

    assert (found.values[0], found.reasons[0], found.least) == (value, reason, 45)
    assert found.abstained == (1 if reason else 0)


@pytest.mark.parametrize(("images", "reason"), [(134, REACHED), (135, NOT_REACHED)])
def test_starts_share_the_level(images: int, reason: str) -> None:
    labels = np.arange(images) < 3  # no more wrong ones come by chance in 9 of 100 classes that are not precise

    found = thresholds_for(np.tile([0.9, 0.1], (images, 1)), 1 * labels, precision=0.95)

    assert found.reasons[0] == reason


def test_thresholds_below_one_that_fails_are_not_tried() -> None:
    confidences = np.linspace(0.99, 0.6, 32)
    probabilities = np.stack([confidences, 1 - confidences], axis=1)
    first_wrong, last_wrong = 1 * (np.arange(32) == 0), 1 * (np.arange(32) == 31)

    assert thresholds_for(probabilities, last_wrong, precision=0.8).values[0] == pytest.approx(0.6)
    assert thresholds_for(probabilities, first_wrong, precision=0.8).values[0] == NEVER


def test_a_class_that_is_not_precise_enough_is_never_decided_for() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=2000)

    found = thresholds_for(np.tile([0.9, 0.1], (2000, 1)), labels, precision=0.8)

    assert (found.values[0], found.reasons[0]) == (NEVER, NOT_REACHED)
    assert found.decided[0] == 0
    assert np.isnan(found.precision[0])


@pytest.mark.parametrize(("labels_of", "least"), [(lambda n: np.zeros(n, int), 0), (lambda n: np.ones((n, 2)), 0.5)])
def test_a_recall_that_is_not_reached_leaves_the_usual_decision(labels_of: object, least: float) -> None:
    probabilities = np.tile([0.4, 0.6], (10, 1))

    found = thresholds_for(probabilities, labels_of(10), recall=0.9)  # type: ignore[operator]

    assert found.values[0] == least
    assert found.reasons[0] == TOO_FEW


def test_a_recall_beyond_what_the_classifier_can_do_is_not_reached() -> None:
    probabilities = np.array([[0.9, 0.1]] * 60 + [[0.1, 0.9]] * 40)

    found = thresholds_for(probabilities, np.zeros(100, int), recall=0.8)

    assert (found.values[0], found.reasons[0], found.recall[0]) == (0, NOT_REACHED, 0.6)


def test_images_without_label_or_probabilities_do_not_count() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = made(rng, 900)
    more = np.vstack([probabilities, probabilities[:50], np.full((20, 3), np.nan)])

    found = thresholds_for(more, np.concatenate([labels, np.full(50, -1), np.zeros(20, int)]), precision=0.9)

    expected = thresholds_for(probabilities, labels, precision=0.9)
    assert found.values.tolist() == expected.values.tolist()
    assert found.abstained == expected.abstained


def test_the_order_of_the_images_does_not_matter() -> None:
    probabilities, labels = made(np.random.default_rng(0), 900)
    order = np.random.default_rng(1).permutation(900)

    found = thresholds_for(np.round(probabilities, 2)[order], labels[order], precision=0.9)

    assert found.values.tolist() == thresholds_for(np.round(probabilities, 2), labels, precision=0.9).values.tolist()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either a precision or a recall"),
        ({"precision": 0.9, "recall": 0.9}, "either a precision or a recall"),
        ({"precision": 1.0}, "must lie in"),
        ({"recall": 0.0}, "must lie in"),
        ({"recall": 0.5, "confidence": 1.0}, "confidence must lie"),
    ],
)
def test_settings_that_make_no_sense_are_errors(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        thresholds_for(np.zeros((3, 2)), np.zeros(3, int), **settings)
