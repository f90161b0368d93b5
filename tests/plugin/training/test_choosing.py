from __future__ import annotations

import math

import numpy as np
import pytest

from winnow.plugin.errors import DataError
from winnow.plugin.training.choosing import chosen_metric, likelihood_loss, measure

SURE = 10 * np.eye(3)


@pytest.mark.parametrize(
    ("sizes", "metric"), [([10, 10, 10], "accuracy"), ([14, 9, 7], "accuracy"), ([40, 10, 10], "macro_f1")]
)
def test_imbalanced_classes_are_judged_by_macro_f1(sizes: list[int], metric: str) -> None:
    labels = np.repeat(np.arange(3), sizes)

    assert chosen_metric("auto", labels) == metric
    assert chosen_metric("balanced_accuracy", labels) == "balanced_accuracy"


def test_several_labels_are_judged_by_average_precision() -> None:
    assert chosen_metric("auto", np.zeros((4, 2))) == "average_precision"
    with pytest.raises(DataError, match="'accuracy' is for one label an image"):
        chosen_metric("accuracy", np.zeros((4, 2)))
    with pytest.raises(DataError, match="'average_precision' is for several labels"):
        chosen_metric("average_precision", np.zeros(4, int))


@pytest.mark.parametrize(
    ("metric", "value"),
    [("accuracy", 0.75), ("balanced_accuracy", (2 / 3 + 1) / 2), ("macro_f1", (0.8 + 1 + 0) / 3)],
)
def test_metrics_are_those_of_the_books(metric: str, value: float) -> None:
    labels, logits = np.array([0, 0, 0, 1]), SURE[[0, 0, 2, 1]]  # a class that is only predicted has an F1 of 0

    assert measure(metric, labels, logits) == pytest.approx(value)


def test_average_precision_leaves_out_what_is_not_known() -> None:
    labels = np.array([[1, 1], [0, np.nan], [0, 1]])
    logits = np.array([[3.0, 0], [1, 9], [2, 0]])

    assert measure("average_precision", labels, logits) == 1.0  # the second class has no image without it


def test_likelihood_of_one_label_and_of_several() -> None:
    one = likelihood_loss(np.array([0, 1]), np.zeros((2, 4)))
    several = likelihood_loss(np.array([[1, np.nan], [0, 0]]), np.zeros((2, 2)))

    assert one == pytest.approx(math.log(4))
    assert several == pytest.approx(math.log(2))
