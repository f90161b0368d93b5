from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.neighbors import nearest_neighbors, unit_rows


def plain_neighbors(queries: np.ndarray, base: np.ndarray, k: int, same_rows: bool) -> np.ndarray:
    """Return what `nearest_neighbors` should find, by comparing every query with every row."""
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
    similarity, found = nearest_neighbors(rows[:70], rows[70:], 5)

    assert found.tolist() == plain_neighbors(rows[:70], rows[70:], 5, same_rows=False).tolist()
    np.testing.assert_allclose(similarity, np.einsum("qd,qkd->qk", rows[:70], rows[70:][found]), atol=1e-6)


def test_a_row_is_not_its_own_neighbor(rows: np.ndarray) -> None:
    _, found = nearest_neighbors(rows, rows, 5, same_rows=True)

    assert found.tolist() == plain_neighbors(rows, rows, 5, same_rows=True).tolist()


def test_more_rows_than_fit_one_block_are_all_answered() -> None:
    rows = unit_rows(np.random.default_rng(0).normal(size=(4100, 4)))

    _, found = nearest_neighbors(rows, rows[:50], 1)

    assert found[:, 0].tolist() == (rows @ rows[:50].T).argmax(axis=1).tolist()


def test_no_row_is_its_own_neighbor_where_all_rows_are_equal() -> None:
    rows = np.ones((30, 4), np.float32)

    _, found = nearest_neighbors(rows, rows, 5, same_rows=True)

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
    similarity, found = nearest_neighbors(
        np.ones((queries, 4), np.float32), np.ones((base, 4), np.float32), 10, same_rows=same_rows
    )

    assert similarity.shape == found.shape == expected


def test_progress_is_told_after_each_block(rows: np.ndarray) -> None:
    told = []

    nearest_neighbors(rows, rows, 3, step="looking", progress=lambda *call: told.append(call))

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

    with pytest.raises(ValueError, match=r"row 2 \(and 1 more\)"):
        unit_rows(vectors)


def test_a_single_vector_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"shape \(n, d\), got \(3,\)"):
        unit_rows(np.ones(3))
