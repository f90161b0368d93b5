from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.duplicates import DuplicatePairs
from winnow.plugin.curation.groups import group_duplicates


def pairs_of(*rows: tuple[int, int], score: float = 0.9) -> DuplicatePairs:
    return DuplicatePairs(np.array(rows, np.int64).reshape(-1, 2), np.full(len(rows), score, np.float32), 0.5)


def random_pairs(seed: int, n: int = 60, m: int = 80) -> DuplicatePairs:
    rng = np.random.default_rng(seed)
    rows = np.unique(np.sort(rng.integers(0, n, (m, 2)), axis=1), axis=0)
    rows = rows[rows[:, 0] < rows[:, 1]]
    score = np.round(rng.random(len(rows)), 1).astype(np.float32)  # coarse, so that ties occur
    order = np.argsort(-score, kind="stable")
    return DuplicatePairs(rows[order], score[order], 0.3)


def plain_groups(pairs: DuplicatePairs, n: int) -> list[int]:
    """Return what `group_duplicates` should find, by searching every image anew for each centre."""
    score = {}
    for (a, b), value, is_flagged in zip(pairs.rows.tolist(), pairs.score.tolist(), pairs.flagged, strict=True):
        if is_flagged:
            score[a, b] = score[b, a] = value
    group, number = [-1] * n, 0
    while True:
        best, best_rank = None, None
        for centre in range(n):
            free = [row for row in range(n) if (centre, row) in score and group[row] < 0 and group[centre] < 0]
            rank = (len(free), round(sum(score[centre, row] for row in free), 4), -centre)
            if free and (best_rank is None or rank > best_rank):
                best, best_rank = [centre, *free], rank
        if best is None:
            break
        for row in best:
            group[row] = number
        number += 1
    names = {old: new for new, old in enumerate(dict.fromkeys(value for value in group if value >= 0))}
    return [names.get(value, -1) for value in group]


def test_a_chain_is_no_group() -> None:
    groups = group_duplicates(pairs_of((0, 1), (1, 2), (2, 3), (3, 4)), 5).group

    assert groups.tolist() == [0, 0, 0, 1, 1]


def test_ends_of_a_chain_of_three_share_the_group_of_its_middle() -> None:
    groups = group_duplicates(pairs_of((0, 1), (1, 2)), 3).group

    assert groups.tolist() == [0, 0, 0]


def test_a_member_left_without_a_free_partner_is_in_no_group() -> None:
    groups = group_duplicates(pairs_of((0, 1), (0, 2), (0, 3), (3, 4)), 5).group

    assert groups.tolist() == [0, 0, 0, 0, -1]


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_those_of_a_plain_search(seed: int) -> None:
    pairs = random_pairs(seed)

    groups = group_duplicates(pairs, 60).group

    assert groups.tolist() == plain_groups(pairs, 60)


@pytest.mark.parametrize("seed", range(5))
def test_some_member_of_each_group_is_paired_with_all_others(seed: int) -> None:
    pairs = random_pairs(seed)
    linked = np.eye(60, dtype=bool)
    linked[tuple(pairs.rows[pairs.flagged].T)] = True
    linked |= linked.T

    groups = group_duplicates(pairs, 60).group

    for number in range(groups.max() + 1):
        members = np.flatnonzero(groups == number)
        assert len(members) >= 2
        assert linked[np.ix_(members, members)].all(axis=1).any()


@pytest.mark.parametrize("seed", range(5))
def test_no_flagged_pair_is_left_with_both_images_free(seed: int) -> None:
    pairs = random_pairs(seed)

    groups = group_duplicates(pairs, 60).group

    assert (groups[pairs.rows[pairs.flagged]] >= 0).any(axis=1).all()


def test_groups_are_numbered_by_their_first_member() -> None:
    groups = group_duplicates(pairs_of((4, 5), (4, 6), (1, 2)), 7).group

    assert groups.tolist() == [-1, 0, 0, -1, 1, 1, 1]


def test_pairs_below_the_threshold_make_no_group() -> None:
    assert group_duplicates(pairs_of((0, 1), score=0.4), 2).group.tolist() == [-1, -1]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_without_pairs_every_image_is_alone(n: int) -> None:
    assert group_duplicates(pairs_of(), n).group.tolist() == [-1] * n


def test_equal_images_are_one_group() -> None:
    everything = pairs_of(*np.stack(np.triu_indices(50, 1), axis=1).tolist())

    assert group_duplicates(everything, 50).group.tolist() == [0] * 50


def test_the_centre_and_the_lowest_score_of_each_group_are_told() -> None:
    pairs = DuplicatePairs(np.array([[0, 1], [1, 2], [4, 5]]), np.array([0.9, 0.7, 0.8], np.float32), 0.5)

    groups = group_duplicates(pairs, 6)

    assert groups.centre[0] == 1
    assert groups.lowest.tolist() == pytest.approx([0.7, 0.8])
    assert groups.sizes.tolist() == [3, 2]


def test_pairs_between_two_groups_are_counted_as_bridges() -> None:
    groups = group_duplicates(pairs_of((0, 1), (1, 2), (2, 3), (3, 4)), 5)

    assert groups.bridges == 1


def test_the_best_member_is_kept_and_equal_ones_by_the_next_preference() -> None:
    groups = group_duplicates(pairs_of((0, 1), (2, 3), (4, 5)), 6)

    kept = groups.best([np.array([0, 1, 5, 5, 5, 5]), np.array([9, 0, 1, 2, 3, 3])])

    assert kept.tolist() == [1, 3, 4]


def test_an_unknown_value_loses_against_any_other() -> None:
    groups = group_duplicates(pairs_of((0, 1)), 2)

    assert groups.best([np.array([np.nan, -5.0])]).tolist() == [1]


def test_labels_that_differ_within_a_group_are_a_conflict_and_missing_ones_are_not() -> None:
    groups = group_duplicates(pairs_of((0, 1), (2, 3), (4, 5)), 6)

    assert groups.in_conflict(np.array([0, 1, 2, 2, -1, 3])).tolist() == [True, False, False]
