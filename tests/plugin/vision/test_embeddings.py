from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from winnow.plugin.errors import JobCancelled
from winnow.plugin.vision.backbones import Backbone, load_backbone
from winnow.plugin.vision.decoder import decode
from winnow.plugin.vision.embeddings import Embeddings, embed_images
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.vision.thumbnails import thumbnail
from winnow.plugin.vision.torch_engine import TorchEngine

N = 12
Embed = Callable[..., Embeddings]


@pytest.fixture
def paths(image_folder: Callable[..., Path]) -> list[str]:
    """Return twelve different images."""
    folder = image_folder(*(f"{number}.png" for number in range(N)))
    return [str(folder / f"{number}.png") for number in range(N)]


@pytest.fixture
def embed(tiny_vit: Backbone, random_weights: Callable[[str], Path], tmp_path: Path) -> Embed:
    """Return `embed_images` by the tiny backbone, with ids "0", "1", ... unless given; the cache starts empty."""
    preprocessing = Preprocessing(input=tiny_vit.input)
    run = partial(embed_images, backbone=tiny_vit, preprocessing=preprocessing, cache_root=tmp_path / "cache")

    def call(paths: list[str], ids: list[str] | None = None, **settings: object) -> Embeddings:
        return run(ids or [str(number) for number in range(len(paths))], paths, **settings)

    call.weights = random_weights("test_vit")
    return call


def test_each_image_has_its_row(embed: Embed, paths: list[str], tiny_vit: Backbone) -> None:
    found = embed(paths)

    assert found.ids.tolist() == [str(number) for number in range(N)]
    assert (found.vectors.shape, found.vectors.dtype) == ((N, tiny_vit.width), np.float32)
    assert found.vectors.std(axis=0).min() > 1e-3
    assert (found.failures, found.computed) == ((), N)


