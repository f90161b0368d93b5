from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from winnow.plugin.curation.label_report import LabelReport, report_labels, wilson_interval

CLASSES = ("cat", "dog", "犬")


@pytest.fixture
def report() -> LabelReport:
    """Return 100 cats, of which 10 are dogs; 50 dogs, of which 2 are cats and 3 犬; 20 right 犬."""
    joint = np.array([[90.0, 10, 0], [2, 45, 3], [0, 0, 20]])
    return LabelReport(CLASSES, joint, np.array([[0, 8, 0], [1, 0, 3], [0, 0, 0]]))


def test_rows_of_true_given_label_sum_to_one(report: LabelReport) -> None:
    found = report.true_given_label()

    assert found.sum(axis=1) == pytest.approx(1)
    assert found[0, 1] == pytest.approx(0.1)


def test_columns_of_label_given_true_sum_to_one(report: LabelReport) -> None:
    found = report.label_given_true()

    assert found.sum(axis=0) == pytest.approx(1)
    assert found[0, 1] == pytest.approx(10 / 55)


def test_class_without_labels_has_no_rate() -> None:
    found = LabelReport(("cat", "dog"), np.array([[5.0, 1], [0, 0]]), np.zeros((2, 2), int)).class_errors()

    assert found[1].labels == 0
    assert np.isnan(found[1].rate)
    assert found[1].interval == (0, 1)


def test_classes_with_the_most_wrong_labels_come_first(report: LabelReport) -> None:
    found = report.class_errors()

    assert [(each.name, each.labels, each.wrong) for each in found] == [("cat", 100, 10), ("dog", 50, 5), ("犬", 20, 0)]
    assert found[0].rate == pytest.approx(0.1)
    assert all(each.interval[0] <= each.rate <= each.interval[1] for each in found)


def test_worst_pairs_come_by_expected_number(report: LabelReport) -> None:
    found = report.worst_pairs()

    assert [(pair.given, pair.true, pair.expected, pair.flagged) for pair in found] == [
        ("cat", "dog", 10, 8),
        ("dog", "犬", 3, 3),
        ("dog", "cat", 2, 1),
    ]


def test_pairs_that_hardly_occur_are_listed_only_where_a_label_is_flagged() -> None:
    joint, flagged = np.array([[9.0, 0.4], [0.4, 9.0]]), np.array([[0, 0], [1, 0]])

    found = LabelReport(("cat", "dog"), joint, flagged).worst_pairs()

    assert [(pair.given, pair.true) for pair in found] == [("dog", "cat")]


def test_flagged_labels_are_counted_by_label_and_suggestion() -> None:
    labels = np.array([0, 0, 1, -1, 2])
    is_issue = np.array([True, True, False, False, True])

    found = report_labels(CLASSES, np.eye(3), labels, is_issue, np.array([1, 1, 0, -1, 0]))

    assert found.flagged.tolist() == [[0, 2, 0], [0, 0, 0], [1, 0, 0]]


def test_plain_form_is_json_and_comes_back_the_same(report: LabelReport) -> None:
    again = LabelReport.from_dict(json.loads(json.dumps(report.to_dict())))

    assert again.classes == report.classes
    assert again.joint == pytest.approx(report.joint)
    assert (again.flagged == report.flagged).all()


@pytest.mark.parametrize("largest", [1e-3, 0.2])
def test_plain_form_of_a_thousand_classes_is_small_and_keeps_labels_and_rates(largest: float) -> None:
    rng = np.random.default_rng(0)
    joint = rng.random((1000, 1000)) * largest + np.diag(rng.random(1000) * 100)
    report = LabelReport(tuple(f"class {row}" for row in range(1000)), joint, np.zeros((1000, 1000), int))

    plain = report.to_dict()

    assert len(json.dumps(plain)) < 1_000_000
    again = LabelReport.from_dict(plain)
    assert again.labels == pytest.approx(report.labels, abs=1e-3)
    assert again.wrong == pytest.approx(report.wrong, abs=1e-3)


def test_worst_classes_are_those_of_the_pairs_that_are_expected_most_often() -> None:
    joint = np.diag([50.0, 50, 50, 50, 50])
    joint[0, 2], joint[4, 3] = 9, 8
    report = LabelReport(tuple("abcde"), joint, np.zeros((5, 5), int))

    assert report.worst_classes(2).tolist() == [0, 2]
    assert report.worst_classes(3).tolist() == [0, 1, 2]
    assert report.worst_classes(4).tolist() == [0, 2, 3, 4]
    assert report.worst_classes(9).tolist() == [0, 1, 2, 3, 4]


def test_interval_is_wilsons() -> None:
    low, high = wilson_interval(np.array([7.0, 0.0]), np.array([60.0, 12.0]))

    for row, (found, of) in enumerate([(7, 60), (0, 12)]):
        expected = binomtest(found, of).proportion_ci(0.9, method="wilson")
        assert (low[row], high[row]) == pytest.approx((expected.low, expected.high))


def test_matrix_of_another_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match="joint must have shape"):
        LabelReport(CLASSES, np.eye(2), np.zeros((3, 3), int))
