from __future__ import annotations

import itertools
from collections.abc import Callable

import fiftyone as fo
import numpy as np
import pytest

from winnow.plugin.datasets.decisions import (
    DECISIONS_FIELD,
    Decisions,
    call_apart,
    call_each_apart,
    forget_decisions,
    keep_all,
    keep_each,
    read_decisions,
)
from winnow.plugin.errors import DataError, FieldError

MakeDataset = Callable[..., fo.Dataset]


@pytest.fixture
def six(dataset: MakeDataset) -> fo.Dataset:
    """Return a dataset of six samples."""
    made = dataset()
    made.add_samples([fo.Sample(filepath=f"/images/{row}.png") for row in range(6)])
    return made


def test_a_dataset_without_decisions_has_none(six: fo.Dataset) -> None:
    assert read_decisions(six) == Decisions()
    assert not six.has_field(DECISIONS_FIELD)


def test_samples_called_apart_are_apart_in_either_order_and_others_are_not(six: fo.Dataset) -> None:
    a, b, c, *_ = six.values("id")

    call_apart(six, [a, b])

    assert read_decisions(six).apart([a, b, a], [b, a, c]).tolist() == [True, True, False]


def test_being_apart_is_not_passed_on_from_pair_to_pair(six: fo.Dataset) -> None:
    a, b, c, *_ = six.values("id")

    call_apart(six, [a, b])
    call_apart(six, [b, c])

    assert read_decisions(six).apart([a], [c]).tolist() == [False]


def test_only_pairs_that_were_not_known_are_counted(six: fo.Dataset) -> None:
    a, b, c, d, *_ = six.values("id")

    counts = [call_apart(six, ids) for ids in ([a, b], [b, c, d], [a, b, c], [c, b, a])]

    assert counts == [1, 3, 1, 0]  # the pairs a b and b c were known at the third


def test_a_set_that_includes_another_replaces_it(six: fo.Dataset) -> None:
    a, b, c, *_ = six.values("id")
    call_apart(six, [a, b])

    call_apart(six, [a, b, c])

    assert read_decisions(six).apart_sets == (frozenset([a, b, c]),)


def test_what_is_kept_counts_for_its_subsets_and_not_for_a_new_member(six: fo.Dataset) -> None:
    a, b, c, d, *_ = six.values("id")

    keep_all(six, [a, b, c])

    decisions = read_decisions(six)
    assert decisions.kept == (frozenset([a, b, c]),)
    assert [decisions.keeps_all(ids) for ids in ([a, b], [a, b, c], [a, b, d], [])] == [True, True, False, False]


def test_keeping_the_same_twice_is_one_decision(six: fo.Dataset) -> None:
    a, b, c, *_ = six.values("id")
    keep_all(six, [a, b, c])

    keep_all(six, [b, a])

    assert read_decisions(six).kept == (frozenset([a, b, c]),)


def test_of_many_sets_those_that_lie_within_others_are_not_kept(six: fo.Dataset) -> None:
    a, b, c, d, *_ = six.values("id")

    keep_each(six, [[a, b], [a, b, c], [b, a], [c, d]])

    assert set(read_decisions(six).kept) == {frozenset([a, b, c]), frozenset([c, d])}


def test_pairs_of_many_sets_are_counted_once(six: fo.Dataset) -> None:
    a, b, c, d, *_ = six.values("id")

    assert call_each_apart(six, [[a, b, c], [b, c, d]]) == 5


def test_a_forgotten_sample_leaves_the_others_apart(six: fo.Dataset) -> None:
    a, b, c, *_ = six.values("id")
    call_apart(six, [a, b, c])

    touched = forget_decisions(six, [a])

    assert touched == 1
    assert read_decisions(six).apart([a, b], [b, c]).tolist() == [False, True]


def test_a_kept_set_is_forgotten_whole(six: fo.Dataset) -> None:
    a, b, c, *_ = six.values("id")
    keep_all(six, [a, b, c])

    forget_decisions(six, [a])

    assert read_decisions(six) == Decisions()
    assert six.exists(DECISIONS_FIELD).count() == 0


def test_forgetting_leaves_decisions_about_others(six: fo.Dataset) -> None:
    a, b, c, d, *_ = six.values("id")
    call_apart(six, [a, b])
    call_apart(six, [c, d])

    untouched = forget_decisions(six, six.values("id")[4:])
    forget_decisions(six, [a])

    assert untouched == 0
    assert read_decisions(six).apart_sets == (frozenset([c, d]),)


@pytest.mark.parametrize("part", [slice(0, 1), slice(0, 0)])
def test_a_decision_about_less_than_two_samples_is_refused(six: fo.Dataset, part: slice) -> None:
    with pytest.raises(DataError, match="needs two samples or more"):
        call_apart(six, six.values("id")[part])


def test_a_sample_that_is_not_there_is_named(six: fo.Dataset) -> None:
    with pytest.raises(DataError, match=r"1 of 2 samples are not in .* such as 'nonsense'"):
        keep_all(six, [six.first().id, "nonsense"])


def test_a_field_of_the_users_is_not_overwritten(six: fo.Dataset) -> None:
    six.set_values(DECISIONS_FIELD, [["mine"]] * 6)

    with pytest.raises(FieldError, match="was not made by Winnow"):
        call_apart(six, six.values("id")[:2])


def test_decisions_go_along_into_the_clone_of_a_view(six: fo.Dataset) -> None:
    ids = six.values("id")
    call_apart(six, ids[:3])

    clone = six.select(ids[1:]).clone()

    assert read_decisions(clone).apart_sets == (frozenset(ids[1:3]),)


def test_decisions_about_all_slices_of_a_grouped_dataset_are_read(dataset: MakeDataset) -> None:
    made = dataset()
    made.add_group_field("side", default="left")
    for row in range(2):
        side = fo.Group()
        slices = [fo.Sample(filepath=f"/{name}{row}.png", side=side.element(name)) for name in ("left", "right")]
        made.add_samples(slices)
    ids = made.select_group_slices(["left", "right"]).values("id")

    call_apart(made.select_group_slices("left"), ids)

    assert read_decisions(made).apart_sets == (frozenset(ids),)


def test_many_samples_called_apart_are_as_many_marks_and_no_pairs(dataset: MakeDataset) -> None:
    made = dataset()
    made.add_samples([fo.Sample(filepath=f"/images/{row}.png") for row in range(500)])
    ids = made.values("id")

    count = call_apart(made, ids)

    assert count == 500 * 499 // 2
    assert sum(len(marks) for marks in made.values(DECISIONS_FIELD)) == 500
    left, right = zip(*itertools.combinations(ids, 2), strict=True)
    assert np.all(read_decisions(made).apart(left, right))
