from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.pair_sets import each_once, first_of_each, pair_numbers

PAIRS = np.array([(3, 1), (0, 7), (3, 1), (0, 0), (7, 0), (0, 7)], np.int64)


def test_each_pair_stays_once_in_ascending_order() -> None:
    assert each_once(PAIRS).tolist() == np.unique(PAIRS, axis=0).tolist()
    assert each_once(PAIRS[:0]).shape == (0, 2)


def test_the_first_of_equal_pairs_is_told() -> None:
    assert first_of_each(PAIRS).tolist() == [3, 1, 0, 4]
    assert first_of_each(PAIRS[:0]).tolist() == []


@pytest.mark.parametrize("n", [8, 1_000_000_000])
def test_numbers_of_pairs_are_ordered_like_the_pairs(n: int) -> None:
    pairs = np.array([(0, 0), (0, n - 1), (1, 0), (n - 1, n - 1)], np.int64)

    assert (np.diff(pair_numbers(pairs, n)) > 0).all()
