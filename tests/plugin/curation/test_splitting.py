from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.plugin.curation.splitting import Splits, make_splits

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
LARGE = {"train": 0.6, "validation": 0.2, "test": 0.2}

# Label and unit of each image.
IMAGES = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 12)), max_size=40)


def straddling(split: np.ndarray, units: np.ndarray) -> int:
    """Count the units that lie in more than one split."""
    return sum(len(set(split[units == unit])) > 1 for unit in np.unique(units))


def singles(*sizes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and units of so many single images of each class."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return labels, np.arange(len(labels))


def smallest_cost(labels: np.ndarray, units: np.ndarray, splits: Splits) -> float:
    """Return the smallest sum of squared deviations of classes over all ways to deal the units."""
    content = np.zeros((units.max() + 1, splits.ideal.shape[0]))
    np.add.at(content, (units, labels), 1)
    dealt = np.array(list(product(range(len(splits.names)), repeat=len(content))))
    members = (dealt[:, None, :] == np.arange(len(splits.names))[:, None]).astype(float)
    return float(((members @ content - splits.ideal.T) ** 2).sum(axis=(1, 2)).min())


@given(images=IMAGES, seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_every_image_has_a_split_and_no_unit_straddles(images: list[tuple[int, int]], seed: int) -> None:
    labels, units = np.array(images, np.int64).reshape(-1, 2).T

    splits = make_splits(labels, units, FRACTIONS, seed=seed)

    assert set(splits.split) <= set(FRACTIONS)
    assert straddling(splits.split, units) == 0
    assert splits.counts.sum() == len(images)


@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=12), parts=st.lists(st.integers(1, 9), min_size=1))
@settings(max_examples=60, deadline=None)
def test_single_images_leave_each_class_and_each_size_within_one_of_the_ideal(
    sizes: list[int], parts: list[int]
) -> None:
    labels, units = singles(*sizes)

    splits = make_splits(labels, units, {f"part {row}": part / sum(parts) for row, part in enumerate(parts)})

    assert splits.largest_deviation < 1 + 1e-6
    assert np.abs(splits.deviation.sum(axis=0)).max() < 1 + 1e-6


def test_sizes_are_mended_where_every_class_rounds_the_same_way() -> None:
    labels, units = singles(*[7] * 100)

    splits = make_splits(labels, units, FRACTIONS)

    assert splits.counts.sum(axis=0).tolist() == [560, 70, 70]
    assert splits.largest_deviation < 1


@given(images=IMAGES)
@settings(max_examples=30, deadline=None)
def test_the_numbers_of_the_units_do_not_matter(images: list[tuple[int, int]]) -> None:
    labels, units = np.array(images, np.int64).reshape(-1, 2).T
    renamed = np.random.default_rng(0).permutation(13)[units]

    splits = make_splits(labels, units, FRACTIONS)

    assert np.array_equal(splits.split, make_splits(labels, renamed, FRACTIONS).split)


def test_same_seed_gives_the_same_splits_and_another_seed_others() -> None:
    labels, units = singles(50, 50)

    first, again, other = (make_splits(labels, units, FRACTIONS, seed=seed).split for seed in (0, 0, 1))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_units_of_several_images_are_dealt_as_well_as_brute_force_does() -> None:
    rng = np.random.default_rng(1)
    costs = []
    for _ in range(25):
        units = np.repeat(np.arange(7), rng.integers(2, 7, 7))
        labels = rng.integers(0, 3, len(units))
        splits = make_splits(labels, units, LARGE)
        costs.append(((splits.deviation**2).sum(), smallest_cost(labels, units, splits)))

    found, smallest = np.array(costs).T
    assert np.mean(found <= smallest + 1e-6) >= 0.9
    assert found.sum() <= 1.02 * smallest.sum()


def test_many_units_of_mixed_sizes_leave_each_class_within_one_of_the_ideal() -> None:
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(2_000), rng.geometric(0.2, 2_000))
    labels = np.where(rng.random(len(units)) < 0.8, units % 10, rng.integers(0, 10, len(units)))

    splits = make_splits(labels, units, FRACTIONS)

    assert splits.largest_deviation < 1
    assert straddling(splits.split, units) == 0


def test_large_units_are_spread_and_not_all_put_into_the_largest_split() -> None:
    units = np.concatenate([np.repeat(np.arange(50), 4), np.arange(50, 1_850)])

    splits = make_splits(np.zeros(2_000, np.int64), units, FRACTIONS)

    large = splits.split[:200]
    assert [int(np.sum(large == name)) for name in FRACTIONS] == [160, 20, 20]


def test_unlabelled_images_are_spread_like_a_class() -> None:
    labels, units = np.array([0] * 50 + [-1] * 50), np.arange(100)

    splits = make_splits(labels, units, FRACTIONS)

    assert splits.counts.tolist() == [[40, 5, 5], [40, 5, 5]]


