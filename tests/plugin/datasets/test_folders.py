from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from winnow.plugin.datasets.folders import read_folder
from winnow.plugin.errors import TargetError

ImageFolder = Callable[..., Path]


def told(folder: Path) -> list[tuple[str, object, str | None]]:
    """Return (path below the folder, label, split) of each record."""
    source = read_folder(folder)
    return [(str(record.path.relative_to(source.root)), record.label, record.split) for record in source.records]


def test_split_folders_give_split_and_class(image_folder: ImageFolder) -> None:
    folder = image_folder("train/cat/1.png", "train/dog/2.png", "Val/cat/3.png")

    records = told(folder)

    assert records == [
        ("Val/cat/3.png", "cat", "Val"),
        ("train/cat/1.png", "cat", "train"),
        ("train/dog/2.png", "dog", "train"),
    ]


def test_images_directly_in_a_split_folder_have_no_label(image_folder: ImageFolder) -> None:
    folder = image_folder("test/1.png", "train/cat/2.png")

    records = told(folder)

    assert records == [("test/1.png", None, "test"), ("train/cat/2.png", "cat", "train")]


def test_top_folders_are_classes_where_none_is_named_like_a_split(image_folder: ImageFolder) -> None:
    folder = image_folder("cat/1.png", "dog/2.png")

    records = told(folder)

    assert records == [("cat/1.png", "cat", None), ("dog/2.png", "dog", None)]


def test_images_without_folders_are_a_pool(image_folder: ImageFolder) -> None:
    folder = image_folder("b.png", "a.png")

    records = told(folder)

    assert records == [("a.png", None, None), ("b.png", None, None)]


def test_other_folders_beside_split_folders_are_a_pool_and_counted(image_folder: ImageFolder) -> None:
    folder = image_folder("train/cat/1.png", "new/cat/2.png", "new/3.png")

    source = read_folder(folder)

    assert [record.label for record in source.records] == [None, None, "cat"]
    assert any("2 images outside the split folders ('new')" in note for note in source.notes)


def test_deeper_folders_belong_to_their_class(image_folder: ImageFolder) -> None:
    folder = image_folder("train/cat/2024/may/1.png")

    records = told(folder)

    assert records == [("train/cat/2024/may/1.png", "cat", "train")]


def test_hidden_files_and_folders_are_skipped(image_folder: ImageFolder) -> None:
    folder = image_folder("cat/1.png", "cat/.2.png", ".thumbs/cat/3.png")

    records = told(folder)

    assert records == [("cat/1.png", "cat", None)]


def test_other_files_are_counted_by_extension(image_folder: ImageFolder) -> None:
    folder = image_folder("cat/1.png")
    for name in ("a.txt", "b.TXT", "README"):
        (folder / name).write_text("no image")

    source = read_folder(folder)

    assert any("3 files" in note and "2 .txt, 1 no extension" in note for note in source.notes)


def test_names_in_any_script_are_kept(image_folder: ImageFolder) -> None:
    folder = image_folder("train/猫/ねこ.png", "train/Käse & Brot/ä #1%.png", root="写真")

    records = told(folder)

    assert records == [("train/Käse & Brot/ä #1%.png", "Käse & Brot", "train"), ("train/猫/ねこ.png", "猫", "train")]


def test_a_name_that_is_no_text_is_listed_instead_of_stopping_the_job(image_folder: ImageFolder) -> None:
    folder = image_folder("cat/1.png")
    os.rename(folder / "cat" / "1.png", os.fsencode(folder / "cat") + b"/\xff.png")
    image_folder("cat/2.png")

    source = read_folder(folder)

    assert [record.path.name for record in source.records] == ["2.png"]
    assert ["rename the file" in failure.reason for failure in source.failures] == [True]


def test_a_link_back_to_a_parent_does_not_loop(image_folder: ImageFolder) -> None:
    folder = image_folder("cat/1.png")
    (folder / "cat" / "again").symlink_to(folder, target_is_directory=True)

    records = told(folder)

    assert records == [("cat/1.png", "cat", None)]


def test_a_linked_class_folder_is_read(image_folder: ImageFolder) -> None:
    elsewhere = image_folder("1.png", root="elsewhere")
    folder = image_folder("dog/2.png")
    (folder / "cat").symlink_to(elsewhere, target_is_directory=True)

    records = told(folder)

    assert records == [("cat/1.png", "cat", None), ("dog/2.png", "dog", None)]


def test_an_empty_folder_is_an_error_that_tells_the_layouts(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"it is empty.*CLASS/image"):
        read_folder(tmp_path)


def test_a_folder_without_images_tells_what_it_has_instead(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")

    with pytest.raises(TargetError, match="only 1 other files"):
        read_folder(tmp_path)
