"""What a search found serves the next one: after new images, after deletions, and for leaks after duplicates."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from winnow.plugin.curation.evidence import Evidence
from winnow.plugin.curation.search import Search
from winnow.plugin.errors import JobCancelled
from winnow.plugin.progress import Progress, silent
from winnow.plugin.vision.cache_store import cache_parts, clear_cache, pairs_root
from winnow.plugin.workflows.duplicates import find_duplicates
from winnow.plugin.workflows.leaks import find_leaks
from winnow.plugin.workflows.pair_memory import Matched, PairMemory, RememberingVerifier

from .conftest import MakeDataset, tile, values_by_name

NO_PAIRS = np.empty((0, 2), np.int64)


class Steps:
    """Counts what a job does."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        self.totals[step] = total


@pytest.fixture(autouse=True)
def no_memory() -> None:
    shutil.rmtree(pairs_root(), ignore_errors=True)


def test_leaks_after_duplicates_cost_no_search(garments: MakeDataset) -> None:
    made, steps = garments("*/bag/*"), Steps()
    find_duplicates(made)

    found = find_leaks(made, progress=steps)

    assert found.summary()["by_splits"] == {"test in train": 1}
    assert not {"nearest embeddings", "making copies"} & set(steps.totals)


def test_a_search_that_goes_on_finds_what_a_new_one_finds(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    first = find_duplicates(made)

    again = find_duplicates(made)

    assert again.pairs.rows.tolist() == first.pairs.rows.tolist()
    assert again.pairs.score.tolist() == first.pairs.score.tolist()
    assert again.pairs.recall == first.pairs.recall


def test_a_look_at_a_few_images_leaves_what_is_known_of_all(garments: MakeDataset) -> None:
    made, steps = garments("*/bag/*"), Steps()
    find_duplicates(made)

    find_duplicates(made.match(fo.ViewField("split") == "train").limit(5))
    find_duplicates(made, progress=steps)

    assert "nearest embeddings" not in steps.totals


def test_new_images_are_compared_with_all_and_the_others_not_again(garments: MakeDataset, tmp_path: Path) -> None:
    made, steps = garments("*/*/*"), Steps()
    find_duplicates(made)
    tile("train", "bag", 3).save(tmp_path / "new.jpg", quality=70)
    made.add_sample(fo.Sample(filepath=str(tmp_path / "new.jpg"), split="test"))

    find_duplicates(made, progress=steps)

    assert steps.totals["nearest embeddings"] == 1
    assert "making copies" not in steps.totals
    groups = dict(zip(made.values("filepath"), made.values("duplicate_group"), strict=True))
    source = next(path for path in groups if path.endswith("train/bag/003.png"))
    assert groups[str(tmp_path / "new.jpg")] == groups[source] is not None


def test_deleted_images_are_forgotten(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    find_duplicates(made)
    made.delete_samples(made.match(fo.ViewField("filepath").ends_with("train/bag/000.png")))

    find_duplicates(made)

    assert values_by_name(made, "duplicate_group")["test/bag/copy.jpg"] is None


def test_an_image_that_changed_is_searched_anew(garments: MakeDataset, tmp_path: Path) -> None:
    made = garments("*/bag/*")
    path = tmp_path / "changing.png"
    tile("train", "sandal", 5).save(path)
    made.add_sample(fo.Sample(filepath=str(path), split="train"))
    find_duplicates(made)

    Image.open(made.match(fo.ViewField("filepath").ends_with("train/bag/004.png")).first().filepath).save(
        path, compress_level=1
    )
    find_duplicates(made)

    groups = dict(zip(made.values("filepath"), made.values("duplicate_group"), strict=True))
    assert groups[str(path)] is not None


def test_a_damaged_memory_costs_only_time(garments: MakeDataset) -> None:
    made = garments("*/bag/*")
    first = find_duplicates(made)
    (file,) = pairs_root().iterdir()
    file.write_bytes(file.read_bytes()[:1000])

    again = find_duplicates(made)

    assert again.pairs.score.tolist() == first.pairs.score.tolist()


def test_a_memory_that_cannot_be_written_is_a_warning(garments: MakeDataset, caplog: pytest.LogCaptureFixture) -> None:
    pairs_root().parent.mkdir(parents=True, exist_ok=True)
    pairs_root().write_bytes(b"")
    try:
        with caplog.at_level(logging.WARNING):
            report = find_duplicates(garments("*/bag/*"))
    finally:
        pairs_root().unlink()

    assert report.summary()["groups"] >= 1
    assert "the next search starts anew" in caplog.text


def test_the_cache_tells_and_clears_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path))
    evidence = Evidence(NO_PAIRS, np.empty((0, 5), np.float32))
    nothing = Search(np.zeros(4, np.float32), NO_PAIRS, np.empty(0, np.float32), evidence, None)
    PairMemory("dataset", "space").save(np.zeros((1, 32), np.uint8), None, nothing, Matched())

    told = [part.kind for part in cache_parts()]
    clear_cache()

    assert told == ["pairs"]
    assert cache_parts() == []


def test_keypoints_of_a_pair_are_compared_once() -> None:
    asked = []

    def verify(pairs: np.ndarray, progress: Progress) -> np.ndarray:
        asked.extend(map(tuple, pairs.tolist()))
        return pairs.astype(np.float32)

    verifier = RememberingVerifier(verify, Matched(), 9)
    first = verifier(np.array([[3, 4], [1, 2], [3, 4]]), silent)
    second = verifier(np.array([[1, 2], [5, 8]]), silent)

    assert sorted(asked) == [(1, 2), (3, 4), (5, 8)]
    assert first.tolist() == [[3, 4], [1, 2], [3, 4]]
    assert second.tolist() == [[1, 2], [5, 8]]


def test_a_search_that_is_stopped_among_keypoints_goes_on_from_there(
    tmp_path: Path, dataset: Callable[[], fo.Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.plugin.workflows.pair_memory._AT_ONCE", 8)
    monkeypatch.setattr("winnow.plugin.workflows.pair_memory._KEEP_SECONDS", 0.0)
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).resize((200, 200), Image.Resampling.NEAREST).save(tmp_path / f"{number}.png")
    made = dataset()
    made.add_samples([fo.Sample(filepath=str(path)) for path in sorted(tmp_path.glob("*.png"))])

    def stop(step: str, done: int, total: int) -> None:
        if step == "comparing keypoints" and done > 16:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        find_duplicates(made, progress=stop)
    steps = Steps()
    find_duplicates(made, progress=steps)
    whole = Steps()
    shutil.rmtree(pairs_root())
    find_duplicates(made, progress=whole)

    assert "nearest embeddings" not in steps.totals
    assert steps.totals["comparing keypoints"] <= whole.totals["comparing keypoints"] - 16
