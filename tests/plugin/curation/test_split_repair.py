from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.plugin.curation.split_repair import repair_splits

# Split and unit of each image.
IMAGES = st.lists(st.tuples(st.sampled_from(["", "train", "validation", "test"]), st.integers(0, 3)), max_size=7)


def names(*splits: str) -> np.ndarray:
    return np.array(splits, dtype=object)


def is_clean(split: np.ndarray, units: np.ndarray) -> bool:
    return all(len(set(split[units == unit]) - {""}) <= 1 for unit in np.unique(units))


def fewest_moves(split: np.ndarray, units: np.ndarray) -> int:
    """Count the moves of the best of all ways to give the images that are in a split another one."""
    rows = np.flatnonzero(split != "")
    fewest = len(rows)
    for chosen in product(["train", "validation", "test"], repeat=len(rows)):
        other = split.copy()
        other[rows] = chosen
        if is_clean(other, units):
            fewest = min(fewest, int(np.sum(other != split)))
    return fewest


@given(images=IMAGES)
@settings(max_examples=60, deadline=None)
def test_splits_are_clean_after_the_fewest_moves(images: list[tuple[str, int]]) -> None:
    split = names(*(name for name, _ in images))
    units = np.array([unit for _, unit in images], np.int64)

    repaired = repair_splits(split, np.zeros(len(split), np.int64), units)

    assert is_clean(repaired.split, units)
    assert len(repaired.moved) == fewest_moves(split, units)
    assert np.array_equal(repaired.moved, np.flatnonzero(repaired.split != split))


def test_a_unit_goes_to_the_split_that_holds_most_of_it() -> None:
    repaired = repair_splits(names("test", "train", "train", "test"), np.zeros(4, int), np.array([0, 0, 0, 1]))

    assert repaired.split.tolist() == ["train", "train", "train", "test"]
    assert (repaired.moved.tolist(), repaired.origin.tolist(), repaired.target.tolist()) == ([0], ["test"], ["train"])


def test_the_first_of_equals_is_the_evaluation_split() -> None:
    repaired = repair_splits(names("train", "validation"), np.zeros(2, int), np.zeros(2, int))

    assert repaired.split.tolist() == ["validation", "validation"]


def test_equals_take_turns_so_that_classes_keep_their_proportions() -> None:
    splits, units = names(*["train", "test"] * 50), np.repeat(np.arange(50), 2)
    labels = np.repeat(np.arange(50) % 2, 2)

    repaired = repair_splits(splits, labels, units)

    for label in (0, 1):
        assert np.sum((repaired.split == "test") & (labels == label)) in (24, 25, 26)


def test_labels_of_images_with_several_are_balanced_each() -> None:
    splits, units = names(*["train", "test"] * 40), np.repeat(np.arange(40), 2)
    labels = np.repeat(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [np.nan, np.nan]] * 10), 2, axis=0)

    repaired = repair_splits(splits, labels, units)

    for column in (0, 1):
        assert abs(np.sum((repaired.split == "test") & (labels[:, column] == 1)) - 20) <= 2


def test_a_frozen_split_gets_the_whole_unit_whatever_the_majority() -> None:
    splits, units = names("train", "train", "test"), np.zeros(3, int)

    repaired = repair_splits(splits, np.zeros(3, int), units, frozen=["test"])

    assert repaired.split.tolist() == ["test", "test", "test"]


def test_a_unit_in_two_frozen_splits_is_a_conflict_and_only_the_others_move() -> None:
    splits = names("train", "validation", "test", "test")

    repaired = repair_splits(splits, np.zeros(4, int), np.zeros(4, int), frozen=["validation", "test"])

    assert repaired.split.tolist() == ["test", "validation", "test", "test"]
    assert repaired.conflicts.tolist() == [1, 2, 3]


def test_the_pool_stays_the_pool() -> None:
    repaired = repair_splits(names("", "train", "", "train"), np.zeros(4, int), np.zeros(4, int))

    assert repaired.split.tolist() == ["", "train", "", "train"]


def test_no_images_need_no_repair() -> None:
    assert len(repair_splits(names(), np.zeros(0, int), np.zeros(0, int)).moved) == 0


def test_freezing_a_split_that_does_not_occur_is_an_error() -> None:
    with pytest.raises(ValueError, match="no split dev to freeze; there are: test, train"):
        repair_splits(names("train", "test", ""), np.zeros(3, int), np.zeros(3, int), frozen=["dev"])


def test_arrays_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="must have 2 values like splits, got 1 and 2"):
        repair_splits(names("train", "test"), np.zeros(1, int), np.zeros(2, int))
