from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.ivf import InvertedLists
from winnow.plugin.curation.neighbors import NeighborIndex, unit_rows


def plain_neighbors(queries: np.ndarray, base: np.ndarray, k: int, same_rows: bool) -> np.ndarray:
    """Return what an exact index should find, by comparing every query with every row."""
    found = []
    for query_row, query in enumerate(queries):
        scored = []
        for base_row, candidate in enumerate(base):
            if not (same_rows and query_row == base_row):
                scored.append((-float(np.dot(query.astype(np.float64), candidate)), base_row))
        found.append([row for _, row in sorted(scored)[:k]])
    return np.array(found)


@pytest.fixture
def rows() -> np.ndarray:
    return unit_rows(np.random.default_rng(0).normal(size=(200, 16)))


def test_neighbors_are_those_of_a_plain_double_loop(rows: np.ndarray) -> None:
    similarity, found = NeighborIndex(rows[70:]).search(rows[:70], 5)

    assert found.tolist() == plain_neighbors(rows[:70], rows[70:], 5, same_rows=False).tolist()
    np.testing.assert_allclose(similarity, np.einsum("qd,qkd->qk", rows[:70], rows[70:][found]), atol=1e-6)


def test_a_row_is_not_its_own_neighbor(rows: np.ndarray) -> None:
    _, found = NeighborIndex(rows).search_itself(5)

    assert found.tolist() == plain_neighbors(rows, rows, 5, same_rows=True).tolist()


def test_more_rows_than_fit_one_block_are_all_answered() -> None:
    rows = unit_rows(np.random.default_rng(0).normal(size=(4100, 4)))

    _, found = NeighborIndex(rows[:50]).search(rows, 1)

    assert found[:, 0].tolist() == (rows @ rows[:50].T).argmax(axis=1).tolist()


def test_no_row_is_its_own_neighbor_where_all_rows_are_equal() -> None:
    rows = np.ones((30, 4), np.float32)

    _, found = NeighborIndex(rows).search_itself(5)

    assert found.shape == (30, 5)
    assert not (found == np.arange(30)[:, None]).any()


@pytest.mark.parametrize(
    ("queries", "base", "same_rows", "expected"),
    [
        (4, 3, False, (4, 3)),
        (3, 3, True, (3, 2)),
        (1, 1, True, (1, 0)),  # nobody else is there
        (1, 1, False, (1, 1)),
        (0, 0, True, (0, 0)),
        (0, 5, False, (0, 5)),
        (5, 0, False, (5, 0)),
    ],
)
def test_fewer_rows_than_asked_for_give_fewer_neighbors(
    queries: int, base: int, same_rows: bool, expected: tuple[int, int]
) -> None:
    index = NeighborIndex(np.ones((base, 4), np.float32))

    similarity, found = index.search_itself(10) if same_rows else index.search(np.ones((queries, 4), np.float32), 10)

    assert similarity.shape == found.shape == expected


def test_progress_is_told_after_each_block(rows: np.ndarray) -> None:
    told = []

    NeighborIndex(rows).search_itself(3, step="looking", progress=lambda *call: told.append(call))

    assert told == [("looking", 200, 200)]


def test_unit_rows_are_centred_and_of_length_one() -> None:
    vectors = np.array([[2, 0], [4, 0], [3, 3]], np.float32)

    rows = unit_rows(vectors)

    expected = np.array([[-1, -1], [1, -1], [0, 2]]) / np.array([[2**0.5], [2**0.5], [2]])
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert rows.dtype == np.float32


def test_unit_rows_keep_an_all_zero_row() -> None:
    rows = unit_rows(np.array([[0, 0], [3, 4]]), centered=False)

    np.testing.assert_allclose(rows, [[0, 0], [0.6, 0.8]], atol=1e-6)


def test_unit_rows_leave_the_vectors_of_the_caller_alone() -> None:
    vectors = np.array([[1, 2], [3, 4]], np.float32)

    unit_rows(vectors)

    assert vectors.tolist() == [[1, 2], [3, 4]]


def test_no_rows_stay_no_rows() -> None:
    assert unit_rows(np.empty((0, 8))).shape == (0, 8)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_an_error_that_names_its_row(bad: float) -> None:
    vectors = np.ones((5, 3), np.float32)
    vectors[2, 1] = vectors[4, 0] = bad

    with pytest.raises(ValueError, match=r"row 2 of the vectors"):
        unit_rows(vectors)


def test_a_single_vector_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"shape \(n, d\), got \(3,\)"):
        unit_rows(np.ones(3))


@pytest.fixture(scope="module")
def clustered() -> tuple[np.ndarray, np.ndarray]:
    """Return 6,000 rows in 60 clusters, and pairs of rows of which the second is a copy of the first."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 32))[rng.integers(0, 60, 6000)] + rng.normal(size=(6000, 32))
    pairs = rng.permutation(6000)[:600].reshape(-1, 2)
    rows[pairs[:, 1]] = rows[pairs[:, 0]] + 0.4 * rng.normal(size=(300, 32))
    return unit_rows(rows), pairs


def test_inverted_lists_find_nearly_every_close_neighbor(clustered: tuple[np.ndarray, np.ndarray]) -> None:
    rows, pairs = clustered

    _, found = NeighborIndex(rows, exact=False).search_itself(8)

    assert (found[pairs[:, 1]] == pairs[:, [0]]).any(axis=1).mean() >= 0.99
    assert not (found == np.arange(len(rows))[:, None]).any()


def test_inverted_lists_know_their_recall(clustered: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = clustered

    lists = InvertedLists(rows)

    assert lists.recall >= 0.99
    assert lists.probes < 2 ** round(np.log2(4 * np.sqrt(len(rows))))  # it does not look everywhere


def test_similarities_of_inverted_lists_are_exact(clustered: tuple[np.ndarray, np.ndarray]) -> None:
    rows, _ = clustered

    similarity, found = NeighborIndex(rows, exact=False).search(rows[:100], 5)

    np.testing.assert_allclose(similarity, np.einsum("qd,qkd->qk", rows[:100], rows[found]), atol=1e-5)
    assert (np.diff(similarity, axis=1) <= 0).all()


def test_what_inverted_lists_find_does_not_depend_on_the_other_queries(
    clustered: tuple[np.ndarray, np.ndarray],
) -> None:
    rows, _ = clustered
    index = NeighborIndex(rows, exact=False)

    together, apart = index.search(rows, 4), [index.search(rows[row : row + 1], 4) for row in range(0, 6000, 500)]

    for number, (similarity, _) in enumerate(apart):
        np.testing.assert_allclose(similarity[0], together[0][500 * number], atol=1e-4)


def test_neighbors_that_the_cells_do_not_hold_are_marked() -> None:
    rows = unit_rows(np.random.default_rng(0).normal(size=(64, 8)))

    similarity, found = NeighborIndex(rows, exact=False).search(rows[:3], 60)

    missing = found < 0
    assert missing.any()
    assert np.isneginf(similarity[missing]).all()
    assert np.isfinite(similarity[~missing]).all()
