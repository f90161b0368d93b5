"""Downloaded images on disk: bounded, whole, and no older than asked for."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from winnow.plugin.labeling.image_cache import ImageCache


def kept(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_image_is_found_again_also_by_another_process(tmp_path: Path) -> None:
    ImageCache(tmp_path, 1000).put("/data/upload/1/a.png", b"image")

    assert ImageCache(tmp_path, 1000).get("/data/upload/1/a.png") == b"image"
    assert ImageCache(tmp_path, 1000).get("/data/upload/1/b.png") is None


def test_folder_never_holds_more_than_its_limit(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 1000)

    sizes = []
    for number in range(50):
        cache.put(str(number), bytes(90))
        sizes.append(kept(tmp_path))

    assert max(sizes) <= 1000
    assert sizes[-1] > 500
    assert cache.get("49") is not None


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 1000)
    for number in range(10):
        cache.put(str(number), bytes(90))
        os.utime(
            next(path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_atime > 1e9), (number, 1)
        )
    assert cache.get("0") is not None

    cache.put("new", bytes(200))

    assert cache.get("0") is not None
    assert cache.get("1") is None


def test_image_that_may_have_been_replaced_is_asked_for_again(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 1000)
    cache.put("s3://bucket/a.png", b"old")
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    os.utime(file, (time.time(), time.time() - 100))

    assert cache.get("s3://bucket/a.png", max_age=99) is None
    assert cache.get("s3://bucket/a.png", max_age=200) == b"old"


def test_use_does_not_make_an_image_younger(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 1000)
    cache.put("a", b"old")
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    os.utime(file, (time.time(), time.time() - 100))
    cache.get("a")

    assert cache.get("a", max_age=99) is None


def test_image_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    ImageCache(tmp_path / "cache", 10).put("a", bytes(11))

    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("key", ["../../etc/passwd", "a" * 5000, "\0", "\ud800"])
def test_key_is_no_path(tmp_path: Path, key: str) -> None:
    cache = ImageCache(tmp_path / "cache", 1000)

    cache.put(key, b"image")

    assert cache.get(key) == b"image"
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    cache = ImageCache(tmp_path / "cache", 1000)

    cache.put("a", b"image")

    assert cache.get("a") is None


def test_readers_never_see_half_an_image_while_it_is_written_and_thrown_out(tmp_path: Path) -> None:
    caches = [ImageCache(tmp_path, 200_000) for _ in range(2)]

    def use(number: int) -> bytes | None:
        cache, key = caches[number % 2], str(number % 7)
        cache.put(key, key.encode() * 50_000)
        return cache.get(key)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(use, range(100)))

    assert all(data is None or data == str(number % 7).encode() * 50_000 for number, data in enumerate(found))
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
