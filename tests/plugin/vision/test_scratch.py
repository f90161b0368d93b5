from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from winnow.plugin.errors import DataError
from winnow.plugin.vision.cache_store import embeddings_root
from winnow.plugin.vision.scratch import belongs_on_disk, rows_of, scratch_array


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


def test_a_disk_without_room_is_told_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(DataError, match=r"no room for 0\.1 GB .*No space left.*WINNOW_HOME"):
        scratch_array((10_000, 2_000))


@pytest.mark.parametrize(
    ("rows", "free", "on_disk"), [(1_000_000, 16e9, True), (1_000_000, 15e9, False), (1_000, 1e12, False)]
)
def test_what_is_large_belongs_on_a_disk_that_has_room(
    monkeypatch: pytest.MonkeyPatch, rows: int, free: float, on_disk: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    assert belongs_on_disk((rows, 1_280)) == on_disk
