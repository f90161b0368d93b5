from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.cluster.store import Store, fetch_missing
from winnow.plugin.cluster.worker import Embedder, Task, batches_of
from winnow.plugin.vision.backbones import Backbone
from winnow.plugin.vision.cache_keys import content_key
from winnow.plugin.vision.cache_store import embeddings_root
from winnow.plugin.vision.embeddings import embed_images
from winnow.plugin.vision.file_index import stamp_of
from winnow.plugin.vision.preprocessing import Preprocessing


@pytest.fixture
def task(backbone: Backbone, preprocessing: Preprocessing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setenv("WINNOW_CORES", "1")  # which a worker sets for its process
    return Task(backbone, preprocessing, "float32", str(tmp_path / "store"), batch_size=4, cores=1)


@pytest.mark.parametrize("with_boxes", [False, True])
def test_vectors_of_a_batch_lie_in_the_store(
    with_boxes: bool, task: Task, image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = image_folder("a.png", "b.png", "c.png")
    (folder / "b.png").write_bytes(b"no image")
    paths = np.array([str(folder / name) for name in ("a.png", "b.png", "c.png")], object)
    boxes = np.array([(0, 0, 0.5, 0.5)] * 3) if with_boxes else None
    (batch,) = batches_of(np.array([0, 1, 2]), paths, boxes, 8)

    said = Embedder(task)(batch)

    keys = [content_key(said["digest"][row].tobytes(), None if boxes is None else boxes[row]) for row in (0, 2)]
    wanted = np.frombuffer(b"".join(keys), np.uint8).reshape(2, 32)
    fetch_missing(Store(task.store), task.space, embeddings_root() / task.space, wanted)
    found = embed_images(paths, paths, task.backbone, task.preprocessing, boxes=boxes)
    assert (found.computed, len(found.ids)) == (0, 2)
    assert [bool(reason) for reason in said["reason"]] == [False, True, False]
    assert said["stamp"][0].tobytes() == stamp_of(paths[0])
    assert (said["seconds"] > 0).all()


def test_a_worker_without_room_fails_instead_of_losing_vectors(
    task: Task, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> Path:
        raise OSError("no space left on device")

    monkeypatch.setattr("winnow.plugin.vision.cache.write_shard", full)
    (batch,) = batches_of(np.array([0]), np.array([str(image_folder("a.png") / "a.png")], object), None, 8)

    with pytest.raises(OSError, match="no space for vectors"):
        Embedder(task)(batch)
