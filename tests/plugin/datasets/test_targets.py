from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import pytest

from winnow.plugin.datasets.targets import open_target
from winnow.plugin.errors import TargetError
from winnow.plugin.workflows.actions import delete_samples, undo_action

ImageFolder = Callable[..., Path]
MakeDataset = Callable[..., fo.Dataset]


@pytest.fixture(autouse=True)
def _clean(dataset: MakeDataset) -> None:
    """Have the datasets deleted that a test opens."""


def labels(dataset: fo.Dataset) -> list[tuple[str, str | None]]:
    return sorted(
        (Path(path).name, label)
        for path, label in zip(*dataset.values(["filepath", "ground_truth.label"]), strict=True)
    )


def test_a_folder_becomes_a_persistent_dataset_named_after_it(image_folder: ImageFolder) -> None:
    folder = image_folder("train/cat/1.png", "val/dog/2.png", root="Pets & Co")

    opened = open_target(str(folder))

    assert (opened.dataset.name, opened.dataset.persistent, opened.created, opened.added) == ("pets-co", True, True, 2)
    assert labels(opened.dataset) == [("1.png", "cat"), ("2.png", "dog")]
    assert opened.dataset.values("split") == ["train", "val"]
    assert opened.dataset.classes["ground_truth"] == ["cat", "dog"]


def test_a_grown_folder_updates_the_same_dataset(image_folder: ImageFolder) -> None:
    folder = image_folder("cat/1.png")
    first = open_target(str(folder))
    image_folder("dog/2.png", "ant/3.png")

    second = open_target(f"{folder}/")

    assert (second.dataset.name, second.created, second.added) == (first.dataset.name, False, 2)
    assert labels(second.dataset) == [("1.png", "cat"), ("2.png", "dog"), ("3.png", "ant")]
    assert second.dataset.classes["ground_truth"] == ["cat", "ant", "dog"]


def test_a_renamed_dataset_is_found_again_by_its_folder(image_folder: ImageFolder) -> None:
    folder = image_folder("cat/1.png")
    open_target(str(folder)).dataset.name = "my-cats"

    opened = open_target(str(folder))

    assert (opened.dataset.name, opened.created, opened.added) == ("my-cats", False, 0)


def test_a_label_changed_in_fiftyone_is_kept_and_told(image_folder: ImageFolder) -> None:
    folder = image_folder("cat/1.png", "cat/2.png")
    dataset = open_target(str(folder)).dataset
    dataset.set_values("ground_truth.label", ["dog", "cat"])
    dataset.tag_samples("reviewed")

    opened = open_target(str(folder))

    assert labels(opened.dataset) == [("1.png", "dog"), ("2.png", "cat")]
    assert opened.dataset.count_sample_tags() == {"reviewed": 2}
    assert any("1 samples have another label" in note for note in opened.notes)


def test_samples_whose_file_is_gone_stay_and_are_counted(image_folder: ImageFolder) -> None:
    folder = image_folder("cat/1.png", "cat/2.png")
    open_target(str(folder))
    (folder / "cat" / "1.png").unlink()

    opened = open_target(str(folder))

    assert (opened.gone, len(opened.dataset)) == (1, 2)
    assert any("1 samples whose file is gone" in note for note in opened.notes)


def test_folders_of_the_same_name_get_datasets_of_their_own(image_folder: ImageFolder) -> None:
    one, other = image_folder("cat/1.png", root="a/pets"), image_folder("dog/2.png", root="b/pets")

    names = [open_target(str(folder)).dataset.name for folder in (one, other, one)]

    assert names == ["pets", "pets-2", "pets"]


def test_a_folder_without_latin_letters_gets_a_plain_name(image_folder: ImageFolder) -> None:
    folder = image_folder("猫/ねこ.png", root="写真")

    opened = open_target(str(folder))

    assert opened.dataset.name == "images"
    assert labels(opened.dataset) == [("ねこ.png", "猫")]


