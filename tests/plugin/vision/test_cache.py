from __future__ import annotations

import logging
import os
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
    vector, thumbnail = np.full(3, number, np.float32), np.full((32, 32), number % 256, np.uint8)
    cache.put(sha256(str(number).encode()).digest(), vector, thumbnail)
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
    for number in numbers:
        vector, thumbnail = np.full(WIDTH, number, np.float32), np.full((32, 32), number % 256, np.uint8)
        cache.put(key(number), vector, thumbnail)


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
    (shard,) = folder.glob("*.safetensors")
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

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 12):
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
        lambda content: content.replace(b"}", b" ", 1),
        lambda content: content.replace(b"keys", b"kays", 1),
    ],
    ids=["empty", "text", "header cut", "records cut", "header unclosed", "key missing"],
)
def test_a_damaged_shard_is_removed_with_a_warning(
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
    assert not shard.exists()


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
    assert "damaged row" in caplog.text


def test_a_damaged_record_can_be_put_again(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    put(cache, 1)
    cache.flush()
    shard = only_shard(tmp_path)
    content = bytearray(shard.read_bytes())
    content[content.index(np.float32(1).tobytes() * WIDTH)] ^= 1
    shard.unlink()
    shard.write_bytes(content)
    second = EmbeddingCache(tmp_path, WIDTH)
    assert second.get(key(1)) is None

    put(second, 1)

    assert second.get(key(1))[0].tolist() == [1, 1, 1]


def test_a_row_that_was_put_again_counts_instead_of_the_damaged_one(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    put(cache, 1)
    cache.flush()
    cache.put(key(1), np.full(WIDTH, 7, np.float32), np.zeros((32, 32), np.uint8))
    cache.flush()

    assert EmbeddingCache(tmp_path, WIDTH).get(key(1))[0].tolist() == [7, 7, 7]


def test_many_keys_are_looked_up_at_once_in_their_order(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    for start in range(0, 60, 20):  # three shards
        put(cache, *range(start, start + 20))
        cache.flush()
    wanted = [59, 1000, 3, 41, 3, 2000, 20]

    found, vectors, thumbnails = cache.get_many(np.stack([np.frombuffer(key(number), np.uint8) for number in wanted]))

    assert found.tolist() == [True, False, True, True, True, False, True]
    assert vectors[:, 0].tolist() == thumbnails[:, 0, 0].tolist() == [59, 3, 41, 3, 20]


def test_keys_that_share_their_first_bytes_are_told_apart(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    cache.put(b"\1" * 32, np.full(WIDTH, 5, np.float32), np.zeros((32, 32), np.uint8))
    cache.flush()

    assert cache.get(b"\1" * 31 + b"\2") is None


def test_half_precision_gives_the_same_rounded_vector_before_and_after_writing(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH, "float16")
    vector = np.array([1 / 3, 100.123, -1e-3], np.float32)
    thumbnail = np.zeros((32, 32), np.uint8)

    stored = cache.put(key(1), vector, thumbnail)
    cache.flush()
    again = EmbeddingCache(tmp_path, WIDTH, "float16").get(key(1))[0]

    np.testing.assert_array_equal(stored, again)
    np.testing.assert_allclose(stored, vector, rtol=1e-3)
    assert (stored != vector).any()


def test_a_shard_is_marked_as_used_when_it_was(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH)
    put(cache, 1)
    cache.flush()
    put(cache, 2)
    cache.flush()
    first, second = sorted(tmp_path.glob("*.safetensors"))
    for shard in (first, second):
        os.utime(shard, (1, 1))

    reader = EmbeddingCache(tmp_path, WIDTH)
    reader.get(key(2))
    reader.flush()

    assert first.stat().st_mtime == 1
    assert second.stat().st_mtime > 1


def test_a_shard_of_another_version_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = EmbeddingCache(tmp_path, WIDTH + 1)
    other.put(key(1), np.ones(WIDTH + 1, np.float32), np.zeros((32, 32), np.uint8))
    other.flush()

    with caplog.at_level(logging.WARNING):
        found = known(tmp_path, range(3))

    assert found == []
    assert "another version" in caplog.text


def test_a_space_without_thumbnails_keeps_none(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, WIDTH, thumbnails=False)
    cache.put(key(1), np.ones(WIDTH, np.float32), np.zeros((0, 0), np.uint8))
    cache.flush()

    vector, thumbnail = EmbeddingCache(tmp_path, WIDTH, thumbnails=False).get(key(1))

    assert (vector.tolist(), thumbnail.shape) == ([1, 1, 1], (0, 0))
    assert only_shard(tmp_path).stat().st_size < 32 * 32  # of one thumbnail
    assert EmbeddingCache(tmp_path, WIDTH).get(key(1)) is None


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    cache = EmbeddingCache(tmp_path / "file", WIDTH)

    with caplog.at_level(logging.WARNING):
        for number in range(3):
            put(cache, number)
            cache.flush()

    assert len(caplog.records) == 1


def test_a_full_disk_leaves_what_is_there_and_no_half_shard(tmp_path: Path) -> None:
    full = """
import resource, sys
from pathlib import Path
import numpy as np
from winnow.plugin.vision.cache import EmbeddingCache

cache = EmbeddingCache(Path(sys.argv[1]), 3)
cache.put(bytes(32), np.ones(3, np.float32), np.zeros((32, 32), np.uint8))
cache.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))  # the kernel refuses to write more, as a full disk does
for number in range(1, 9):
    cache.put(bytes([number]) * 32, np.ones(3, np.float32), np.zeros((32, 32), np.uint8))
cache.flush()
"""
    done = subprocess.run([sys.executable, "-c", full, str(tmp_path)], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "not cached" in done.stderr
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    assert EmbeddingCache(tmp_path, WIDTH).get(bytes(32)) is not None


def test_flushing_nothing_writes_nothing(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path / "space", WIDTH).flush()

    assert not (tmp_path / "space").exists()
