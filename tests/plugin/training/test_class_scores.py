from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from winnow.plugin.training.class_scores import score_classes, worst_confusions


def test_each_class_gets_its_own_scores() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0])

    found = score_classes(labels, predicted)

    assert found.support.tolist() == [3, 2, 1]
    assert found.predicted.tolist() == [3, 3, 0]
    np.testing.assert_allclose(found.precision, [2 / 3, 2 / 3, np.nan])
    np.testing.assert_allclose(found.recall, [2 / 3, 1, 0])
    np.testing.assert_allclose(found.f1, [2 / 3, 4 / 5, 0])


def test_a_class_that_is_only_predicted_has_no_recall() -> None:
    found = score_classes(np.array([0, 0]), np.array([0, 7]))

    assert found.classes.tolist() == [0, 7]
    np.testing.assert_allclose(found.recall, [0.5, np.nan])
    np.testing.assert_allclose(found.precision, [1, 0])


def test_images_without_label_or_prediction_do_not_count() -> None:
    found = score_classes(np.array([0, 1, -1, 1]), np.array([0, 1, 1, -1]))

    assert (found.support.tolist(), found.predicted.tolist()) == ([1, 1], [1, 1])


def test_areas_belong_to_their_classes() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = rng.choice([1, 3, 4], 200), rng.random((200, 4))  # 4 is unknown to the model
    predicted = probabilities.argmax(axis=1)

    found = score_classes(labels, predicted, probabilities)

    area = dict(zip(found.classes.tolist(), found.roc_auc, strict=True))
    precision = dict(zip(found.classes.tolist(), found.average_precision, strict=True))
    assert area[3] == roc_auc_score(labels == 3, probabilities[:, 3])
    assert precision[1] == average_precision_score(labels == 1, probabilities[:, 1])
    assert np.isnan([area[0], area[4]]).all()


def test_nothing_to_score_gives_no_classes() -> None:
    assert len(score_classes(np.array([-1]), np.array([0])).classes) == 0


def test_the_worst_confusions_come_first_and_equal_ones_by_class() -> None:
    labels = np.array([2, 2, 0, 1, 0, 0, -1])
    predicted = np.array([1, 1, 1, 0, 0, -1, 1])

    assert worst_confusions(labels, predicted, 2) == [(2, 1, 2), (0, 1, 1)]
    assert worst_confusions(labels, labels, 5) == []
