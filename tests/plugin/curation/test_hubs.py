from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.hubs import hub_pairs


def pairs_of(*rows: tuple[int, int]) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, 2)


def test_the_best_connected_image_meets_everyone_of_its_crowd() -> None:
    pairs = pairs_of((0, 1), (1, 2), (2, 3), (3, 4), (1, 5))

    found = hub_pairs(pairs, pairs, 8)  # 1 has three partners

    assert found.tolist() == [[1, 3], [1, 4]]


def test_each_crowd_has_a_hub_of_its_own() -> None:
    pairs = pairs_of((0, 1), (1, 2), (2, 3), (6, 7), (7, 8), (8, 9))

    found = hub_pairs(pairs, pairs, 10)

    assert found.tolist() == [[1, 3], [7, 9]]


def test_small_crowds_are_left_alone() -> None:
    assert hub_pairs(pairs_of((0, 1), (1, 2)), pairs_of(), 3).tolist() == []


@pytest.mark.parametrize("n", [0, 1, 5])
def test_without_pairs_there_is_nothing_to_compare(n: int) -> None:
    assert hub_pairs(pairs_of(), pairs_of(), n).shape == (0, 2)


def test_the_number_of_pairs_grows_with_the_images() -> None:
    chain = np.stack([np.arange(999), np.arange(1, 1000)], axis=1)

    assert len(hub_pairs(chain, chain, 1000)) == 997


def test_pairs_that_were_compared_and_found_different_are_not_compared_again() -> None:
    flagged, known = pairs_of((0, 1), (1, 2), (2, 3), (3, 4), (1, 5)), pairs_of((1, 3))

    assert hub_pairs(flagged, np.concatenate([flagged, known]), 6).tolist() == [[1, 4]]
