from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.errors import DataError
from winnow.plugin.vision.cache import EmbeddingCache
from winnow.plugin.vision.cache_store import cache_limit, cache_parts, clear_cache, embeddings_root, prune_cache


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path))
    return tmp_path


def space(name: str, *ages: float) -> list[Path]:
    """Write one shard of a space for each age in seconds, and return them."""
    folder = embeddings_root() / name
    cache = EmbeddingCache(folder, 4)
    shards: list[Path] = []
    for number, age in enumerate(ages):
        cache.put(bytes([number]) * 32, np.zeros(4, np.float32), np.zeros((32, 32), np.uint8))
        cache.flush()
        (shard,) = set(folder.iterdir()) - set(shards)
        os.utime(shard, (time.time() - age,) * 2)
        shards.append(shard)
    return shards


def test_an_empty_cache_has_no_parts() -> None:
    assert cache_parts() == []
    assert prune_cache(0) == clear_cache() == 0


def test_parts_tell_their_size_and_the_last_used_comes_first() -> None:
    old, new = space("old", 7200), space("new", 7200, 60)

    parts = cache_parts()

    assert [(part.name, part.files) for part in parts] == [("new", 2), ("old", 1)]
    assert [part.bytes for part in parts] == [sum(path.stat().st_size for path in paths) for paths in (new, old)]


def test_what_was_used_least_recently_goes_first() -> None:
    shards = space("a", 9000, 7200) + space("b", 8000, 60)
    size = shards[0].stat().st_size

    freed = prune_cache(2 * size)

    assert freed == 2 * size
    assert [path.exists() for path in shards] == [False, True, False, True]


def test_nothing_goes_below_the_limit() -> None:
    shards = space("a", 9000, 7200)

    assert prune_cache(10**9) == 0
    assert all(path.exists() for path in shards)


def test_what_is_in_use_stays_on_request() -> None:
    shards = space("a", 9000, 60)

    prune_cache(0, keep_in_use=True)

    assert [path.exists() for path in shards] == [False, True]


def test_files_of_killed_writers_go_but_not_those_of_living_ones() -> None:
    (shard,) = space("a", 60)
    abandoned, fresh = shard.with_name("abandoned.tmp"), shard.with_name("fresh.tmp")
    for path in (abandoned, fresh):
        path.write_bytes(b"half")
    os.utime(abandoned, (time.time() - 86_400,) * 2)

    assert prune_cache(10**9) == 4
    assert (abandoned.exists(), fresh.exists(), shard.exists()) == (False, True, True)


def test_clearing_leaves_nothing(home: Path) -> None:
    space("a", 60)

    assert clear_cache() > 0
    assert not list((home / "cache").rglob("*.safetensors"))


def test_the_limit_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_CACHE_LIMIT_GB", "1.5")

    assert cache_limit() == 1_500_000_000


@pytest.mark.parametrize("text", ["much", "-1", "nan"])
def test_a_limit_that_is_no_size_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_CACHE_LIMIT_GB", text)

    with pytest.raises(DataError, match=f"WINNOW_CACHE_LIMIT_GB.*'{text}'"):
        cache_limit()
