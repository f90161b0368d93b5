from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from winnow.plugin.errors import JobCancelled
from winnow.plugin.vision import matching
from winnow.plugin.vision.matching import features_of_files, match_images
from winnow.plugin.vision.preprocessing import Preprocessing

from .photos import photo

NAMES = ("astronaut", "coffee", "grass", "camera")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return four photos and their copies turned by 20 degrees, in pairs."""
    folder = tmp_path_factory.mktemp("photos")
    files = []
    for name in NAMES:
        for angle in (0, 20):
            files.append(str(folder / f"{name}-{angle}.png"))
            photo(name).resize((400, 300)).rotate(angle, Image.Resampling.BICUBIC).save(files[-1])
    return files


def every_pair(n: int) -> np.ndarray:
    return np.stack(np.triu_indices(n, 1), axis=1)


def test_copies_match_and_others_do_not(paths: list[str]) -> None:
    pairs = every_pair(len(paths))

    found = match_images(pairs, features_of_files(paths, Preprocessing()))

    copies = (pairs[:, 0] // 2) == (pairs[:, 1] // 2)
    assert (found.shape, found.dtype) == ((len(pairs), 2), np.float32)
    assert ((found[:, 0] >= 12) & (found[:, 1] >= 0.5)).tolist() == copies.tolist()


@pytest.mark.parametrize("threads", [1, 4])
def test_result_does_not_depend_on_order_threads_or_what_is_held(
    paths: list[str], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = every_pair(len(paths))
    features = features_of_files(paths, Preprocessing())
    once = match_images(pairs, features)
    order = np.random.default_rng(0).permutation(len(pairs))
    monkeypatch.setattr(matching, "available_cores", lambda: threads)
    monkeypatch.setattr(matching, "_AT_ONCE", 3)
    monkeypatch.setattr(matching, "_HELD", 2)

    again = match_images(pairs[order][:, ::-1], features)

    assert again.tolist() == once[order].tolist()


def test_each_image_is_read_once(paths: list[str]) -> None:
    read: list[int] = []
    features = features_of_files(paths, Preprocessing())

    def counted(number: int) -> matching.LocalFeatures | None:
        read.append(number)
        return features(number)

    match_images(every_pair(len(paths)), counted)

    assert sorted(read) == list(range(len(paths)))


def test_small_missing_broken_and_transparent_files_match_nothing(paths: list[str], tmp_path: Path) -> None:
    photo("astronaut").resize((128, 100)).save(tmp_path / "small.png")
    Image.new("RGB", (1, 1)).save(tmp_path / "one.png")
    Image.new("RGBA", (300, 300)).save(tmp_path / "transparent.png")
    (tmp_path / "broken.png").write_bytes(Path(paths[0]).read_bytes()[:2000])
    others = [str(tmp_path / f"{name}.png") for name in ("small", "one", "transparent", "broken", "missing")]
    pairs = np.array([[0, 1 + number] for number in range(len(others))])

    found = match_images(pairs, features_of_files([paths[0], *others], Preprocessing()))

    assert not found.any()


def test_no_pairs_are_no_work(paths: list[str]) -> None:
    assert match_images(np.empty((0, 2), np.int64), features_of_files(paths, Preprocessing())).shape == (0, 2)


def test_progress_is_told_and_can_cancel(paths: list[str]) -> None:
    told: list[tuple[str, int, int]] = []

    def cancel(step: str, done: int, total: int) -> None:
        told.append((step, done, total))
        raise JobCancelled()

    with pytest.raises(JobCancelled):
        match_images(np.array([[0, 1]]), features_of_files(paths, Preprocessing()), cancel)

    assert told == [("comparing keypoints", 1, 1)]
