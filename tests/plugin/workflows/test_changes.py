"""What was changed leaves as a table, and another copy of the data follows it."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from tests.conftest import write_image
from winnow.plugin.datasets import runs
from winnow.plugin.datasets.bringing_back import NewLabel, SampleChange, bring_back
from winnow.plugin.datasets.fields import write_values
from winnow.plugin.datasets.label_decisions import ACCEPTED, KEPT
from winnow.plugin.datasets.label_sets import decide_label_sets
from winnow.plugin.datasets.relabelling import decide_labels
from winnow.plugin.datasets.sample_history import SPLIT_RUN
from winnow.plugin.datasets.targets import open_target
from winnow.plugin.errors import DataError
from winnow.plugin.workflows.actions import delete_samples, move_samples, tag_samples, undo_action
from winnow.plugin.workflows.change_replay import ReplayParams, ReplayReport, replay_changes
from winnow.plugin.workflows.changes import COLUMNS, ChangesParams, list_changes
from winnow.plugin.workflows.choosing import COPIES, LEAKED, Chosen

FILES = (
    "train/cat/0.png",
    "train/cat/1.png",
    "train/dog/2.png",
    "train/dog/3.png",
    "test/cat/4.png",
    "test/dog/-5.png",
)


@pytest.fixture
def images(tmp_path: Path) -> fo.Dataset:
    """Return a dataset of six images in folders, in the order of `FILES` after sorting by path."""
    for name in FILES:
        write_image(tmp_path / "images" / name)
    return open_target(str(tmp_path / "images")).dataset


def copy_of(images: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """Return a dataset of the same files, as they were at first, in another folder."""
    shutil.copytree(Path(images.info["winnow_source"]), tmp_path / "copy")
    return open_target(str(tmp_path / "copy")).dataset


def id_of(images: fo.Dataset, name: str) -> str:
    return next(key for key, path in zip(*images.values(["id", "filepath"]), strict=True) if path.endswith(f"/{name}"))


def relabel(images: fo.Dataset, name: str, label: str, by: str = "ann") -> None:
    key = id_of(images, name)
    decide_labels(images, "ground_truth", [key], ACCEPTED, by=by, labels={key: label})


def rows_of(images: fo.Dataset, tmp_path: Path, **params: Any) -> dict[str, dict[str, str]]:
    """Return the table's rows by path."""
    list_changes(images, ChangesParams(csv=str(tmp_path / "changes.csv"), **params))
    with (tmp_path / "changes.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def replay(copy: fo.Dataset, tmp_path: Path, *, confirmed: bool = True, **params: Any) -> ReplayReport:
    return replay_changes(copy, ReplayParams(str(tmp_path / "changes.csv"), confirmed=confirmed, **params))


def state(images: fo.Dataset) -> list[tuple[str, str, str, list[str]]]:
    """Return file name, label, split and tags of each sample."""
    columns = images.values(["filepath", "ground_truth.label", "split", "tags"])
    return sorted((Path(path).name, *rest) for path, *rest in zip(*columns, strict=True))


def change_everything(images: fo.Dataset) -> None:
    """Accept a label, move a leak, delete a copy and tag an image."""
    relabel(images, "0.png", "dog")
    move_samples(images, Chosen((id_of(images, "2.png"),), LEAKED), "test", by="bob")
    delete_samples(images, Chosen((id_of(images, "3.png"),), COPIES), by="bob")
    tag_samples(images, [id_of(images, "4.png")], "look", by="ann")


# The table


def test_each_changed_image_has_a_row_that_says_what_why_and_who(images: fo.Dataset, tmp_path: Path) -> None:
    change_everything(images)

    rows = rows_of(images, tmp_path)

    said = {path: [row[column] for column in COLUMNS[1:9]] for path, row in rows.items()}
    assert said == {
        "train/cat/0.png": ["cat", "dog", "train", "train", "0", "", "label issue accepted", "ann"],
        "train/dog/2.png": ["dog", "dog", "train", "test", "0", "", "leak moved", "bob"],
        "train/dog/3.png": ["dog", "dog", "train", "train", "1", "", "near-duplicate removed", "bob"],
        "test/cat/4.png": ["cat", "cat", "test", "test", "0", "look", "tagged 'look'", "ann"],
    }
    assert rows["train/dog/2.png"]["run"] == "winnow_action_2"
    assert all(row["time"].endswith("+00:00") for row in rows.values())


def test_the_report_counts_the_changes_and_their_reasons(images: fo.Dataset) -> None:
    change_everything(images)

    report = list_changes(images)

    assert (report.changed, report.labels, report.splits, report.removed, report.tagged) == (4, 1, 1, 1, 1)
    assert report.reasons["near-duplicate removed"] == 1
    assert "4 images" in report.text()


def test_what_was_undone_is_no_change(images: fo.Dataset) -> None:
    change_everything(images)

    for _ in range(4):
        undo_action(images)

    assert list_changes(images).changed == 0


def test_what_came_back_to_where_it_was_is_no_change(images: fo.Dataset) -> None:
    relabel(images, "0.png", "dog")
    relabel(images, "0.png", "cat")
    move_samples(images, [id_of(images, "2.png")], "test")
    move_samples(images, [id_of(images, "2.png")], "train")

    assert list_changes(images).changed == 0


def test_a_label_that_was_only_confirmed_is_no_change(images: fo.Dataset) -> None:
    decide_labels(images, "ground_truth", [id_of(images, "0.png")], KEPT, by="ann")

    assert list_changes(images).changed == 0


def test_two_changes_of_a_label_are_told_from_the_first_to_the_last(images: fo.Dataset, tmp_path: Path) -> None:
    relabel(images, "0.png", "dog", by="ann")
    relabel(images, "0.png", "cow", by="bob")

    row = rows_of(images, tmp_path)["train/cat/0.png"]

    assert (row["old_label"], row["new_label"], row["reviewer"]) == ("cat", "cow", "bob")


def test_a_label_that_annotators_gave_is_told_with_where_it_comes_from(images: fo.Dataset, tmp_path: Path) -> None:
    images.match({"filepath": {"$regex": "/1.png$"}}).set_field("ground_truth", None).save()
    change = SampleChange({"ground_truth": NewLabel("cow", {"annotator": "eve"})})
    bring_back(images, {id_of(images, "1.png"): change}, {"ground_truth": False}, by="eve", source="project 7")

    row = rows_of(images, tmp_path)["train/cat/1.png"]

    assert (row["old_label"], row["new_label"], row["reason"]) == ("", "cow", "label from project 7")


def test_a_repaired_split_is_told_against_the_users_own(images: fo.Dataset, tmp_path: Path) -> None:
    ids = images.values("id")
    repaired = [split if split == "test" else "validation" for split in images.values("split")]
    write_values(images, "split_clean", ids, repaired, kind="str")
    moved = {"moved": [], "from": [], "to": []}
    params = {"repair": True, "split_field": None}
    runs.save_run(
        images, SPLIT_RUN, method="split_dataset", params=params, fields=["split_clean"], summary={}, results=moved
    )

    rows = rows_of(images, tmp_path)

    assert len(rows) == 4
    assert {(row["old_split"], row["new_split"], row["reason"]) for row in rows.values()} == {
        ("train", "validation", "split repaired")
    }


def test_the_labels_of_an_image_that_has_several_are_joined(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> None:
    made = several(dataset, tmp_path / "a", [["sea", "sun"]])
    key = made.first().id
    decide_label_sets(made, "labels", {key: {"sun": False, "sand": True}}, ACCEPTED, by="ann", findings={})

    (row,) = rows_of(made, tmp_path, label_delimiter=";").values()

    assert (row["old_label"], row["new_label"]) == ("sea;sun", "sand;sea")


def test_a_class_with_the_delimiter_in_its_name_is_refused_and_nothing_is_written(
    images: fo.Dataset, dataset: Callable[..., fo.Dataset], tmp_path: Path
) -> None:
    made = several(dataset, tmp_path / "a", [["sea|side"]])
    decide_label_sets(made, "labels", {made.first().id: {"sun": True}}, ACCEPTED, by="ann", findings={})

    with pytest.raises(DataError, match=r"'sea\|side' has the delimiter"):
        rows_of(made, tmp_path)

    assert not list(tmp_path.glob("*changes.csv*"))


def test_a_cell_that_a_spreadsheet_would_run_is_escaped(images: fo.Dataset, tmp_path: Path) -> None:
    relabel(images, "0.png", "=HYPERLINK()")

    row = rows_of(images, tmp_path)["train/cat/0.png"]

    assert row["new_label"] == "'=HYPERLINK()"


# Following it


def test_another_copy_becomes_what_the_first_one_is(images: fo.Dataset, tmp_path: Path) -> None:
    copy = copy_of(images, tmp_path)
    change_everything(images)
    relabel(images, "-5.png", "=cow")
    rows_of(images, tmp_path)

    report = replay(copy, tmp_path)

    assert state(copy) == state(images)
    assert (report.labels, report.splits, report.removed, report.tagged, report.conflicts) == (2, 1, 1, 1, ())
    assert copy[id_of(copy, "0.png")].ground_truth.decided_by == "ann"


def test_nothing_is_changed_until_it_is_confirmed(images: fo.Dataset, tmp_path: Path) -> None:
    copy = copy_of(images, tmp_path)
    before = state(copy)
    change_everything(images)
    rows_of(images, tmp_path)

    report = replay(copy, tmp_path, confirmed=False)

    assert state(copy) == before
    assert (report.labels, report.splits, report.removed, report.done) == (1, 1, 1, False)
    assert "`--yes` does it" in report.text()


def test_following_is_taken_back_action_by_action(images: fo.Dataset, tmp_path: Path) -> None:
    copy = copy_of(images, tmp_path)
    before = state(copy)
    change_everything(images)
    rows_of(images, tmp_path)

    for key in reversed(replay(copy, tmp_path).actions):
        undo_action(copy, key)

    assert state(copy) == before


def test_following_twice_finds_all_as_it_should_be(images: fo.Dataset, tmp_path: Path) -> None:
    copy = copy_of(images, tmp_path)
    change_everything(images)
    rows_of(images, tmp_path)
    replay(copy, tmp_path)

    again = replay(copy, tmp_path)

    assert (again.as_they_should_be, again.absent, again.actions) == (3, 1, ())


def test_an_image_that_is_not_as_the_table_says_is_left_alone_and_told(images: fo.Dataset, tmp_path: Path) -> None:
    copy = copy_of(images, tmp_path)
    change_everything(images)
    rows_of(images, tmp_path)
    relabel(copy, "0.png", "cow")
    move_samples(copy, [id_of(copy, "3.png")], "validation")

    report = replay(copy, tmp_path)

    assert [each.reason for each in report.conflicts] == [
        "its label is 'cow', neither 'cat' nor 'dog'",
        "its split is 'validation', neither 'train' nor 'train'",
    ]
    assert copy[id_of(copy, "0.png")].ground_truth.label == "cow"
    assert id_of(copy, "3.png")


def test_images_under_other_paths_are_found_by_their_content(images: fo.Dataset, tmp_path: Path) -> None:
    copy = copy_of(images, tmp_path)
    for path, sample in zip(copy.values("filepath"), copy.iter_samples(autosave=True), strict=True):
        sample.filepath = str(Path(path).rename(tmp_path / f"renamed {Path(path).name}"))
    relabel(images, "0.png", "dog")
    rows_of(images, tmp_path, sha256=True)

    report = replay(copy, tmp_path)

    assert report.labels == 1
    assert copy[id_of(copy, "renamed 0.png")].ground_truth.label == "dog"


def test_a_table_about_other_images_is_an_error(images: fo.Dataset, tmp_path: Path) -> None:
    write(tmp_path, ["train/cat/none.png", "cat", "dog", "", "", "0"])

    with pytest.raises(DataError, match="none of the 1 images"):
        replay(images, tmp_path)


def test_labels_are_given_where_there_are_none_and_several_where_there_may_be(
    dataset: Callable[..., fo.Dataset], tmp_path: Path
) -> None:
    made = several(dataset, tmp_path / "a", [["sea"], None])
    names = [Path(path).name for path in made.values("filepath")]
    write(tmp_path, [names[0], "sea", "sand|sun", "", "", "0"], [names[1], "", "sun", "", "", "0"])

    replay(made, tmp_path)

    assert [sorted(labels) for labels in made.values("labels.classifications.label")] == [["sand", "sun"], ["sun"]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["a.png", "cat", "dog", "", ""], "line 2 .* has more or fewer cells"),
        (["a.png", "cat", "dog", "", "", "yes"], "'removed' is 'yes', but 0 or 1"),
        (["", "cat", "dog", "", "", "0"], "has no path"),
    ],
)
def test_a_row_that_can_not_be_read_is_named(images: fo.Dataset, tmp_path: Path, row: list[str], message: str) -> None:
    write(tmp_path, row)

    with pytest.raises(DataError, match=message):
        replay(images, tmp_path)


def test_a_table_without_the_columns_is_an_error(images: fo.Dataset, tmp_path: Path) -> None:
    (tmp_path / "changes.csv").write_text("path,label\na.png,cat\n")

    with pytest.raises(DataError, match="lacks the columns old_label, new_label"):
        replay(images, tmp_path)


def write(tmp_path: Path, *rows: list[str]) -> None:
    with (tmp_path / "changes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS[:6], *rows])


def several(dataset: Callable[..., fo.Dataset], folder: Path, labels: Sequence[list[str] | None]) -> fo.Dataset:
    """Return a dataset of images that may have several labels."""
    made = dataset()
    for row, names in enumerate(labels):
        found = None if names is None else [fo.Classification(label=name) for name in names]
        held = None if found is None else fo.Classifications(classifications=found)
        made.add_sample(fo.Sample(filepath=str(write_image(folder / f"{row}.png")), labels=held))
    return made
