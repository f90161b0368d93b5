"""Vectors are looked up without a network, of files that are as they were when they were embedded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.vision import file_index
from winnow.plugin.vision.cache import EmbeddingCache
from winnow.plugin.vision.cache_keys import content_key
from winnow.plugin.vision.cached_vectors import cached_directions
from winnow.plugin.vision.decoder import Decode
from winnow.plugin.vision.file_index import FileIndex, stamp_of
from winnow.plugin.vision.preprocessing import Input, Preprocessing

PREPROCESSING = Preprocessing(Decode(None), Input(64))
VECTORS = np.array([[3, 4], [0, 2], [0, 0], [1, 1]], np.float32)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return four files whose vectors are in the cache below `tmp_path`."""
    monkeypatch.setattr(file_index, "_SETTLED_NS", 0)
    cache = EmbeddingCache(tmp_path / f"arch-weights-{PREPROCESSING.hash()}", 2)
    index = FileIndex(tmp_path / "files.sqlite")
    made = []
    for number, vector in enumerate(VECTORS):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"%d" % number)
        digest = hashlib.sha256(b"%d" % number).digest()
        cache.put(digest, vector, np.zeros((32, 32), np.uint8))
        stamp = stamp_of(str(path))
        assert stamp is not None
        index.remember(str(path), stamp, digest)
        made.append(str(path))
    cache.flush()
    index.close()
    return made


def test_known_vectors_come_back_with_length_one(paths: list[str], tmp_path: Path) -> None:
    known, directions = cached_directions(paths[::-1], "weights", PREPROCESSING, root=tmp_path)

    assert known.all()
    np.testing.assert_allclose(directions[:3], [[0.5**0.5] * 2, [0, 0], [0, 1]], atol=1e-6)
    np.testing.assert_allclose(directions[3], [0.6, 0.8], atol=1e-6)


def test_files_that_changed_or_are_gone_are_not_known(paths: list[str], tmp_path: Path) -> None:
    Path(paths[0]).write_bytes(b"another")
    Path(paths[2]).unlink()

    known, directions = cached_directions(paths, "weights", PREPROCESSING, root=tmp_path)

    assert known.tolist() == [False, True, False, True]
    assert directions.shape == (2, 2)


@pytest.mark.parametrize("weights", ["others", "eights"])
def test_vectors_of_another_network_are_not_taken(paths: list[str], tmp_path: Path, weights: str) -> None:
    known, directions = cached_directions(paths, weights, PREPROCESSING, root=tmp_path)

    assert not known.any()
    assert len(directions) == 0


def test_boxes_have_vectors_of_their_own(paths: list[str], tmp_path: Path) -> None:
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 1, 1]])
    cache = EmbeddingCache(tmp_path / f"arch-weights-{PREPROCESSING.hash()}", 2)
    key = content_key(hashlib.sha256(b"0").digest(), boxes[0])
    cache.put(key, np.array([0, 5], np.float32), np.zeros((32, 32), np.uint8))
    cache.flush()

    known, directions = cached_directions(paths[:1] * 2, "weights", PREPROCESSING, root=tmp_path, boxes=boxes)

    assert known.tolist() == [True, False]
    assert directions.tolist() == [[0, 1]]


def test_no_files_have_no_vectors(tmp_path: Path) -> None:
    known, directions = cached_directions([], "weights", PREPROCESSING, root=tmp_path)

    assert len(known) == len(directions) == 0