@pytest.fixture
def by_processes(tiny_vit: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a process read, for an engine beside which processes may."""
    engine = TorchEngine(tiny_vit.network, tiny_vit.input, "cpu")
    monkeypatch.setattr("winnow.plugin.vision.embeddings.engine_of", lambda *_: engine)
    monkeypatch.setenv("WINNOW_READERS", "1")


def test_processes_recognize_what_is_known_under_another_name(
    by_processes: None, embed: Embed, paths: list[str], tmp_path: Path
) -> None:
    first = embed(paths)
    moved = [str(Path(path).rename(tmp_path / f"moved {number}.png")) for number, path in enumerate(paths)]
    Path(moved[3]).write_bytes(b"no image")

    again = embed(moved)

    assert (first.computed, again.computed) == (N, 0)
    assert [failure.id for failure in again.failures] == ["3"]
    for name in ("vectors", "thumbnails", "digests"):
        np.testing.assert_array_equal(getattr(again, name), np.delete(getattr(first, name), 3, axis=0))


def test_processes_read_boxes_as_threads_do(
    by_processes: None, embed: Embed, paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.uniform(0, 0.5, (N, 2)), rng.uniform(0.1, 0.5, (N, 2))], axis=1)
    twice = [paths[number // 2] for number in range(N)]
    found = embed(twice, boxes=boxes)

    monkeypatch.setenv("WINNOW_READERS", "threads")
    expected = embed(twice, boxes=boxes, cache_root=tmp_path / "another cache")

    assert found.computed == expected.computed == N
    np.testing.assert_array_equal(found.thumbnails, expected.thumbnails)
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-5)


def test_thumbnails_come_along(embed: Embed, paths: list[str]) -> None:
    found = embed(paths[:2])

    for row, path in enumerate(paths[:2]):
        np.testing.assert_array_equal(found.thumbnails[row], thumbnail(decode(path)))


def test_no_images_give_no_rows(embed: Embed, tiny_vit: Backbone) -> None:
    assert embed([]).vectors.shape == (0, tiny_vit.width)


def test_unreadable_images_cost_only_themselves(embed: Embed, paths: list[str], tmp_path: Path) -> None:
    bad = [1, 6, 11]  # one in every batch of four
    clean = embed([path for row, path in enumerate(paths) if row not in bad], cache_root=tmp_path / "other")
    Path(paths[1]).write_bytes(b"no image")
    Path(paths[6]).write_bytes(Path(paths[6]).read_bytes()[:60])
    Path(paths[11]).unlink()

    found = embed(paths, batch_size=4)

    assert [(failure.id, failure.path) for failure in found.failures] == [(str(row), paths[row]) for row in bad]
    assert all(failure.reason for failure in found.failures)
    assert found.ids.tolist() == [str(row) for row in range(N) if row not in bad]
    np.testing.assert_allclose(found.vectors, clean.vectors, atol=1e-4)


def test_nothing_but_unreadable_images_gives_no_rows(embed: Embed, tmp_path: Path, tiny_vit: Backbone) -> None:
    found = embed([str(tmp_path / "gone.png")] * 3)

    assert found.vectors.shape == (0, tiny_vit.width)
    assert [failure.reason for failure in found.failures] == ["no such file"] * 3


def test_the_second_run_computes_nothing(embed: Embed, paths: list[str]) -> None:
    first = embed(paths)

    second = embed(paths)

    assert second.computed == 0
    np.testing.assert_array_equal(second.vectors, first.vectors)
    np.testing.assert_array_equal(second.thumbnails, first.thumbnails)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the index of files believe that everything was written long ago."""
    now = time.time_ns
    monkeypatch.setattr("winnow.plugin.vision.file_index.time.time_ns", lambda: now() + 3_600_000_000_000)


def test_unchanged_files_are_not_read_again(
    embed: Embed, paths: list[str], settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embed(paths)
    read: list[str] = []
    monkeypatch.setattr("winnow.plugin.vision.content_reader.read_file", lambda path: read.append(path))

    second = embed(paths)

    assert read == []
    assert second.computed == 0
    np.testing.assert_array_equal(second.vectors, first.vectors)


def test_verifying_reads_files_whose_stamp_is_as_it_was(
    embed: Embed, paths: list[str], settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.plugin.vision.embeddings.stamp_of", lambda path: bytes(40))
    monkeypatch.setattr("winnow.plugin.vision.content_reader.stamp_of", lambda path: bytes(40))
    embed(paths)
    Path(paths[2]).write_bytes(Path(paths[3]).read_bytes())

    unaware, aware = embed(paths), embed(paths, verify=True)

    assert (unaware.vectors[2] != aware.vectors[2]).any()
    np.testing.assert_array_equal(aware.vectors[2], aware.vectors[3])


def test_files_among_unchanged_ones_are_computed(embed: Embed, paths: list[str], settled: None, tmp_path: Path) -> None:
    whole = embed(paths, cache_root=tmp_path / "other")
    embed(paths[::2])
    Path(paths[4]).write_bytes(b"no image")

    found = embed(paths)

    assert found.computed == N // 2
    assert [failure.id for failure in found.failures] == ["4"]
    np.testing.assert_allclose(found.vectors, np.delete(whole.vectors, 4, axis=0), atol=1e-4)
    np.testing.assert_array_equal(found.thumbnails, np.delete(whole.thumbnails, 4, axis=0))


def test_vectors_kept_in_half_precision_are_the_same_in_every_run(embed: Embed, paths: list[str]) -> None:
    exact = embed(paths)

    first, second = embed(paths, storage="float16"), embed(paths, storage="float16")

    assert (first.computed, second.computed) == (N, 0)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    np.testing.assert_allclose(first.vectors, exact.vectors, rtol=2e-3, atol=2e-3)


def test_thumbnails_that_nobody_wants_are_not_held(embed: Embed, paths: list[str]) -> None:
    without = embed(paths, thumbnails=False)

    assert without.thumbnails.shape == (0, 32, 32)
    np.testing.assert_array_equal(embed(paths).thumbnails[0], thumbnail(decode(paths[0])))


@pytest.mark.parametrize("readers", ["threads", "1"])
def test_a_backbone_without_thumbnails_has_none_made(
    readers: str, embed: Embed, tiny_vit: Backbone, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_READERS", readers)
    engine = TorchEngine(tiny_vit.network, tiny_vit.input, "cpu")
    without = replace(tiny_vit, weights_hash="outputs", thumbnails=False)
    expected = embed(paths, engine=engine)
    monkeypatch.setattr("winnow.plugin.vision.content_reader.thumbnail", None)  # whoever calls it fails

    first, second = (embed(paths, backbone=without, thumbnails=False, engine=engine) for _ in range(2))

    assert (first.computed, second.computed) == (N, 0)
    np.testing.assert_array_equal(second.vectors, expected.vectors)
    with pytest.raises(ValueError, match="no thumbnails are kept"):
        embed(paths, backbone=without)


def test_a_killed_run_leaves_what_it_had_written_and_the_next_one_goes_on(
    embed: Embed, paths: list[str], tmp_path: Path
) -> None:
    script = """
import os, signal, sys
from pathlib import Path
import winnow.plugin.vision.cache as cache
from winnow.plugin.vision.backbones import load_backbone
from winnow.plugin.vision.embeddings import embed_images
from winnow.plugin.vision.preprocessing import Preprocessing

cache._FLUSH_ROWS = 4

def die(step, done, total):
    if done >= 8:
        os.kill(os.getpid(), signal.SIGKILL)

backbone = load_backbone("test_vit", Path(sys.argv[2]))
paths = sys.argv[3:]
embed_images(paths, paths, backbone, Preprocessing(input=backbone.input), batch_size=4, cache_root=Path(sys.argv[1]),
             progress=die)
"""
    clean = embed(paths, cache_root=tmp_path / "other")
    weights = embed.weights
    command = [sys.executable, "-c", script, str(tmp_path / "cache"), str(weights), *paths]

    killed = subprocess.run(command, timeout=120).returncode
    found = embed(paths)

    assert killed == -signal.SIGKILL
    assert found.computed == N - 8
    np.testing.assert_allclose(found.vectors, clean.vectors, atol=1e-4)


def test_renamed_images_are_known(embed: Embed, paths: list[str]) -> None:
    first = embed(paths)
    renamed = [str(Path(path).rename(Path(path).with_name(f"moved-{Path(path).name}"))) for path in paths]

    second = embed(renamed)

    assert second.computed == 0
    np.testing.assert_array_equal(second.vectors, first.vectors)


def test_an_edited_image_is_computed_again(embed: Embed, paths: list[str]) -> None:
    first = embed(paths)
    with Image.open(paths[3]) as image:
        image.transpose(Image.Transpose.ROTATE_180).save(paths[3])

    second = embed(paths)

    assert second.computed == 1
    changed = np.flatnonzero(np.abs(second.vectors - first.vectors).max(axis=1) > 1e-3)
    assert changed.tolist() == [3]


def test_another_preprocessing_has_vectors_of_its_own(embed: Embed, paths: list[str], tiny_vit: Backbone) -> None:
    embed(paths)
    darker = Preprocessing(input=replace(tiny_vit.input, mean=(0.9, 0.9, 0.9)))

    second = embed(paths, preprocessing=darker)

    assert second.computed == N


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_vectors_depend_on_neither_order_nor_batch_size(
    batch_size: int, embed: Embed, paths: list[str], tmp_path: Path
) -> None:
    first = embed(paths)
    order = np.random.default_rng(0).permutation(N)

    second = embed(
        [paths[row] for row in order],
        [str(row) for row in order],
        batch_size=batch_size,
        cache_root=tmp_path / "other",
    )

    assert second.computed == N
    assert second.ids.tolist() == [str(row) for row in order]
    np.testing.assert_allclose(second.vectors, first.vectors[order], atol=1e-4)


def test_a_cancelled_run_keeps_what_it_computed(embed: Embed, paths: list[str]) -> None:
    def cancel_after_the_second_batch(step: str, done: int, total: int) -> None:
        if done >= 8:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        embed(paths, batch_size=4, progress=cancel_after_the_second_batch)

    assert embed(paths).computed == N - 8


def test_progress_is_told_every_batch_and_at_the_end(embed: Embed, paths: list[str]) -> None:
    told: list[tuple[str, int, int]] = []

    embed(paths, batch_size=4, progress=lambda *call: told.append(call))

    assert {(step, total) for step, _, total in told} == {("embeddings", N)}
    done = [count for _, count, _ in told]
    assert done == sorted(done)
    assert done[-1] == N
    assert len(done) >= N / 4


def test_a_cache_that_cannot_be_written_costs_only_the_caching(
    embed: Embed, paths: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    with caplog.at_level(logging.WARNING):
        found = embed(paths, cache_root=tmp_path / "file")

    assert len(found.vectors) == N
    assert [record.getMessage() for record in caplog.records if "not cached" in record.getMessage()]


def test_an_image_without_a_finite_vector_is_a_failure_and_is_not_cached(
    paths: list[str], random_weights: Callable[[str], Path], tmp_path: Path
) -> None:
    weights = load_file(random_weights("test_vit"))
    weights["norm.bias"] = torch.full_like(weights["norm.bias"], float("nan"))
    save_file(weights, tmp_path / "broken.safetensors")
    backbone = load_backbone("test_vit", tmp_path / "broken.safetensors")

    for _ in range(2):
        found = embed_images(
            paths, paths, backbone, Preprocessing(input=backbone.input), cache_root=tmp_path / "nothing"
        )

        assert len(found.ids) == found.computed == 0
        assert {failure.reason for failure in found.failures} == {
            "the backbone gives NaN or infinity for it, though it can be decoded"
        }
