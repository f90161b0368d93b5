from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.duplicates import DuplicatePairs
from winnow.plugin.curation.leaks import cross_split_pairs, is_evaluation


def pairs_of(*rows: tuple[int, int]) -> DuplicatePairs:
    return DuplicatePairs(
        np.array(rows, np.int64).reshape(-1, 2), np.linspace(1, 0.6, len(rows), dtype=np.float32), 0.5
    )


def splits_of(*names: str) -> np.ndarray:
    return np.array(names, object)


def test_a_leak_counts_that_is_no_pair_of_the_groups_representative() -> None:
    chain = pairs_of((0, 1), (1, 2))  # A(train) ~ B(train) ~ C(test); A and C are no pair

    leaks = cross_split_pairs(chain, splits_of("train", "train", "test"))

    assert leaks.rows.tolist() == [[2, 1]]


def test_every_pair_of_an_alternating_ring_counts() -> None:
    ring = pairs_of(*(tuple(sorted((i, (i + 1) % 60))) for i in range(60)))

    leaks = cross_split_pairs(ring, splits_of(*["train", "test"] * 30))

    assert len(leaks.rows) == 60
    assert len(np.unique(leaks.rows)) == 60


@pytest.mark.parametrize(
    ("splits", "evaluation_side"),
    [
        (("train", "test"), "test"),
        (("validation", "train"), "validation"),
        (("validation", "test"), "test"),
        (("train", "fold 1"), "fold 1"),
        (("fold 1", "validation"), "validation"),
        (("fold 2", "fold 1"), "fold 1"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_evaluation_side_comes_first(splits: tuple[str, str], evaluation_side: str, turned: bool) -> None:
    names = splits_of(*reversed(splits)) if turned else splits_of(*splits)

    leaks = cross_split_pairs(pairs_of((0, 1)), names)

    assert names[leaks.rows[0]].tolist()[0] == evaluation_side


def test_images_outside_every_split_do_not_leak() -> None:
    leaks = cross_split_pairs(pairs_of((0, 1), (0, 2), (1, 2)), splits_of("", "train", "test"))

    assert leaks.rows.tolist() == [[2, 1]]


def test_scores_order_and_threshold_stay() -> None:
    pairs = DuplicatePairs(np.array([[0, 1], [2, 3], [0, 3]]), np.array([0.9, 0.7, 0.2], np.float32), 0.5)

    leaks = cross_split_pairs(pairs, splits_of("train", "test", "train", "test"))

    assert leaks.rows.tolist() == [[1, 0], [3, 2], [3, 0]]
    assert leaks.flagged.tolist() == [True, True, False]


def test_pairs_of_the_caller_stay_as_they_are() -> None:
    pairs = pairs_of((0, 1))

    cross_split_pairs(pairs, splits_of("train", "test"))

    assert pairs.rows.tolist() == [[0, 1]]


def test_no_pairs_have_no_leaks() -> None:
    leaks = cross_split_pairs(pairs_of(), splits_of("train", "test"))

    assert leaks.rows.shape == (0, 2)


def test_every_split_but_train_and_the_pool_judges() -> None:
    judges = is_evaluation(splits_of("train", "", "test", "validation", "fold 1"))

    assert judges.tolist() == [False, False, True, True, True]
