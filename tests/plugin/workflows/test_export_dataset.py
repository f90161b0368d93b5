"""A dataset leaves FiftyOne whole, and comes back with the same labels and splits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fiftyone as fo
import pytest

from tests.conftest import write_image
from winnow.plugin.datasets import runs
from winnow.plugin.datasets.fields import write_values
from winnow.plugin.datasets.sample_history import SPLIT_RUN
from winnow.plugin.datasets.targets import open_target
from winnow.plugin.errors import DataError, JobCancelled, TargetError
from winnow.plugin.workflows import export_files
from winnow.plugin.workflows.export_dataset import ExportDatasetParams, ExportDatasetReport, export_dataset

MakeDataset = Callable[..., fo.Dataset]
# File, label, split: classes that no folder can be called like, splits of one's own, and what has neither.
ODD = (
    ("a/0.png", "cat/dog", "train"),
    ("a/1.png", "猫", "train"),
    ("b/0.png", "..", "test"),
    ("b/1.png", "Cat", "test"),
    ("b/2.png", "cat", "test"),
    ("c/0.png", "100%2F", "fold 1"),
    ("c/.1.png", "con.", "fold 1"),
    ("c/2.png", "x" * 300, "train"),
    ("d/0.png", "cat", None),
    ("d/1.png", None, None),
    ("d/2.png", None, "test"),
)


def made_of(dataset: MakeDataset, folder: Path, *images: tuple[str, str | None, str | None]) -> fo.Dataset:
    made = dataset()
    for name, label, split in images:
        held = None if label is None else fo.Classification(label=label)
        made.add_sample(fo.Sample(filepath=str(write_image(folder / name)), ground_truth=held, split=split))
    return made


def export(made: fo.Dataset, **params: Any) -> ExportDatasetReport:
    return export_dataset(made, ExportDatasetParams(**params))


def contents(made: fo.Dataset) -> list[tuple[bytes, str | None, str | None]]:
    """Return content, label and split of each image."""
    labels = made.values("ground_truth.label") if made.has_field("ground_truth") else [None] * len(made)
    splits = made.values("split") if made.has_field("split") else [None] * len(made)
    found = zip(made.values("filepath"), labels, splits, strict=True)
    return sorted(((Path(path).read_bytes(), label, split) for path, label, split in found), key=repr)


def read_back(target: Path) -> fo.Dataset:
    return open_target(str(target)).dataset


@pytest.mark.parametrize("images", [ODD, [(name, label, None) for name, label, _ in ODD], [("a.png", "train", None)]])
def test_what_is_read_back_from_folders_has_the_same_labels_and_splits(
    dataset: MakeDataset, tmp_path: Path, images: list[tuple[str, str | None, str | None]]
) -> None:
    made = made_of(dataset, tmp_path / "images", *images)

    export(made, output=str(tmp_path / "out"))

    assert contents(read_back(tmp_path / "out")) == contents(made)


def test_what_is_read_back_from_a_table_has_the_same_labels_and_splits(dataset: MakeDataset, tmp_path: Path) -> None:
    odd = (("-1.png", "=cat", "train"), ("2.png", "'til", "+1"), ("3.png", 'a,"b"', None))
    made = made_of(dataset, tmp_path / "images", *odd)

    export(made, csv=str(tmp_path / "images" / "table.csv"))

    lines = (tmp_path / "images" / "table.csv").read_text().splitlines()
    assert lines[:2] == ["path,label,split", "./-1.png,'=cat,train"]
    assert contents(read_back(tmp_path / "images" / "table.csv")) == contents(made)


def test_plain_names_stand_as_they_are(dataset: MakeDataset, tmp_path: Path) -> None:
    made = made_of(dataset, tmp_path / "images", ("a/0.png", "cat", "train"), ("b/0.png", "cat", "train"))

    report = export(made, output=str(tmp_path / "out"), csv=str(tmp_path / "out.csv"))

    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")) == [
        "train/cat/0-2.png",
        "train/cat/0.png",
    ]
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == [
        "out/train/cat/0.png,cat,train",
        "out/train/cat/0-2.png,cat,train",
    ]
    assert (report.images, report.splits, report.classes) == (2, {"train": 2}, 1)


def test_copies_leaks_and_flagged_labels_stay_behind_where_that_is_asked(dataset: MakeDataset, tmp_path: Path) -> None:
    names = [(f"{row}.png", "cat", "train") for row in range(4)]
    made = made_of(dataset, tmp_path / "images", *names)
    ids = made.values("id")
    write_values(made, "duplicate_group", ids[:2], [0, 0], kind="int")
    write_values(made, "duplicate_role", ids[:2], ["keeper", "copy"], kind="str")
    write_values(made, "leak_score", ids[2:3], [0.9], kind="float")
    write_values(made, "label_issue", ids[2:], [True, True], kind="bool")

    report = export(made, output=str(tmp_path / "out"), leave_out=("copies", "leaks", "label issues"))

    assert report.left_out == {"copies": 1, "leaks": 1, "label issues": 1}
    assert [path.name for path in (tmp_path / "out").rglob("*.png")] == ["0.png"]


def test_splits_that_winnow_made_are_those_that_leave(dataset: MakeDataset, tmp_path: Path) -> None:
    made = made_of(dataset, tmp_path / "images", ("0.png", "cat", "train"))
    write_values(made, "split_clean", made.values("id"), ["test"], kind="str")
    runs.save_run(made, SPLIT_RUN, method="split_dataset", params={}, fields=["split_clean"], summary={})

    assert export(made, output=str(tmp_path / "out")).splits == {"test": 1}


def test_links_take_no_space(dataset: MakeDataset, tmp_path: Path) -> None:
    made = made_of(dataset, tmp_path / "images", ("0.png", "cat", "train"))

    export(made, output=str(tmp_path / "out"), link=True)

    assert os.path.samefile(tmp_path / "out" / "train" / "cat" / "0.png", tmp_path / "images" / "0.png")


def test_a_file_that_is_gone_is_told_and_the_others_leave(dataset: MakeDataset, tmp_path: Path) -> None:
    made = made_of(dataset, tmp_path / "images", ("0.png", "cat", "train"), ("1.png", "cat", "train"))
    (tmp_path / "images" / "0.png").unlink()

    report = export(made, output=str(tmp_path / "out"), csv=str(tmp_path / "out.csv"))

    assert [Path(each.path).name for each in report.failures] == ["0.png"]
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 2


def test_a_folder_with_something_in_it_is_refused(dataset: MakeDataset, tmp_path: Path) -> None:
    made = made_of(dataset, tmp_path / "images", ("0.png", "cat", "train"))

    with pytest.raises(DataError, match="exists already, and nothing is overwritten"):
        export(made, output=str(tmp_path / "images"))


def test_a_disk_without_room_is_told_before_anything_is_copied(
    dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_of(dataset, tmp_path / "images", ("0.png", "cat", "train"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))

    with pytest.raises(DataError, match="GB free, but the images take"):
        export(made, output=str(tmp_path / "out"))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_an_export_that_stops_half_way_leaves_nothing_that_looks_whole(
    dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_of(dataset, tmp_path / "images", *((f"{row}.png", "cat", "train") for row in range(3)))

    def cancel(step: str, done: int, total: int) -> None:
        if done == 2:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        export_dataset(made, ExportDatasetParams(output=str(tmp_path / "out")), cancel)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(
    dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_of(dataset, tmp_path / "images", ("0.png", "cat", "train"))

    def full(source: str, place: Path) -> None:
        place.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_files.shutil, "copyfile", full)

    with pytest.raises(DataError, match="No space left on device"):
        export(made, output=str(tmp_path / "out"))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_several_labels_leave_by_a_table_alone(dataset: MakeDataset, tmp_path: Path) -> None:
    made = dataset()
    labels = fo.Classifications(classifications=[fo.Classification(label=name) for name in ("sun", "sea")])
    made.add_sample(fo.Sample(filepath=str(write_image(tmp_path / "0.png")), labels=labels))

    export(made, csv=str(tmp_path / "table.csv"))

    assert (tmp_path / "table.csv").read_text().splitlines() == ["path,label,split", "0.png,sea|sun,"]
    with pytest.raises(DataError, match="Export a table alone"):
        export(made, output=str(tmp_path / "out"))


def test_a_folder_whose_names_can_not_be_read_is_an_error(dataset: MakeDataset, tmp_path: Path) -> None:
    made = made_of(dataset, tmp_path / "images", ("0.png", "cat", "train"))
    export(made, output=str(tmp_path / "out"))
    (tmp_path / "out" / ".winnow-folders.json").write_text('{"classes": {"a": 1}, "splits": {}}')

    with pytest.raises(TargetError, match="Export the dataset again"):
        read_back(tmp_path / "out")


@pytest.mark.parametrize("params", [{}, {"output": "out", "leave_out": ("cats",)}, {"csv": "x", "label_delimiter": ""}])
def test_settings_that_make_no_sense_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        ExportDatasetParams(**params)
