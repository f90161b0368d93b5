from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from winnow.plugin.curation.alignment import SIDE
from winnow.plugin.curation.calibration import automatic_threshold, fit_curve, independence
from winnow.plugin.curation.duplicates import DuplicatePairs, find_duplicates
from winnow.plugin.curation.made_copies import Copies
from winnow.plugin.progress import Progress

from .conftest import Garments


def flagged(pairs: DuplicatePairs) -> set[tuple[int, int]]:
    return {(a, b) for a, b in pairs.rows[pairs.flagged].tolist()}


def random_images(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings (n, 16) and thumbnails (n, 32, 32) of images that have nothing in common."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    return rng.normal(size=(n, 16)).astype(np.float32), coarse.repeat(4, axis=1).repeat(4, axis=2)


@pytest.fixture(scope="module")
def found(garments: Garments) -> DuplicatePairs:
    return find_duplicates(garments.embeddings, garments.thumbnails, garments.splits)


def test_most_planted_copies_are_found(garments: Garments, found: DuplicatePairs) -> None:
    pairs = np.array(sorted(flagged(found)))

    same_shot = pairs[garments.shot[pairs[:, 0]] == garments.shot[pairs[:, 1]]]

    assert np.isin(np.flatnonzero(garments.is_copy), same_shot).mean() >= 0.9


def test_most_flagged_pairs_are_copies(garments: Garments, found: DuplicatePairs) -> None:
    pairs = np.array(sorted(flagged(found)))

    assert (garments.shot[pairs[:, 0]] == garments.shot[pairs[:, 1]]).mean() >= 0.9


def test_pairs_come_best_first_and_each_once(found: DuplicatePairs) -> None:
    assert (np.diff(found.score) <= 0).all()
    assert (found.rows[:, 0] < found.rows[:, 1]).all()
    assert len(np.unique(found.rows, axis=0)) == len(found.rows)


@pytest.mark.parametrize("seed", [1, 2])
def test_flagged_pairs_do_not_depend_on_the_order_of_the_images(
    garments: Garments, found: DuplicatePairs, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(garments.shot))
    shuffled = garments[order]

    again = find_duplicates(shuffled.embeddings, shuffled.thumbnails, shuffled.splits)

    assert {tuple(sorted(order[list(pair)].tolist())) for pair in flagged(again)} == flagged(found)


def test_a_larger_threshold_flags_the_best_pairs_only(garments: Garments, found: DuplicatePairs) -> None:
    strict = find_duplicates(garments.embeddings, garments.thumbnails, garments.splits, threshold=0.99)

    assert strict.rows.tolist() == found.rows.tolist()
    assert flagged(strict) == {tuple(pair) for pair in found.rows[found.score >= 0.99].tolist()}


def test_a_crowd_of_copies_in_its_own_split_does_not_hide_a_leak(garments: Garments) -> None:
    source = int(np.flatnonzero(garments.is_copy)[0])
    rows = np.array([source] * 30 + np.flatnonzero(garments.shot == garments.shot[source]).tolist())
    near = garments[np.concatenate([rows, np.flatnonzero(garments.shot != garments.shot[source])])]
    splits = near.splits.copy()
    splits[:30] = "train"
    splits[30:32] = "test"

    alone = find_duplicates(near.embeddings, near.thumbnails)
    across = find_duplicates(near.embeddings, near.thumbnails, splits)

    def leaked_rows(pairs: DuplicatePairs) -> set[int]:
        return {a for a, b in pairs.rows.tolist() if a < 30 and splits[b] == "test" and b < 32}

    assert len(leaked_rows(alone)) < 30
    assert len(leaked_rows(across)) == 30


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_images_have_no_pairs(n: int) -> None:
    pairs = find_duplicates(*random_images(n))

    assert pairs.rows.shape == (0, 2)
    assert pairs.score.shape == (0,)


def test_two_copies_alone_are_found() -> None:
    embeddings, thumbnails = random_images(1)

    pairs = find_duplicates(embeddings.repeat(2, axis=0), thumbnails.repeat(2, axis=0))

    assert flagged(pairs) == {(0, 1)}


def test_two_different_images_alone_are_no_duplicates() -> None:
    assert flagged(find_duplicates(*random_images(2))) == set()


def test_random_images_are_no_duplicates() -> None:
    assert flagged(find_duplicates(*random_images(100))) == set()


def test_of_two_hundred_equal_images_every_one_is_flagged() -> None:
    embeddings, thumbnails = random_images(1)

    pairs = find_duplicates(embeddings.repeat(200, axis=0), thumbnails.repeat(200, axis=0))

    assert set(pairs.rows[pairs.flagged].ravel()) == set(range(200))


def test_images_without_contrast_are_copies_where_all_is_the_same() -> None:
    embeddings, thumbnails = random_images(40)
    thumbnails[[3, 7, 11]] = 255  # three white pages, the third of which is not quite white in full size
    thumbnails[15] = 128
    embeddings[[3, 7, 15]] = embeddings[3]

    assert flagged(find_duplicates(embeddings, thumbnails)) == {(3, 7)}


def test_a_file_that_occurs_twice_scores_best(garments: Garments) -> None:
    rows = np.concatenate([np.arange(len(garments.shot)), [5]])
    doubled = garments[rows]

    pairs = find_duplicates(doubled.embeddings, doubled.thumbnails)

    scores = {tuple(pair): score for pair, score in zip(pairs.rows.tolist(), pairs.score.tolist(), strict=True)}
    assert scores[(5, len(rows) - 1)] == pytest.approx(pairs.score.max(), abs=1e-3)


def test_thumbnails_of_another_shape_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 32, 32\), got \(2, 32, 32\)"):
        find_duplicates(np.ones((3, 4)), np.zeros((2, SIDE, SIDE), np.uint8))


