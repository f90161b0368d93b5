from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.vision.cache_store import embeddings_root
from winnow.plugin.vision.scratch import rows_of, scratch_array


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path))


def test_an_array_lies_in_a_file_that_nobody_sees() -> None:
    made = scratch_array((5, 3))
    made[2] = 7

    assert isinstance(made, np.memmap)
    assert made.sum() == 21
    assert not list(embeddings_root().iterdir())


def test_rows_of_an_array_in_a_file_lie_in_a_file() -> None:
    made = scratch_array((5, 3))
    made[:] = np.arange(15).reshape(5, 3)

    taken = rows_of(made, np.array([4, 1]))

    assert isinstance(taken, np.memmap)
    assert taken.tolist() == [[12, 13, 14], [3, 4, 5]]
    assert type(rows_of(np.asarray(made), np.array([4, 1]))) is np.ndarray


def test_nothing_needs_no_file() -> None:
    assert scratch_array((0, 3)).shape == (0, 3)
