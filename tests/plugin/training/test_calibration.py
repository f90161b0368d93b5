from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.training.calibration import NEVER, decide, expected_calibration_error


def test_the_likeliest_class_is_decided_for_where_it_reaches_its_threshold() -> None:
    probabilities = np.array([[0.7, 0.3], [0.6, 0.4], [0.2, 0.8], [0.1, 0.9]])

    decided = decide(probabilities, (0.65, 0.9))

    assert decided.tolist() == [0, -1, -1, 1]


def test_a_class_that_reaches_its_threshold_does_not_displace_a_likelier_one() -> None:
    assert decide(np.array([[0.6, 0.4]]), (0.9, 0.3)).tolist() == [-1]


def test_independent_classes_are_decided_one_by_one() -> None:
    decided = decide(np.array([[0.7, 0.3], [0.6, 0.9]]), (0.65, 0.3), multilabel=True)

    assert decided.tolist() == [[True, True], [False, True]]


def test_a_class_whose_threshold_is_out_of_reach_is_never_decided_for() -> None:
    assert decide(np.array([[1.0, 0.0], [0.0, 1.0]]), (NEVER, 0)).tolist() == [-1, 1]


@pytest.mark.parametrize("multilabel", [False, True])
def test_an_image_without_probabilities_is_not_decided_about(multilabel: bool) -> None:
    decided = decide(np.full((1, 2), np.nan), (0, 0), multilabel=multilabel)

    assert decided.tolist() == ([[False, False]] if multilabel else [-1])


def test_decisions_do_not_hang_on_the_last_bits() -> None:
    close = np.array([[0.8, 0.2], [0.79996, 0.20004], [0.80004, 0.19996]])

    assert decide(close, (0.8, 0)).tolist() == [0, 0, 0]


def test_no_images_are_decided_about() -> None:
    assert decide(np.zeros((0, 2)), (0, 0)).shape == (0,)


def test_a_threshold_for_each_class_is_needed() -> None:
    with pytest.raises(ValueError, match="1 thresholds"):
        decide(np.zeros((3, 2)), (0.5,))


def test_the_calibration_error_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    confidences = np.append(rng.random(500), [0, 1, 1 / 15])
    right = rng.random(503) < confidences

    expected = 0.0
    for place in range(15):
        low, high = place / 15, (place + 1) / 15
        inside = (confidences > low) & (confidences <= high) if place else confidences <= high
        expected += abs(right[inside].mean() - confidences[inside].mean()) * inside.sum() / 503

    assert expected_calibration_error(confidences, right) == pytest.approx(expected)


def test_without_predictions_there_is_no_calibration_error() -> None:
    assert np.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, bool)))