def test_an_embedding_that_is_no_number_is_an_error() -> None:
    embeddings, thumbnails = random_images(3)
    embeddings[1, 0] = np.nan

    with pytest.raises(ValueError, match="row 1"):
        find_duplicates(embeddings, thumbnails)


def test_pairs_and_scores_of_different_length_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 2\), got \(2, 2\)"):
        DuplicatePairs(np.array([[0, 1], [1, 2]]), np.array([1.0]), 0.5)


def margins(rng: np.random.Generator, copies: int, others: int, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Return margins of candidate pairs, the first of which are copies, and of copies made on purpose."""
    of_others, of_copies = rng.normal(0, 0.7, others), rng.normal(gap, 0.8, copies)
    return np.concatenate([of_copies, of_others]), rng.normal(gap, 0.8, 400)


@pytest.mark.parametrize("copies", [0, 30, 300])
def test_probabilities_add_up_to_about_the_number_of_copies(copies: int) -> None:
    candidates, made = margins(np.random.default_rng(0), copies, 20_000, gap=4.0)

    probability = fit_curve(candidates, made)(candidates)

    assert probability.sum() == pytest.approx(copies, abs=max(3, 0.25 * copies))


def test_the_automatic_cut_holds_the_precision_that_it_states() -> None:
    candidates, made = margins(np.random.default_rng(1), 300, 20_000, gap=3.2)
    score = fit_curve(candidates, made)(candidates)

    chosen = score >= automatic_threshold(np.sort(score)[::-1])

    assert chosen[:300].sum() / chosen.sum() > 0.9
    assert chosen[:300].mean() > 0.5


def test_the_automatic_cut_is_a_score_as_it_is_written_down() -> None:
    score = np.array([1, 1, 1, 1, 0.7889], np.float32)  # 0.78890002 as float32

    assert automatic_threshold(score) == 0.7889


def test_copies_that_look_like_nothing_else_do_not_break_the_fit() -> None:
    curve = fit_curve(np.full(50, -1.0), np.full(40, 9.0))

    assert curve(np.array([-1.0, 9.0])).round(2).tolist() == [0, 1]


def test_expected_recall_and_precision_are_told(garments: Garments) -> None:
    rows = np.flatnonzero(garments.is_copy)
    sources = np.array([np.flatnonzero((garments.shot == shot) & ~garments.is_copy)[0] for shot in garments.shot[rows]])
    alone = garments[np.flatnonzero(~garments.is_copy)]
    place = np.cumsum(~garments.is_copy) - 1
    copies = Copies(place[sources], garments.embeddings[rows], garments.thumbnails[rows])

    found = find_duplicates(alone.embeddings, alone.thumbnails, copies=copies)

    assert found.recall is not None and 0.6 < found.recall <= 1
    assert found.precision >= 0.95


@pytest.mark.parametrize(
    ("score", "threshold"),
    [
        ([], 0.95),
        ([0.4, 0.1], 0.95),
        ([1.0, 0.99, 0.97, 0.3], 0.97),
        ([1.0, 1.0, 0.9, 0.9, 0.6], 0.9),
        ([0.94], 0.95),
        ([1.0, 0.9, 0.9, 0.9], 1.0),  # the three equal ones together would bring the mean below
    ],
)
def test_threshold_is_the_smallest_that_keeps_the_mean_probability(score: list[float], threshold: float) -> None:
    assert automatic_threshold(np.array(score)) == threshold


def no_keypoints(pairs: np.ndarray, progress: Progress) -> np.ndarray:
    return np.zeros((len(pairs), 2), np.float32)


def test_images_without_keypoints_keep_their_scores(garments: Garments, found: DuplicatePairs) -> None:
    again = find_duplicates(garments.embeddings, garments.thumbnails, garments.splits, verify=no_keypoints)

    assert again.rows.tolist() == found.rows.tolist()
    assert again.score.tolist() == found.score.tolist()


def test_keypoints_flag_a_pair_that_thumbnails_leave_undecided(garments: Garments, found: DuplicatePairs) -> None:
    asked: list[tuple[int, int]] = []

    def prove_the_first(pairs: np.ndarray, progress: Progress) -> np.ndarray:
        asked.extend((a, b) for a, b in pairs.tolist())
        return np.array([(40, 1) if (a, b) == asked[0] else (0, 0) for a, b in pairs.tolist()], np.float32)

    again = find_duplicates(garments.embeddings, garments.thumbnails, garments.splits, verify=prove_the_first)

    assert asked[0] not in {(a, b) for a, b in found.rows[found.score >= 0.95].tolist()}
    assert asked[0] in flagged(again)


def test_copies_that_keypoints_prove_count_as_found(garments: Garments) -> None:
    rng = np.random.default_rng(0)
    source = np.flatnonzero(~garments.is_copy)[:40]
    noise = rng.integers(0, 256, (len(source), SIDE, SIDE), dtype=np.uint8)  # thumbnails that tell nothing

    def recall(verify: Callable[[np.ndarray], np.ndarray]) -> float:
        copies = Copies(source, garments.embeddings[source], noise, verify)
        result = find_duplicates(garments.embeddings, garments.thumbnails, copies=copies, verify=no_keypoints)
        assert result.recall is not None
        return result.recall

    assert recall(lambda copies: np.tile(np.float32([0, 0]), (len(copies), 1))) < 0.1
    assert recall(lambda copies: np.tile(np.float32([40, 1]), (len(copies), 1))) > 0.9


def test_a_copy_that_meets_another_frame_of_its_scene_counts_as_found(garments: Garments) -> None:
    """Of 150 frames a copy meets its eight nearest, seldom the one that it was made of."""
    rng = np.random.default_rng(0)

    def frames(count: int) -> tuple[np.ndarray, np.ndarray]:
        noise = rng.integers(-3, 4, (count, SIDE, SIDE))
        thumbnails = np.clip(garments.thumbnails[0].astype(int) + noise, 0, 255).astype(np.uint8)
        vectors = garments.embeddings[0] + rng.normal(0, 0.01, (count, garments.embeddings.shape[1]))
        return vectors.astype(np.float32), thumbnails

    others = garments[np.flatnonzero(~garments.is_copy)[1:60]]
    vectors, thumbnails = frames(150)
    copies = Copies(np.arange(40), *frames(40))

    result = find_duplicates(
        np.concatenate([vectors, others.embeddings]), np.concatenate([thumbnails, others.thumbnails]), copies=copies
    )

    assert result.recall == 1


def test_pairs_of_one_crowd_count_together() -> None:
    crowd = np.stack(np.triu_indices(5, 1), axis=1)
    pairs = np.concatenate([crowd, [[5, 6], [7, 8], [0, 9]]])

    weight = independence(pairs, np.array([0.9] * 10 + [0.9, 0.2, 0.2]), 10)

    assert weight.tolist() == [0.25] * 10 + [1, 1, 0.25]


def test_a_crowd_of_copies_does_not_make_other_pairs_likelier() -> None:
    """1,000 frames of one scene make 8,000 right pairs; the other images hold no copies."""
    rng = np.random.default_rng(2)
    others, frames = rng.normal(0, 0.7, 4_000), rng.normal(2.6, 0.3, 8_000)
    candidates = np.concatenate([frames, others])
    weight = np.repeat([1 / 16, 1.0], [8_000, 4_000])

    score = fit_curve(candidates, rng.normal(2.6, 0.8, 400), weight)(candidates)
    best = np.argsort(-score, kind="stable")
    threshold = automatic_threshold(score[best], weight[best])

    assert (score[8_000:] >= threshold).sum() <= 40
    assert (score[:8_000] >= threshold).mean() > 0.5
