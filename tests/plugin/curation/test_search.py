from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.duplicates import DuplicatePairs, judge
from winnow.plugin.curation.evidence import inner_products
from winnow.plugin.curation.neighbors import nearest_of_some, unit_rows_around
from winnow.plugin.curation.search import Search, search

from .conftest import Garments


def judged(found: Search, garments: Garments) -> DuplicatePairs:
    return judge(found, garments.embeddings, garments.thumbnails, garments.splits)


def flagged(pairs: DuplicatePairs, names: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(names[rows].tolist()) for rows in pairs.rows[pairs.flagged]}


@pytest.fixture(scope="module")
def whole(garments: Garments) -> Search:
    return search(garments.embeddings, garments.thumbnails, garments.splits)


@pytest.mark.parametrize("seed", range(3))
def test_a_search_goes_on_with_new_images_as_if_it_had_known_them(garments: Garments, whole: Search, seed: int) -> None:
    n = len(garments.shot)
    new = np.sort(np.random.default_rng(seed).choice(n, n // 8, replace=False))
    old = np.setdiff1d(np.arange(n), new)
    before = search(garments[old].embeddings, garments[old].thumbnails, garments[old].splits)
    row = old.copy()

    after = search(garments.embeddings, garments.thumbnails, garments.splits, known=before.renumbered(row), new=new)

    anew, on = judged(whole, garments), judged(after, garments)
    rows = np.arange(n)
    both = flagged(anew, rows) & flagged(on, rows)
    assert len(both) >= 0.95 * max(len(flagged(anew, rows)), len(flagged(on, rows)))
    assert np.unique(after.candidates, axis=0).tolist() == after.candidates.tolist()
    directions = unit_rows_around(garments.embeddings, after.centre)
    np.testing.assert_allclose(after.cosine, inner_products(directions, after.candidates), atol=1e-5)


def test_without_new_images_nothing_is_searched(garments: Garments, whole: Search) -> None:
    def never(step: str, done: int, total: int) -> None:
        raise AssertionError(step)

    again = search(
        garments.embeddings,
        garments.thumbnails,
        garments.splits,
        known=whole,
        new=np.empty(0, np.int64),
        progress=never,
    )

    assert judged(again, garments).score.tolist() == judged(whole, garments).score.tolist()


def test_what_is_known_of_images_that_are_gone_is_forgotten(garments: Garments, whole: Search) -> None:
    n = len(garments.shot)
    kept = np.arange(0, n, 2)
    row = np.full(n, -1)
    row[kept] = np.arange(len(kept))[::-1]  # and the others change places

    left = whole.renumbered(row)

    names = kept[::-1]
    wanted = {frozenset(pair) for pair in whole.evidence.pairs.tolist() if not set(pair) - set(kept.tolist())}
    assert {frozenset(names[pair].tolist()) for pair in left.evidence.pairs} == wanted
    assert (left.evidence.pairs[:, 0] < left.evidence.pairs[:, 1]).all()
    assert left.candidates.max() < len(kept)
    cosine = {frozenset(pair): value for pair, value in zip(whole.candidates.tolist(), whole.cosine, strict=True)}
    assert [cosine[frozenset(names[pair].tolist())] for pair in left.candidates] == left.cosine.tolist()


def test_too_many_new_images_start_a_search_anew(garments: Garments, whole: Search) -> None:
    steps = set()

    found = search(
        garments.embeddings,
        garments.thumbnails,
        garments.splits,
        known=whole,
        new=np.arange(len(garments.shot) // 2),
        progress=lambda step, done, total: steps.add(step),
    )

    assert "nearest embeddings" in steps
    assert found.evidence.values.tolist() == whole.evidence.values.tolist()


@pytest.mark.parametrize("block", [7, 10_000])
def test_nearest_of_some_are_those_of_a_plain_search(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.plugin.curation.neighbors._AGAINST", block)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 5)).astype(np.float32)
    rows[30] = rows[31] = rows[3]
    some, among = np.array([3, 17, 59]), rng.random(60) < 0.5

    found = nearest_of_some(rows, some, 6, among)

    for row, neighbors in zip(some.tolist(), found.tolist(), strict=True):
        others = [other for other in range(60) if among[other] and other != row]
        wanted = sorted(others, key=lambda other: (-float(rows[row] @ rows[other]), other))[:6]
        assert [round(float(rows[row] @ rows[n]), 4) for n in neighbors] == [
            round(float(rows[row] @ rows[n]), 4) for n in wanted
        ]


def test_fewer_than_k_others_leave_the_rest_empty() -> None:
    assert nearest_of_some(np.eye(3, dtype=np.float32), np.array([1]), 4).tolist() == [[0, 2, -1, -1]]
