"""How good a classifier is in use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from winnow.plugin.curation.outcomes import NO_LABEL, NONE_OF_THEM, Outcomes
from winnow.plugin.training.intervals import exact_interval, share_interval
from winnow.plugin.training.tracking import rolling, track

CLASSES = ("cat", "dog", "owl")


def outcomes(answers: list[Any], predicted: list[Any], **fields: Any) -> Outcomes:
    n = len(answers)
    wide = np.ndim(predicted) == 2
    given: dict[str, Any] = {
        "times": np.arange(n, dtype=float),
        "versions": np.array(["a"] * n, object),
        "answers": np.array(answers, float if wide else np.int64),
        "predicted": np.array(predicted, float if wide else np.int64),
        "confidence": np.full(np.shape(predicted), 0.5, np.float32),
        "shown": np.ones(n, bool),
        "reviews": np.ones(n, np.int64),
        "overrides": np.zeros(n, np.int64),
        "classes": CLASSES,
    }
    return Outcomes(
        **{name: np.asarray(value) if name != "classes" else value for name, value in (given | fields).items()}
    )


def test_accuracy_is_that_of_the_last_answers_and_what_is_none_of_the_classes_is_wrong() -> None:
    found = track(outcomes([0, 0, 1, NONE_OF_THEM, NO_LABEL, 2], [1, 0, 1, 2, 2, 2]), window=5).overall

    assert (found.answered, found.judged, found.none_of_them, found.split) == (6, 4, 1, 1)
    assert found.accuracy == 3 / 4
    assert found.interval == share_interval(3, 4)


def test_versions_are_told_apart_the_one_answered_last_first() -> None:
    versions = np.array(["old", "new", "old", "new"], object)

    found = track(outcomes([0, 0, 0, 1], [0, 1, 0, 1], versions=versions))

    assert [(each.version, each.accuracy) for each in found.versions] == [("new", 0.5), ("old", 1.0)]
    assert found.of("old") is found.versions[1] and found.of("none") is None


def test_order_of_the_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    answers, predicted, times = rng.integers(-2, 3, 60), rng.integers(0, 3, 60), rng.permutation(60).astype(float)
    given = outcomes(list(answers), list(predicted), times=times)

    found, again = track(given, 20).overall, track(given[rng.permutation(60)], 20).overall

    assert (found.accuracy, found.judged, found.recall.tolist()) == (
        again.accuracy,
        again.judged,
        again.recall.tolist(),
    )


def test_recall_of_a_class_is_over_the_images_that_annotators_name_so() -> None:
    found = track(outcomes([0, 0, 1, NONE_OF_THEM], [0, 1, 1, 2])).overall

    assert found.support.tolist() == [2, 1, 0]
    assert found.recall[:2].tolist() == [0.5, 1.0] and np.isnan(found.recall[2])
    assert found.recall_interval[2].tolist() == [0.0, 1.0]


def test_blind_answers_are_judged_by_themselves_and_are_nobodys_override() -> None:
    shown, reviews, overrides = [True, True, False, False], [2, 1, 0, 0], [1, 0, 0, 0]

    found = track(outcomes([0, 0, 0, 0], [0, 0, 1, 0], shown=shown, reviews=reviews, overrides=overrides)).overall

    assert (found.blind, found.blind_accuracy, found.accuracy) == (2, 0.5, 0.75)
    assert (found.reviews, found.overrides, found.override_rate) == (3, 1, 1 / 3)


def test_of_several_labels_all_that_are_known_have_to_be_right() -> None:
    answers = [[1, 0, np.nan], [1, 1, 0], [np.nan] * 3]
    predicted = [[1, 0, 1], [1, 0, 0], [1, 0, 0]]

    found = track(outcomes(answers, predicted)).overall

    assert (found.judged, found.split, found.accuracy) == (2, 1, 0.5)
    assert found.recall[:2].tolist() == [1.0, 0.0] and np.isnan(found.recall[2])


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    found = track(outcomes([0] * 10, [0] * 5 + [1] * 5, confidence=np.full(10, 0.9, np.float32))).overall

    assert found.calibration_error == pytest.approx(0.4, abs=1e-6)


def test_nothing_answered_gives_no_figures_and_no_error() -> None:
    found = track(outcomes([], []))

    assert found.versions == () and found.overall.judged == 0
    assert np.isnan(found.overall.accuracy) and found.overall.interval == (0.0, 1.0)
    assert len(rolling(outcomes([], [])).times) == 0


def test_rolling_accuracy_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    given = outcomes(list(rng.integers(-2, 3, 80)), list(rng.integers(0, 3, 80)))
    judged = given[given.known]

    found = rolling(given, window=10)

    for place in range(len(judged)):
        right = judged.right[max(0, place - 9) : place + 1]
        assert found.accuracy[place] == right.mean()
        assert tuple(found.interval[place]) == share_interval(int(right.sum()), len(right))


def test_interval_of_a_share_is_that_of_all_right_at_the_ends() -> None:
    assert share_interval(7, 7) == pytest.approx(exact_interval(7, all_right=True))
    assert share_interval(0, 7) == pytest.approx(exact_interval(7, all_right=False))


def test_more_overrides_than_reviews_are_refused() -> None:
    with pytest.raises(ValueError, match="overridden"):
        outcomes([0], [0], reviews=[0], overrides=[1])
