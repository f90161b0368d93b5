from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.candidates import CANDIDATES, Candidates
from winnow.plugin.curation.crowds import crowds
from winnow.plugin.curation.evidence import FEATURES, Evidence, gather_evidence
from winnow.plugin.curation.neighbors import unit_rows

from .conftest import Garments


def test_crowd_is_the_mean_of_the_five_look_alikes_after_the_best() -> None:
    pairs = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [0, 5], [0, 6], [0, 7]])

    crowd = crowds(np.array([6.0, 5, 4, 3, 2, 2, 2]), pairs, 8)

    assert crowd[0] == (5 + 4 + 3 + 2 + 2) / 5


def test_look_alikes_that_are_missing_count_as_the_weakest() -> None:
    crowd = crowds(np.array([6.0, 5.0]), np.array([[0, 1], [0, 2]]), 4)

    assert crowd.tolist() == [(5 + 4 * 1) / 5, 1, 1, 1]


def test_copies_beyond_doubt_are_one_look_alike_and_none_of_each_other() -> None:
    sure = [[1, 2], [1, 3], [2, 3]]
    pairs = np.array([*sure, [0, 1], [0, 2], [0, 3], [1, 4]])

    crowd = crowds(np.array([9, 9, 9, 5, 5, 5, 4.0]), pairs, 5)

    assert crowd[0] == 1  # its three partners are one, the best
    assert crowd[1] == (4 + 4 * 1) / 5  # 0 is its best, 4 comes next


def test_a_pair_takes_the_larger_crowd() -> None:
    evidence = Evidence(np.array([[0, 1], [1, 2]]), np.zeros((2, len(FEATURES)), np.float32))

    assert evidence.with_crowd(np.array([1.0, 5.0, 2.0])).values[:, FEATURES.index("crowd")].tolist() == [5, 5]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_mirrored_copy_is_a_candidate_and_is_told_apart(garments: Garments, mirrored: bool) -> None:
    source = np.flatnonzero(~garments.is_copy)[:20]
    copies = garments.thumbnails[source][:, :, :: -1 if mirrored else 1]
    thumbnails = np.concatenate([garments.thumbnails, copies])
    # Embeddings that know nothing: the pixels have to do it.
    rows = unit_rows(np.random.default_rng(0).normal(size=(len(thumbnails), 512)))

    evidence = gather_evidence(Candidates(rows, thumbnails).among_themselves(), rows, thumbnails)

    n = len(garments.shot)
    by_pair = {tuple(pair): values for pair, values in zip(evidence.pairs.tolist(), evidence.values, strict=True)}
    found = [by_pair[(row, n + number)] for number, row in enumerate(source) if (row, n + number) in by_pair]
    assert len(found) >= 18
    symmetric = 3  # garments that are their own mirror image
    assert sum(values[4] == mirrored for values in found) >= len(found) - symmetric
    assert np.mean([values[0] for values in found]) > 2


def test_candidates_of_other_images_are_among_those_known(garments: Garments) -> None:
    rows = unit_rows(garments.embeddings)

    pairs = Candidates(rows[10:], garments.thumbnails[10:]).of(rows[:10], rows[:10], garments.thumbnails[:10])

    assert set(pairs[:, 0]) == set(range(10))
    assert pairs[:, 1].max() < len(rows) - 10
    assert np.bincount(pairs[:, 0]).max() <= 3 * CANDIDATES