def test_several_labels_an_image_are_each_spread_as_the_fractions_say() -> None:
    labels = (np.random.default_rng(0).random((3_000, 12)) < np.linspace(0.02, 0.4, 12)).astype(float)
    labels[-100:] = np.nan
    units = np.concatenate([np.repeat(np.arange(100), 3), np.arange(100, 2_800)])

    splits = make_splits(labels, units, FRACTIONS)

    assert splits.counts.shape == (14, 3)
    assert splits.counts[-1].sum() == 100
    assert splits.largest_deviation < 1
    assert np.abs([np.sum(splits.split == name) - 3_000 * share for name, share in FRACTIONS.items()]).max() < 30


def test_a_class_marked_absent_is_told_from_one_that_nobody_looked_for() -> None:
    labels = np.array([[1.0, 0.0], [0.0, 0.0], [np.nan, np.nan], [np.nan, 1.0]])

    splits = make_splits(labels, np.arange(4), {"train": 1.0})

    assert splits.counts[:, 0].tolist() == [1, 1, 1, 1]


def test_frozen_images_stay_and_their_units_follow_them() -> None:
    labels, units = np.zeros(20, np.int64), np.array([0, 0, 0, *range(1, 18)])
    frozen = np.full(20, "", object)
    frozen[1] = "test"

    splits = make_splits(labels, units, FRACTIONS, frozen=frozen)

    assert set(splits.split[:3]) == {"test"}
    assert splits.conflicts.tolist() == []


def test_a_split_with_more_frozen_images_than_its_share_leaves_the_rest_to_the_others() -> None:
    labels, units = singles(100)
    frozen = np.array(["test"] * 28 + [""] * 72, object)

    splits = make_splits(labels, units, FRACTIONS, frozen=frozen)

    assert splits.counts.tolist() == [[64, 8, 28], [0, 0, 0]]
    assert splits.ideal[0].tolist() == [64, 8, 28]


def test_a_frozen_split_without_a_fraction_gets_nothing_but_what_belongs_to_it() -> None:
    labels, units = singles(100)
    units[99] = 0
    frozen = np.array(["holdout"] * 10 + [""] * 90, object)

    splits = make_splits(labels, units, {"train": 0.5, "validation": 0.5}, frozen=frozen)

    assert np.flatnonzero(splits.split == "holdout").tolist() == [*range(10), 99]
    assert splits.counts[0].sum() == 89


def test_a_unit_with_two_frozen_splits_is_a_conflict_and_the_frozen_images_stay() -> None:
    units = np.array([0, 0, 0, 0, 1])
    frozen = np.array(["train", "train", "test", "", ""], object)

    splits = make_splits(np.zeros(5, np.int64), units, FRACTIONS, frozen=frozen)

    assert splits.split[:4].tolist() == ["train", "train", "test", "train"]
    assert splits.conflicts.tolist() == [0, 1, 2]


def test_a_unit_larger_than_every_quota_is_dealt_and_told() -> None:
    units = np.array([0] * 90 + list(range(1, 11)))

    splits = make_splits(np.zeros(100, np.int64), units, FRACTIONS)

    assert splits.counts[0].tolist() == [90, 5, 5]
    assert splits.largest_deviation == pytest.approx(10)


def test_a_unit_that_overfills_a_split_does_not_push_other_classes_out_of_it() -> None:
    labels = np.array([0] * 100 + [1] * 100 + [2] * 100)
    units = np.array([0] * 100 + list(range(1, 201)))

    splits = make_splits(labels, units, FRACTIONS)

    assert splits.counts[1:3].tolist() == [[80, 10, 10], [80, 10, 10]]


def test_a_class_of_fewer_images_than_splits_is_dealt_and_told() -> None:
    labels, units = singles(100, 2)

    splits = make_splits(labels, units, FRACTIONS)

    assert splits.counts[1].sum() == 2
    assert splits.deviation[1] == pytest.approx(splits.counts[1] - np.array([1.6, 0.2, 0.2]))


@pytest.mark.parametrize("n", [0, 1])
def test_no_image_or_one_is_no_error(n: int) -> None:
    splits = make_splits(np.zeros(n, np.int64), np.zeros(n, np.int64), FRACTIONS)

    assert splits.split.tolist() == ["train"] * n


@pytest.mark.parametrize(
    "fractions",
    [{"train": 0.8, "test": 0.1}, {"train": 1.2, "test": -0.2}, {"train": 1.0, "test": 0.0}, {}, {"": 1.0}],
)
def test_fractions_that_are_none_are_an_error(fractions: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be positive and sum to 1, got"):
        make_splits(np.zeros(3, np.int64), np.arange(3), fractions)


def test_arrays_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="must have 3 values like labels, got 2 and 3"):
        make_splits(np.zeros(3, np.int64), np.arange(2), FRACTIONS)
