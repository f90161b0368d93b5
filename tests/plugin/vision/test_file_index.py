from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from winnow.plugin.vision.file_index import FileIndex, stamp_of

LONG_AGO = time.time() - 3600


def settled(path: Path, content: bytes = b"content") -> str:
    """Write a file that looks an hour old; its change time stays young, so the clock is what tests move."""
    path.write_bytes(content)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return str(path)


@pytest.fixture(autouse=True)
def an_hour_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the index believe that the files were written long ago."""
    now = time.time_ns
    monkeypatch.setattr("winnow.plugin.vision.file_index.time.time_ns", lambda: now() + 3_600_000_000_000)


def remembered(folder: Path, *paths: str) -> Path:
    """Write an index of the files' real content, and return its path."""
    index = FileIndex(folder / "files.sqlite")
    for path in paths:
        index.remember(path, stamp_of(path), sha256(Path(path).read_bytes()).digest())
    index.close()
    return folder / "files.sqlite"


def lookup(index_path: Path, *paths: str) -> list[bytes | None]:
    index = FileIndex(index_path)
    found = index.lookup(paths, [stamp_of(path) for path in paths])
    index.close()
    return found


def test_an_unchanged_file_is_known_to_the_next_process(tmp_path: Path) -> None:
    path, other = settled(tmp_path / "a"), settled(tmp_path / "b")

    found = lookup(remembered(tmp_path, path), path, other)

    assert found == [sha256(b"content").digest(), None]


def test_more_files_than_one_statement_takes_are_found(tmp_path: Path) -> None:
    paths = [settled(tmp_path / str(number), str(number).encode()) for number in range(1201)]

    found = lookup(remembered(tmp_path, *paths), *paths)

    assert found == [sha256(str(number).encode()).digest() for number in range(1201)]


@pytest.mark.parametrize("keep_times", [True, False])
def test_an_edited_file_of_the_same_size_is_unknown(keep_times: bool, tmp_path: Path) -> None:
    path = settled(tmp_path / "a")
    index = remembered(tmp_path, path)

    Path(path).write_bytes(b"CONTENT")
    if keep_times:  # as `cp --preserve` and `rsync` do
        os.utime(path, (LONG_AGO, LONG_AGO))

    assert lookup(index, path) == [None]


def test_a_replaced_file_is_unknown(tmp_path: Path) -> None:
    path = settled(tmp_path / "a")
    index = remembered(tmp_path, path)

    os.replace(settled(tmp_path / "new"), path)

    assert lookup(index, path) == [None]


def test_a_file_that_is_gone_is_unknown(tmp_path: Path) -> None:
    path = settled(tmp_path / "a")
    index = remembered(tmp_path, path)
    Path(path).unlink()

    assert lookup(index, path) == [None]


def test_a_file_written_a_moment_ago_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    path = tmp_path / "a"
    path.write_bytes(b"content")

    assert lookup(remembered(tmp_path, str(path)), str(path)) == [None]


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(200)], ids=["text", "cut off"])
def test_a_damaged_index_starts_anew(content: bytes, tmp_path: Path) -> None:
    path = settled(tmp_path / "a")
    (tmp_path / "files.sqlite").write_bytes(content)

    index = remembered(tmp_path, path)

    assert lookup(index, path) == [sha256(b"content").digest()]


def test_an_index_of_another_version_starts_anew(tmp_path: Path) -> None:
    path = settled(tmp_path / "a")
    with sqlite3.connect(tmp_path / "files.sqlite") as connection:
        connection.execute("CREATE TABLE files (something)")
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    index = remembered(tmp_path, path)

    assert lookup(index, path) == [sha256(b"content").digest()]


def test_an_index_that_cannot_be_written_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    path = settled(tmp_path / "a")

    with caplog.at_level(logging.WARNING):
        index = FileIndex(tmp_path / "file" / "files.sqlite")
        index.remember(path, stamp_of(path), bytes(32))
        index.flush()
        found = index.lookup([path], [stamp_of(path)])
        index.close()

    assert found == [None]
    assert len(caplog.records) == 1


def test_two_processes_write_one_index(tmp_path: Path) -> None:
    script = """
import sys, time
from winnow.plugin.vision.file_index import FileIndex, stamp_of

real = time.time_ns
time.time_ns = lambda: real() + 3_600_000_000_000
index = FileIndex(__import__("pathlib").Path(sys.argv[1]))
for path in sys.argv[2:]:
    index.remember(path, stamp_of(path), bytes(32))
    index.flush()
index.close()
"""
    paths = [settled(tmp_path / str(number)) for number in range(60)]
    index = tmp_path / "files.sqlite"

    writers = [subprocess.Popen([sys.executable, "-c", script, str(index), *part]) for part in (paths[:40], paths[20:])]

    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert lookup(index, *paths) == [bytes(32)] * 60
