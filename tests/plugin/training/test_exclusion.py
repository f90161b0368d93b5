from __future__ import annotations

import numpy as np

from winnow.plugin.training.exclusion import excluded_issues


def test_flagged_labels_are_left_out() -> None:
    labels = np.repeat([0, 1], 20)
    is_issue = np.isin(np.arange(40), [3, 25])

    found = excluded_issues(labels, is_issue, np.where(is_issue, 0.2, 0.9))

    assert np.flatnonzero(found).tolist() == [3, 25]


def test_a_flagged_label_that_is_as_likely_right_stays() -> None:
    quality = np.full(20, 0.9)
    quality[[3, 4]] = 0.49, 0.5

    found = excluded_issues(np.zeros(20, int), np.isin(np.arange(20), [3, 4]), quality)

    assert np.flatnonzero(found).tolist() == [3]


def test_at_most_a_quarter_of_a_class_goes_the_least_trustworthy_first() -> None:
    labels = np.zeros(40, int)
    quality = np.random.default_rng(0).permutation(40) / 40

    found = excluded_issues(labels, np.ones(40, bool), quality)

    assert found.sum() == 10
    assert quality[found].max() < quality[~found].min()


def test_the_share_counts_for_each_class_by_itself() -> None:
    labels = np.repeat([0, 1], [20, 100])

    found = excluded_issues(labels, labels == 0, np.zeros(120))

    assert found[labels == 0].sum() == 5
    assert found[labels == 1].sum() == 0


def test_a_small_class_keeps_all_its_images() -> None:
    labels = np.repeat([0, 1], [19, 20])

    found = excluded_issues(labels, np.ones(39, bool), np.zeros(39))

    assert found[labels == 0].sum() == 0
    assert found[labels == 1].sum() == 5


def test_ties_go_to_the_earlier_image() -> None:
    found = excluded_issues(np.zeros(20, int), np.ones(20, bool), np.full(20, 0.4))

    assert np.flatnonzero(found).tolist() == [0, 1, 2, 3, 4]


def test_nothing_flagged_or_no_images_leaves_nothing_out() -> None:
    nothing = np.zeros(0)

    assert not excluded_issues(np.zeros(30, int), np.zeros(30, bool), np.zeros(30)).any()
    assert excluded_issues(nothing.astype(int), nothing.astype(bool), nothing).shape == (0,)
