from __future__ import annotations

import numpy as np

from winnow.plugin.curation.proofs import add_proofs, proof, tried_per_image
from winnow.plugin.progress import Progress, silent

TRIED = 2
PROVEN, NOTHING = (40.0, 1.0), (0.0, 0.0)


class Verifier:
    """Knows the pairs that are copies, and remembers what it was asked."""

    def __init__(self, *copies: tuple[int, int]) -> None:
        self.copies, self.asked = set(copies), []

    def __call__(self, pairs: np.ndarray, progress: Progress) -> np.ndarray:
        asked = [tuple(pair) for pair in pairs.tolist()]
        self.asked += asked
        return np.array([PROVEN if pair in self.copies else NOTHING for pair in asked], np.float32).reshape(-1, 2)


def proven(
    verify: Verifier, candidates: list[tuple[int, int]], cosine: list[float], scored: dict[tuple[int, int], float]
) -> dict[tuple[int, int], float]:
    pairs = np.array(sorted(scored), np.int64).reshape(-1, 2)
    score = np.array([scored[pair] for pair in sorted(scored)], np.float32)
    rows = np.array(candidates, np.int64).reshape(-1, 2)
    found = add_proofs(pairs, score, rows, np.array(cosine, np.float32), TRIED, verify, silent)
    return {tuple(pair): round(float(value), 4) for pair, value in zip(found[0].tolist(), found[1], strict=True)}


def test_a_pair_that_thumbnails_gave_up_is_added_by_its_proof() -> None:
    found = proven(Verifier((0, 1)), [(0, 1), (2, 3)], [0.6, 0.6], {})

    assert list(found) == [(0, 1)]
    assert found[0, 1] > 0.99


def test_a_score_is_never_lowered() -> None:
    assert proven(Verifier(), [(0, 1)], [0.6], {(0, 1): 0.7}) == {(0, 1): 0.7}


def test_settled_pairs_are_not_compared() -> None:
    verify = Verifier()

    proven(verify, [(0, 1), (2, 3)], [0.9, 0.5], {(0, 1): 0.99, (2, 3): 0.9})

    assert verify.asked == [(2, 3)]


def test_more_pairs_are_tried_among_few_images() -> None:
    assert [tried_per_image(n) for n in (0, 10, 100, 1000, 1_000_000)] == [1000, 100, 10, 3, 3]


def test_each_image_has_its_closest_pairs_compared() -> None:
    verify = Verifier()
    candidates = [(a, b) for a in range(12) for b in range(a + 1, 12)]
    cosine = np.random.default_rng(0).uniform(0.4, 0.9, len(candidates))

    proven(verify, candidates, cosine.tolist(), {})

    assert len(verify.asked) <= 12 * TRIED
    for image in range(12):
        own = [row for row, pair in enumerate(candidates) if image in pair]
        best = sorted(own, key=lambda row: -cosine[row])[:TRIED]
        assert {candidates[row] for row in best} <= set(verify.asked)


def test_a_group_that_was_proven_has_its_other_pairs_compared() -> None:
    group = [(a, b) for a in range(6) for b in range(a + 1, 6)]
    cosine = [0.9 - 0.01 * (b - a) for a, b in group]

    found = proven(Verifier(*group), group, cosine, {})

    assert sorted(found) == group


def crowd(first: int) -> dict[tuple[int, int], float]:
    """Return the settled pairs of a crowd of 12 images, eight of each image."""
    pairs = [(first + a, first + (a + step) % 12) for a in range(12) for step in range(1, 5)]
    return {(min(pair), max(pair)): 0.99 for pair in pairs}


def test_images_of_a_group_with_enough_settled_pairs_are_not_compared() -> None:
    verify = Verifier()
    candidates = [(a, b) for a in range(12) for b in range(a + 1, 12)]

    proven(verify, candidates, [0.9] * len(candidates), crowd(0))

    assert verify.asked == []


def test_images_of_two_groups_are_compared_however_well_each_is_known() -> None:
    verify = Verifier()
    scored = crowd(0) | crowd(12)

    proven(verify, sorted([*scored, (3, 15)]), [0.9] * (len(scored) + 1), scored)

    assert verify.asked == [(3, 15)]


def test_more_keypoints_prove_more_and_need_agreeing_pixels() -> None:
    values = proof(np.array([[8, 1.0], [10, 1.0], [15, 1.0], [40, 1.0], [40, 0.4], [0, 0.0]], np.float32))

    assert values[0] == values[4] == values[5] == 0
    assert 0.5 < values[1] < 0.95 < values[2] < values[3] <= 1


def test_no_candidates_have_no_proofs() -> None:
    assert proven(Verifier(), [], [], {}) == {}