def test_every_format_of_the_decoder_can_be_added(image_folder: ImageFolder) -> None:
    folder = image_folder("a.png", "b.jpg", "c.webp", "d.tif", "e.tga", "f.dib")

    opened = open_target(str(folder))

    assert (len(opened.dataset), opened.dataset.media_type) == (6, "image")


def test_a_pool_has_no_label_field(image_folder: ImageFolder) -> None:
    folder = image_folder("1.png")

    opened = open_target(str(folder))

    assert not opened.dataset.has_field("ground_truth")


def test_a_multi_label_table_gives_classifications(image_folder: ImageFolder) -> None:
    table = image_folder("1.png", "2.png") / "animals.csv"
    table.write_text("path,labels,farm\n1.png,cat;dog,north\n2.png,,south\n")

    opened = open_target(str(table), label_delimiter=";")

    assert opened.dataset.name == "animals"
    assert opened.dataset.values("ground_truth.classifications.label") == [["cat", "dog"], None]
    assert opened.dataset.values("farm") == ["north", "south"]


def test_a_table_opened_again_without_its_delimiter_is_an_error(image_folder: ImageFolder) -> None:
    table = image_folder("1.png") / "animals.csv"
    table.write_text("path,labels\n1.png,cat|dog\n")
    open_target(str(table), label_delimiter="|")

    with pytest.raises(TargetError, match="same label delimiter"):
        open_target(str(table))


def test_the_name_of_a_dataset_opens_it(dataset: MakeDataset) -> None:
    existing = dataset("some-name")

    opened = open_target("some-name")

    assert (opened.dataset is existing, opened.created, opened.added) == (True, False, 0)


def test_a_name_that_is_a_dataset_and_an_unrelated_folder_is_an_error(
    dataset: MakeDataset, image_folder: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(image_folder("cat/1.png", root="pets").parent)
    dataset("pets")

    with pytest.raises(TargetError, match="both a FiftyOne dataset and a folder"):
        open_target("pets")


def test_a_path_says_that_the_folder_is_meant(
    dataset: MakeDataset, image_folder: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(image_folder("cat/1.png", root="pets").parent)
    dataset("pets")

    opened = open_target("./pets")

    assert (opened.dataset.name, opened.added) == ("pets-2", 1)


def test_what_was_deleted_with_winnow_stays_out_until_that_is_undone(image_folder: ImageFolder) -> None:
    folder = image_folder("cat/1.png", "cat/2.png", "cat/3.png")
    dataset = open_target(str(folder)).dataset
    delete_samples(dataset, dataset.values("id")[:1])

    again = open_target(str(folder))
    undo_action(dataset)
    after = open_target(str(folder))

    assert (again.added, after.added) == (0, 0)
    assert "1 images stay out, as their samples were deleted with Winnow; undoing brings them back" in again.notes
    assert len(dataset) == 3


def test_the_bare_name_of_a_folder_opens_its_own_dataset(
    image_folder: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(image_folder("cat/1.png", root="pets").parent)
    open_target("pets")

    opened = open_target("pets")

    assert (opened.dataset.name, opened.created) == ("pets", False)


def test_an_unknown_target_is_an_error_with_similar_names(dataset: MakeDataset) -> None:
    dataset("fashion-mnist")

    with pytest.raises(TargetError, match=r"'fashion-minst' is neither.*fashion-mnist.*CLASS/image.*columns path"):
        open_target("fashion-minst")


@pytest.mark.parametrize("target", ["", "a" * 5000, "no\0name", "~nobody-here/x"])
def test_a_senseless_target_is_an_error(target: str) -> None:
    with pytest.raises(TargetError, match="neither"):
        open_target(target)


def test_an_empty_folder_makes_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = fo.list_datasets()

    with pytest.raises(TargetError, match="it is empty"):
        open_target(str(tmp_path / "empty"))

    assert fo.list_datasets() == before


def test_a_file_that_is_no_table_is_an_error(image_folder: ImageFolder) -> None:
    image = image_folder("1.png") / "1.png"

    with pytest.raises(TargetError, match="is no table"):
        open_target(str(image))
