from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.vision.cache import EmbeddingCache

WIDTH = 3
WRITE = """
import os, signal, sys
from hashlib import sha256
from pathlib import Path
import numpy as np
from winnow.plugin.vision.cache import EmbeddingCache

cache = EmbeddingCache(Path(sys.argv[1]), 3)
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    vector = np.full((1, 3), number, np.float32)
    cache.put([sha256(str(number).encode()).digest()], vector, np.full((1, 32, 32), number % 256, np.uint8))
    if number % 5 == 4:
        cache.flush()
if sys.argv[4] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
cache.flush()
"""


def writer(folder: Path, first: int, end: int, at_the_end: str = "flush") -> subprocess.Popen[bytes]:
    """Start a process that caches the records `first` to `end` - 1 and flushes after every fifth."""
    return subprocess.Popen([sys.executable, "-c", WRITE, str(folder), str(first), str(end), at_the_end])


def key(number: int) -> bytes:
    return sha256(str(number).encode()).digest()


def put(cache: EmbeddingCache, *numbers: int) -> None:
    vectors = np.repeat(np.array(numbers, np.float32)[:, None], WIDTH, axis=1)
    thumbnails = np.stack([np.full((32, 32), number % 256, np.uint8) for number in numbers])
    cache.put([key(number) for number in numbers], vectors, thumbnails)


def known(folder: Path, numbers: range) -> list[int]:
    """Return which of the numbers a new process would find, having checked that each one has its own content."""
    cache = EmbeddingCache(folder, WIDTH)
    found = {number: cache.get(key(number)) for number in numbers}
    for number, record in found.items():
        if record is not None:
            np.testing.assert_array_equal(record[0], np.full(WIDTH, number, np.float32))
            np.testing.assert_array_equal(record[1], np.full((32, 32), number % 256, np.uint8))
    return [number for number, record in found.items() if record is not None]


def only_shard(folder: Path) -> Path:
    (shard,) = folder.glob("*.npy")
    return shard


def test_what_was_put_is_found_before_and_after_it_is_written(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    put(cache, 1, 2)

    before = cache.get(key(2))
    cache.flush()
    after = cache.get(key(2))

    assert before[0].tolist() == after[0].tolist() == [2, 2, 2]
    assert cache.get(key(3)) is None
    assert known(tmp_path, range(4)) == [1, 2]


def test_flushed_records_survive_a_kill(tmp_path: Path) -> None:
    process = writer(tmp_path, 0, 18, "die")

    assert process.wait(60) == -signal.SIGKILL
    assert known(tmp_path, range(18)) == list(range(15))


def test_a_half_written_shard_is_ignored(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    put(cache, 1)
    cache.flush()
    shard = only_shard(tmp_path)
    (tmp_path / "killed.tmp").write_bytes(shard.read_bytes()[:200])

    assert known(tmp_path, range(3)) == [1]


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    processes = [writer(tmp_path, first, first + 60) for first in (0, 40)]

    assert [process.wait(60) for process in processes] == [0, 0]
    assert known(tmp_path, range(100)) == list(range(100))


def test_reading_threads_do_not_notice_a_flush(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    put(cache, 0)
    latest, stop, failures = [0], threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            number = latest[0]
            try:
                if cache.get(key(number)) is None:
                    failures.append(f"{number} was not found")
            except Exception as error:
                failures.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(1, 30):
        put(cache, number)
        latest[0] = number
        cache.flush()
    stop.set()
    for reader in readers:
        reader.join()

    assert failures == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no shard",
        lambda content: content[:100],
        lambda content: content[:-10],
        lambda content: content.replace(b"}", b" ", 1),  # a header that numpy's tokenizer cannot finish
    ],
    ids=["empty", "text", "header cut", "records cut", "header unclosed"],
)
def test_a_damaged_shard_is_passed_over_with_a_warning(
    damage: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    put(cache, 1)
    cache.flush()
    shard = only_shard(tmp_path)
    put(cache, 2)
    cache.flush()
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(damage(content))

    with caplog.at_level(logging.WARNING):
        found = known(tmp_path, range(4))

    assert found == [2]
    assert shard.name in caplog.text


def test_a_damaged_record_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    put(cache, 1, 2, 3)
    cache.flush()
    shard = only_shard(tmp_path)
    content = bytearray(shard.read_bytes())
    content[content.index(np.float32(2).tobytes() * WIDTH)] ^= 1
    shard.unlink()
    shard.write_bytes(content)

    with caplog.at_level(logging.WARNING):
        found = known(tmp_path, range(5))

    assert found == [1, 3]
    assert "damaged record" in caplog.text


def test_a_damaged_record_can_be_put_again(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    put(cache, 1)
    cache.flush()
    shard = only_shard(tmp_path)
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.unlink()
    shard.write_bytes(content)
    second = EmbeddingCache(tmp_path, WIDTH)
    assert second.get(key(1)) is None

    put(second, 1)

    assert second.get(key(1))[0].tolist() == [1, 1, 1]


def test_a_shard_of_another_version_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = EmbeddingCache(tmp_path, WIDTH + 1)
    other.put([key(1)], np.ones((1, WIDTH + 1), np.float32), np.zeros((1, 32, 32), np.uint8))
    other.flush()

    with caplog.at_level(logging.WARNING):
        found = known(tmp_path, range(3))

    assert found == []
    assert "another version" in caplog.text


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    cache = EmbeddingCache(tmp_path / "file", WIDTH)

    with caplog.at_level(logging.WARNING):
        for number in range(3):
            put(cache, number)
            cache.flush()

    assert [cache.get(key(number))[0][0] for number in range(3)] == [0, 1, 2]
    assert len(caplog.records) == 1


def test_flushing_nothing_writes_nothing(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path / "space", WIDTH).flush()

    assert not (tmp_path / "space").exists()
