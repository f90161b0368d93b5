from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.units import join_units

NO_PAIRS = np.empty((0, 2), np.int64)


def column(*values: str | None) -> np.ndarray:
    return np.array(values, dtype=object)


def test_images_without_pairs_or_groups_are_units_of_their_own() -> None:
    assert join_units(3, NO_PAIRS, column(None, "", None)).tolist() == [0, 1, 2]


def test_pairs_join_over_several_steps() -> None:
    assert join_units(5, np.array([[3, 4], [1, 3]])).tolist() == [0, 1, 2, 1, 1]


def test_the_same_group_joins() -> None:
    assert join_units(4, NO_PAIRS, column("p", None, "p", "q")).tolist() == [0, 1, 0, 2]


def test_columns_and_pairs_join_each_other() -> None:
    units = join_units(5, np.array([[1, 2]]), column("p", "p", None, None, None), column("", "", "s", "s", ""))

    assert units.tolist() == [0, 0, 0, 0, 1]


def test_equal_values_of_two_columns_do_not_join() -> None:
    assert join_units(2, NO_PAIRS, column("1", None), column(None, "1")).tolist() == [0, 1]


def test_no_images_are_no_units() -> None:
    assert join_units(0, NO_PAIRS, column()).tolist() == []


def test_units_do_not_depend_on_the_order_of_the_pairs() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 200, (120, 2))

    units = join_units(200, pairs)

    assert np.array_equal(units, join_units(200, rng.permutation(pairs)[:, ::-1]))


@pytest.mark.parametrize("pair", [(0, 3), (-1, 0)])
def test_a_pair_of_an_image_that_does_not_exist_is_an_error(pair: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="rows from 0 to 2"):
        join_units(3, np.array([pair]))


def test_a_column_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="must have 3 values, got 2"):
        join_units(3, NO_PAIRS, column("a", "b"))
