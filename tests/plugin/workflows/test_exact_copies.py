"""Files that are equal byte for byte or pixel for pixel, crowds of them, and what is kept of each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from winnow.plugin.errors import DataError
from winnow.plugin.workflows.duplicates import DuplicateParams, find_duplicates
from winnow.plugin.workflows.leaks import find_leaks

from .conftest import MakeOfFolder, names_of, tile, values_by_name


@pytest.fixture
def rewrapped(tmp_path: Path) -> Path:
    """Return a folder of 12 sneakers, of which one was copied, one saved again and one given EXIF data."""
    folder = tmp_path / "train" / "sneaker"
    folder.mkdir(parents=True)
    for number in range(12):
        tile("train", "sneaker", number).save(folder / f"{number:03d}.png")
    shutil.copyfile(folder / "000.png", folder / "renamed.png")
    Image.open(folder / "001.png").save(folder / "saved.bmp")
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    Image.open(folder / "002.png").save(folder / "described.png", exif=exif)
    return tmp_path


def test_equal_files_and_equal_pixels_are_told_apart(rewrapped: Path, dataset_of_folder: MakeOfFolder) -> None:
    dataset = dataset_of_folder(rewrapped)

    report = find_duplicates(dataset)

    names = names_of(dataset.sort_by("id"))
    kinds = {
        frozenset(Path(names[row]).name for row in rows): kind
        for rows, kind in zip(report.pairs.rows, report.pairs.kind.tolist(), strict=True)
        if kind
    }
    assert kinds == {
        frozenset({"000.png", "renamed.png"}): 2,
        frozenset({"001.png", "saved.bmp"}): 1,
        frozenset({"002.png", "described.png"}): 1,
    }
    assert report.summary()["same_file"] == 1
    assert report.summary()["same_pixels"] == 2
    assert "1 image repeats another's file byte for byte, 2 only its pixels" in report.text()


def test_exact_copies_are_certain(rewrapped: Path, dataset_of_folder: MakeOfFolder) -> None:
    dataset = dataset_of_folder(rewrapped)

    find_duplicates(dataset)

    scores = values_by_name(dataset, "duplicate_score")
    assert scores["train/sneaker/renamed.png"] == scores["train/sneaker/saved.bmp"] == 1


@pytest.mark.parametrize("equal", ["files", "pixels"])
def test_a_thousand_equal_images_are_one_group_with_a_pair_an_image(
    equal: str, tmp_path: Path, dataset_of_folder: MakeOfFolder
) -> None:
    image = tile("train", "bag", 0)
    for number in range(1000):
        path = tmp_path / ("train" if number % 2 else "test") / "bag" / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x010E] = str(number) if equal == "pixels" else ""
        image.save(path, exif=exif)
    dataset = dataset_of_folder(tmp_path)

    duplicates, leaks = find_duplicates(dataset).summary(), find_leaks(dataset).summary()

    assert duplicates["groups"] == 1
    assert duplicates["images_in_groups"] == 1000
    assert duplicates["pairs"] < 3000
    assert leaks["by_splits"] == {"test in train": 500}


def test_a_copy_of_a_copy_in_another_split_is_a_leak_too(tmp_path: Path, dataset_of_folder: MakeOfFolder) -> None:
    train, test = tmp_path / "train" / "bag", tmp_path / "test" / "bag"
    train.mkdir(parents=True), test.mkdir(parents=True)
    for number in range(12):
        tile("train", "bag", number).save(train / f"{number:03d}.png")
    tile("train", "bag", 0).save(test / "a.jpg", quality=60)
    shutil.copyfile(test / "a.jpg", test / "b.jpg")

    dataset = dataset_of_folder(tmp_path)
    report = find_leaks(dataset)

    assert report.summary()["by_splits"] == {"test in train": 2}
    assert values_by_name(dataset, "leak_score")["test/bag/b.jpg"] is not None


def test_different_labels_on_equal_images_are_a_conflict(tmp_path: Path, dataset_of_folder: MakeOfFolder) -> None:
    for name in ("bag", "dress"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for number in range(6):
            tile("train", name, number).save(tmp_path / "train" / name / f"{number:03d}.png")
    shutil.copyfile(tmp_path / "train" / "bag" / "000.png", tmp_path / "train" / "dress" / "bag.png")
    dataset = dataset_of_folder(tmp_path)

    report = find_duplicates(dataset)

    conflicts = values_by_name(dataset, "duplicate_conflict")
    assert conflicts["train/bag/000.png"] is conflicts["train/dress/bag.png"] is True
    assert report.summary()["label_conflicts"] == 1
    assert "**1 group with different labels** on copies of one image" in report.text()


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Return a folder with four versions of a photo among others: large and blurred, small and sharp, old, safe."""
    rng = np.random.default_rng(0)
    (tmp_path / "train" / "noise").mkdir(parents=True), (tmp_path / "train" / "safe").mkdir()
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).resize((160, 160)).save(
            tmp_path / "train" / "noise" / f"{number}.png"
        )
    photo = Image.fromarray(rng.integers(0, 255, (24, 24, 3), np.uint8)).resize((240, 240), Image.Resampling.NEAREST)
    photo.resize((120, 120), Image.Resampling.BILINEAR).resize((480, 480)).save(tmp_path / "train/noise/large.png")
    photo.save(tmp_path / "train/noise/sharp.png")
    photo.resize((200, 200)).save(tmp_path / "train/noise/old.png")
    photo.resize((210, 210)).save(tmp_path / "train/safe/safe.png")
    os.utime(tmp_path / "train/noise/old.png", (1, 1))
    return tmp_path


@pytest.mark.parametrize(
    ("keep", "keep_path", "kept"),
    [
        (("largest",), None, "noise/large.png"),
        (("sharpest",), None, "noise/sharp.png"),
        (("oldest",), None, "noise/old.png"),
        (("evaluation", "labelled", "largest"), None, "noise/large.png"),  # the first two say nothing here
        (("largest",), "train/safe", "safe/safe.png"),
    ],
)
def test_the_keeper_is_the_one_that_was_asked_for(
    keep: tuple[str, ...], keep_path: str | None, kept: str, versions: Path, dataset_of_folder: MakeOfFolder
) -> None:
    dataset = dataset_of_folder(versions)
    paths = (str(versions / keep_path),) if keep_path else ()

    find_duplicates(dataset, DuplicateParams(keep=keep, keep_paths=paths))

    roles = values_by_name(dataset, "duplicate_role")
    assert [name for name, role in roles.items() if role == "keeper"] == [f"train/{kept}"]
    assert list(roles.values()).count("copy") == 3


def test_an_unknown_policy_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(DataError, match="no policy 'newest' for what to keep; choose from: evaluation, labelled"):
        DuplicateParams(keep=("newest",))
