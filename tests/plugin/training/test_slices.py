from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from winnow.plugin.training.slices import NONE, OTHERS, slice_rows


def rows_of(values: list[Any]) -> dict[str, list[int]]:
    """Return the row numbers of each slice, in the order of the slices."""
    return {name: np.flatnonzero(rows).tolist() for name, rows in slice_rows(values)}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a", None, "b"], {"a": [1], "b": [0, 3], NONE: [2]}),
        ([True, False, True], {"False": [1], "True": [0, 2]}),
        ([10, 9, 10, None], {"9": [1], "10": [0, 2], NONE: [3]}),
        ([["x", "y"], [], ["y"], None], {"x": [0], "y": [0, 2], NONE: [1, 3]}),
        ([None, None], {NONE: [0, 1]}),
        ([], {}),
    ],
    ids=["text", "yes or no", "few whole numbers", "lists", "nothing", "no rows"],
)
def test_rows_of_a_value_are_a_slice(values: list[Any], expected: dict[str, list[int]]) -> None:
    found = rows_of(values)

    assert list(found.items()) == list(expected.items())


def test_numbers_are_cut_into_quartiles() -> None:
    values = [*range(99, -1, -1), float("nan")]

    found = rows_of(values)

    assert list(found) == ["0 to 24", "25 to 49", "50 to 74", "75 to 99", NONE]
    assert found["75 to 99"] == list(range(25))
    assert found[NONE] == [100]


def test_numbers_that_are_mostly_alike_make_fewer_slices() -> None:
    found = rows_of([0.5] * 90 + [0.6] * 10)

    assert {name: len(rows) for name, rows in found.items()} == {"0.5 to 0.5": 90, "0.6 to 0.6": 10}


def test_rare_values_share_a_slice() -> None:
    values = [f"v{number:02d}" for number in range(50) for _ in range(2)] + ["rare", "w"]

    found = rows_of(values)

    assert len(found) == 51
    assert found[OTHERS] == [100, 101]
