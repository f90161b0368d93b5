from __future__ import annotations

import faiss
import numpy as np
import pytest
import torch

from winnow.plugin.curation import neighbors, torch_search
from winnow.plugin.curation.neighbors import NeighborIndex, unit_rows
from winnow.plugin.curation.torch_search import search_on


@pytest.fixture
def rows() -> np.ndarray:
    """Make 500 rows in clusters, of which 20 copy others exactly."""
    rng = np.random.default_rng(0)
    rows = unit_rows(rng.normal(size=(10, 24))[rng.integers(0, 10, 500)] + rng.normal(size=(500, 24)))
    rows[200:220] = rows[:20]
    return rows


def by_faiss(base: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Return the similarities that FAISS finds."""
    index = faiss.IndexFlatIP(base.shape[1])
    index.add(base)
    return index.search(queries, k)[0]


@pytest.mark.parametrize("at_once", [(1000, 1000), (500, 100), (128, 33), (7, 500)])
def test_torch_on_the_cpu_finds_what_faiss_finds_in_blocks_of_any_size(
    rows: np.ndarray, at_once: tuple[int, int]
) -> None:
    similarity, found = search_on("cpu", rows, rows[:120], 9, at_once=at_once)

    np.testing.assert_allclose(similarity, by_faiss(rows, rows[:120], 9), atol=2e-5)
    np.testing.assert_allclose(similarity, np.einsum("qd,qkd->qk", rows[:120], rows[found]), atol=1e-6)


def test_which_rows_are_found_does_not_depend_on_the_blocks(rows: np.ndarray) -> None:
    whole = search_on("cpu", rows, rows, 12, at_once=(1000, 1000))[1]

    in_blocks = search_on("cpu", rows, rows, 12, at_once=(61, 77))[1]

    assert in_blocks.tolist() == whole.tolist()


def test_the_lower_of_equal_rows_comes_first() -> None:
    rows = np.ones((50, 4), np.float32) / 2
    rows[1] *= 1 - 1e-6  # equal for all we know

    found = search_on("cpu", rows, rows[:3], 5, at_once=(8, 2))[1]

    assert found.tolist() == [[0, 1, 2, 3, 4]] * 3


def test_rows_that_point_away_are_found_where_there_are_no_others() -> None:
    base = np.array([[-1, 0], [0, -1], [-0.6, -0.8]], np.float32)

    similarity, found = search_on("cpu", base, np.array([[0.6, 0.8]], np.float32), 3)

    assert found.tolist() == [[0, 1, 2]]
    np.testing.assert_allclose(similarity, [[-0.6, -0.8, -1]], atol=1e-6)


def test_queries_that_do_not_fit_are_halved(rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = search_on("cpu", rows, rows[:100], 4)[1]
    best_of, tried = torch_search._best_of, []

    def best_of_few(block: torch.Tensor, queries: torch.Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
        tried.append(len(queries))
        if len(queries) > 30:
            raise torch.OutOfMemoryError
        return best_of(block, queries, k)

    monkeypatch.setattr(torch_search, "_best_of", best_of_few)  # a GPU's memory cannot be had
    found = search_on("cpu", rows, rows[:100], 4, at_once=(300, 100))[1]

    assert found.tolist() == expected.tolist()
    assert tried == [100, 50, 25, 25, 25, 25, 25, 25, 25, 25]


def test_progress_ends_with_the_last_block(rows: np.ndarray) -> None:
    told: list[tuple[int, int]] = []

    search_on("cpu", rows, rows[:90], 3, lambda done, total: told.append((done, total)), at_once=(300, 40))

    assert told == [(40, 180), (80, 180), (90, 180), (130, 180), (170, 180), (180, 180)]


def test_where_there_is_a_gpu_a_large_index_is_exact_and_searched_there(
    rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = NeighborIndex(rows).search_itself(6)[0]  # few rows: by FAISS
    monkeypatch.setattr(neighbors, "_EXACT_UP_TO", 100)
    monkeypatch.setattr(torch_search, "find_gpu", lambda: "cpu")  # a GPU cannot be had
    monkeypatch.setattr(neighbors.faiss.IndexFlatIP, "search", lambda *given: pytest.fail("FAISS was asked"))

    similarity, found = NeighborIndex(rows).search_itself(6)

    assert not (found == np.arange(500)[:, None]).any()
    np.testing.assert_allclose(similarity, expected, atol=2e-5)


def test_few_rows_are_not_worth_looking_for_a_gpu(rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_search, "find_gpu", lambda: pytest.fail("torch takes seconds to import"))

    NeighborIndex(rows).search_itself(6)
