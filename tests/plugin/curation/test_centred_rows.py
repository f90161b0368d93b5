from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.curation.centred_rows import CentredRows, rows_around
from winnow.plugin.curation.duplicates import find_duplicates
from winnow.plugin.curation.neighbors import unit_rows


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(1, 1, size=(60, 12)).astype(np.float32)


def on_disk(vectors: np.ndarray, folder: Path) -> np.ndarray:
    mapped = np.memmap(folder / "vectors", np.float32, "w+", shape=vectors.shape)
    mapped[:] = vectors
    return mapped


def test_rows_of_a_file_are_those_of_the_array(vectors: np.ndarray, tmp_path: Path) -> None:
    centre = vectors.mean(axis=0)
    some = np.array([[3, 7], [7, 59]])

    lazy = rows_around(on_disk(vectors, tmp_path), centre)

    assert isinstance(lazy, CentredRows)
    assert len(lazy) == 60
    np.testing.assert_array_equal(lazy[some.ravel()], rows_around(vectors, centre)[some.ravel()])
    np.testing.assert_array_equal(lazy[10:20], unit_rows(vectors - centre, centered=False)[10:20])


def test_the_same_pairs_are_found_on_disk(vectors: np.ndarray, tmp_path: Path) -> None:
    thumbnails = np.random.default_rng(1).integers(0, 256, (60, 32, 32), dtype=np.uint8)
    thumbnails[30:40], vectors[30:40] = thumbnails[:10], vectors[:10] + 0.01

    expected = find_duplicates(vectors, thumbnails)
    found = find_duplicates(on_disk(vectors, tmp_path), thumbnails)

    assert expected.flagged.sum() >= 10
    assert found.rows.tolist() == expected.rows.tolist()
    np.testing.assert_allclose(found.score, expected.score, atol=2e-4)
