"""What a person asks to be changed is changed, counted, and comes back whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from tests.conftest import write_image
from winnow.plugin.datasets import action_log
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.home import winnow_home
from winnow.plugin.workflows.actions import (
    delete_samples,
    list_actions,
    move_samples,
    tag_samples,
    undo_action,
)

MakeDataset = Callable[..., fo.Dataset]


@pytest.fixture
def six(dataset: MakeDataset, tmp_path: Path) -> fo.Dataset:
    """Return six real images of two classes; the first four in train, the fifth in test, the last in no split."""
    made = dataset()
    splits = ["train"] * 4 + ["test", None]
    for row, split in enumerate(splits):
        path = write_image(tmp_path / "images" / f"{row}.png")
        label = fo.Classification(label="cat" if row % 2 else "dog", tags=["sure"], note="by hand")
        made.add_sample(fo.Sample(filepath=str(path), split=split, ground_truth=label, tags=[split] if split else []))
    return made


def stored(made: fo.Dataset) -> list[dict[str, Any]]:
    """Return every document as it lies in the database, by id."""
    return list(made._sample_collection.find().sort("_id"))


# Tags


def test_a_tag_is_added_and_counted_where_it_was_lacking(six: fo.Dataset) -> None:
    ids = six.values("id")
    six.limit(1).tag_samples("look")

    report = tag_samples(six, ids[:3], "look")

    assert report.samples == 2
    assert report.notes == ("1 sample had the tag already",)
    assert six.match_tags("look").count() == 3


def test_undoing_a_tag_leaves_those_that_had_it_before(six: fo.Dataset) -> None:
    ids = six.values("id")
    six.limit(1).tag_samples("look")
    tag_samples(six, ids[:3], "look")

    undo_action(six)

    assert six.match_tags("look").values("id") == ids[:1]


def test_a_tag_that_a_person_took_away_meanwhile_is_told(six: fo.Dataset) -> None:
    tag_samples(six, six.values("id")[:3], "look")
    six.limit(1).untag_samples("look")

    report = undo_action(six)

    assert report.samples == 2
    assert report.notes == ("1 samples are gone or had lost the tag meanwhile",)


@pytest.mark.parametrize("tag", ["", " ", " look"])
def test_a_tag_without_a_name_is_refused(six: fo.Dataset, tag: str) -> None:
    with pytest.raises(DataError, match="can't be a tag"):
        tag_samples(six, six.values("id"), tag)


def test_samples_that_are_gone_are_passed_over(six: fo.Dataset) -> None:
    ids = six.values("id")
    six.delete_samples(ids[:2])

    report = tag_samples(six, ids, "look")

    assert report.samples == 4
    assert report.notes == ("2 selected samples are gone",)


def test_where_nothing_is_to_be_done_nothing_is_logged(six: fo.Dataset) -> None:
    report = tag_samples(six, [], "look")

    assert report.action is None
    assert list_actions(six).actions == ()


# Splits


def test_samples_move_within_the_field_that_holds_the_splits(six: fo.Dataset) -> None:
    ids = six.values("id")

    report = move_samples(six, ids, "test")

    assert report.samples == 5
    assert six.values("split") == ["test"] * 6
    assert six.values("tags")[0] == ["train"]


def test_samples_move_out_of_every_split_and_back(six: fo.Dataset) -> None:
    before = six.values("split")
    move_samples(six, six.values("id"), "")
    between = six.values("split")

    undo_action(six)

    assert between == [None] * 6
    assert six.values("split") == before


def test_split_tags_are_exchanged_and_other_tags_stay(six: fo.Dataset) -> None:
    six.tag_samples("good")
    before = six.values("tags")
    move_samples(six, six.values("id"), "validation", "tags")
    between = six.values("tags")

    undo_action(six)

    assert between == [["good", "validation"]] * 6
    assert six.values("tags") == before


def test_a_split_is_written_as_the_dataset_spells_it(six: fo.Dataset) -> None:
    six.set_values("split", ["Training", "Training", "val", "val", "val", None])

    report = move_samples(six, six.values("id")[1:3], "validation")

    assert report.samples == 1
    assert six.values("split")[:3] == ["Training", "val", "val"]


def test_a_sample_that_was_moved_again_since_is_left_alone(six: fo.Dataset) -> None:
    ids = six.values("id")
    move_samples(six, ids[:3], "test")
    six.set_values("split", {ids[0]: "validation"}, key_field="id")

    report = undo_action(six)

    assert report.samples == 2
    assert six.values("split")[:3] == ["validation", "train", "train"]
    assert report.notes == ("1 samples are gone or were moved to another split since",)


def test_a_tag_that_came_meanwhile_stays_when_a_move_is_undone(six: fo.Dataset) -> None:
    move_samples(six, six.values("id")[:1], "test", "tags")
    six.limit(1).tag_samples("since")

    undo_action(six)

    assert six.first().tags == ["train", "since"]


def test_a_dataset_without_splits_says_what_to_do(dataset: MakeDataset) -> None:
    made = dataset()
    made.add_sample(fo.Sample(filepath="/images/0.png"))

    with pytest.raises(FieldError, match="has no splits"):
        move_samples(made, made.values("id"), "train")


@pytest.mark.parametrize("field", ["filepath", "ground_truth", "nothing"])
def test_a_field_that_can_not_hold_splits_is_refused(six: fo.Dataset, field: str) -> None:
    before = stored(six)

    with pytest.raises(FieldError):
        move_samples(six, six.values("id"), "train", field)

    assert stored(six) == before


@pytest.mark.parametrize("source", ["folders", "saved views"])
def test_splits_that_are_no_values_of_samples_can_not_be_changed(six: fo.Dataset, source: str) -> None:
    with pytest.raises(FieldError, match=f"are read from {source}, which stay"):
        move_samples(six, six.values("id"), "train", source)


# Deletion


def test_deleted_samples_come_back_to_the_bit(six: fo.Dataset) -> None:
    six.set_values("vector", list(np.random.default_rng(0).random((6, 8)).astype(np.float32)))
    six.set_values("boxes", [fo.Detections(detections=[fo.Detection(label="x", bounding_box=[0, 0, 1, 1])])] * 6)
    six.set_values("odd", [float("nan"), None, 1.5, float("inf"), -0.0, 2.0])
    six.compute_metadata()
    before = stored(six)

    report = delete_samples(six, six.values("id")[:3])
    left = len(six)
    undo_action(six)

    assert (report.samples, left) == (3, 3)
    assert repr(stored(six)) == repr(before)  # NaN differs from itself
    assert six.first().boxes.detections[0].label == "x"


def test_files_of_deleted_samples_stay_unless_asked(six: fo.Dataset) -> None:
    paths = six.values("filepath")

    delete_samples(six, six.values("id")[:3])

    assert all(Path(path).exists() for path in paths)


def test_deleted_files_go_to_the_trash_and_come_back(six: fo.Dataset) -> None:
    paths = [Path(path) for path in six.values("filepath")]
    content = [path.read_bytes() for path in paths]
    delete_samples(six, six.values("id")[:2], delete_files=True)
    there = [path.exists() for path in paths]
    in_trash = [path for path in (winnow_home() / "trash").rglob("*") if path.is_file()]

    undo_action(six)

    assert there == [False, False, True, True, True, True]
    assert {path.name for path in in_trash} >= {"0.png", "1.png"}
    assert [path.read_bytes() for path in paths] == content
    assert not any(path.exists() for path in in_trash)


def test_a_file_that_another_sample_uses_stays(six: fo.Dataset) -> None:
    paths = six.values("filepath")
    six.add_sample(fo.Sample(filepath=paths[0]))

    report = delete_samples(six, six.values("id")[:2], delete_files=True)

    assert [Path(path).exists() for path in paths[:2]] == [True, False]
    assert "1 files stay, as other samples use them" in report.notes


def test_a_file_that_another_dataset_uses_stays(six: fo.Dataset, dataset: MakeDataset) -> None:
    path = six.first().filepath
    other = dataset()
    other.add_sample(fo.Sample(filepath=path))

    delete_samples(six, [six.first().id], delete_files=True)

    assert Path(path).exists()


def test_a_file_that_can_not_be_moved_is_told_and_stays(six: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, paths = six.values(["id", "filepath"])
    in_the_way = Path(paths[0]).parent.parent / "home"
    in_the_way.mkdir()
    (in_the_way / "trash").write_text("a file where the trash's folder should be")
    monkeypatch.setenv("WINNOW_HOME", str(in_the_way))

    report = delete_samples(six, ids[:2], delete_files=True)

    assert [failure.path for failure in report.failures] == paths[:2]
    assert "could not be moved" in report.failures[0].reason
    assert all(Path(path).exists() for path in paths)
    assert undo_action(six).samples == 2


def test_a_file_that_came_in_its_place_is_not_overwritten(six: fo.Dataset) -> None:
    path = Path(six.first().filepath)
    delete_samples(six, [six.first().id], delete_files=True)
    path.write_text("new")

    report = undo_action(six)

    assert path.read_text() == "new"
    assert "another file is there now" in report.failures[0].reason
    assert report.samples == 1


def test_a_sample_whose_file_was_added_again_is_not_brought_back(six: fo.Dataset) -> None:
    path = six.first().filepath
    delete_samples(six, six.values("id")[:2])
    six.add_sample(fo.Sample(filepath=path))

    report = undo_action(six)

    assert report.samples == 1
    assert "1 samples stay deleted, as their files were added to the dataset again" in report.notes
    assert six.values("filepath").count(path) == 1


def test_samples_with_the_same_file_both_come_back(six: fo.Dataset) -> None:
    six.add_sample(fo.Sample(filepath=six.first().filepath))
    six.add_sample(fo.Sample(filepath=six.first().filepath))
    ids = six.values("id")

    delete_samples(six, [ids[0], ids[6]], delete_files=True)
    report = undo_action(six)

    assert report.samples == 2
    assert sorted(six.values("id")) == sorted(ids)


def test_a_field_that_was_deleted_since_does_not_come_back(six: fo.Dataset) -> None:
    delete_samples(six, six.values("id")[:2])
    six.delete_sample_field("split")

    report = undo_action(six)

    assert report.samples == 2
    assert "in split is lost" in report.notes[0]
    assert [sample.ground_truth.label for sample in six].count("dog") == 3  # each can be loaded


def test_one_image_of_each_class_is_spared(six: fo.Dataset) -> None:
    report = delete_samples(six, six.values("id"))

    assert six.values("ground_truth.label") == ["dog", "cat"]
    assert "2 images spared as the last of its class: cat, dog" in report.notes


def test_slices_of_a_grouped_dataset_come_back_into_their_group(dataset: MakeDataset) -> None:
    made = dataset()
    made.add_group_field("side", default="left")
    for row in range(2):
        side = fo.Group()
        made.add_samples(
            [fo.Sample(filepath=f"/{name}{row}.png", side=side.element(name)) for name in ("left", "right")]
        )
    before = stored(made)

    delete_samples(made, made.select_group_slices("right").values("id"))
    between = len(stored(made))
    undo_action(made)

    assert between == 2
    assert stored(made) == before
    assert set(made.get_group(made.first().side.id)) == {"left", "right"}


def test_what_is_deleted_from_a_clone_comes_back_into_the_clone(six: fo.Dataset) -> None:
    delete_samples(six, six.values("id")[:2])
    clone = six.clone()

    undo_action(clone)

    assert (len(clone), len(six)) == (6, 4)
    assert {document["_dataset_id"] for document in stored(clone)} == {clone._doc.id}


def test_records_of_more_than_one_part_come_back_in_their_order(
    six: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action_log, "_PART_BYTES", 300)
    before = stored(six)

    report = delete_samples(six, six.values("id")[:4])
    parts = [key for key in six.list_runs() if "_part_" in key]
    undo_action(six, report.action)

    assert len(parts) >= 2
    assert stored(six) == before


def test_a_crash_before_the_change_leaves_an_action_that_undoing_takes_back(
    six: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, before = six.values("id"), stored(six)

    def crash(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fo.Dataset, "delete_samples", crash)
        with pytest.raises(KeyboardInterrupt):
            delete_samples(six, ids[:3])
    undo_action(six)

    assert stored(six) == before


# The log


def test_undoing_twice_says_so(six: fo.Dataset) -> None:
    key = tag_samples(six, six.values("id"), "look").action
    undo_action(six, key)

    with pytest.raises(DataError, match=f"'{key}' of .* was undone already"):
        undo_action(six, key)
    with pytest.raises(DataError, match="there is nothing to undo"):
        undo_action(six)


def test_an_unknown_action_is_answered_with_those_there_are(six: fo.Dataset) -> None:
    tag_samples(six, six.values("id"), "look")

    with pytest.raises(DataError, match=r"no action 'nonsense'\. Its actions are: winnow_action_1"):
        undo_action(six, "nonsense")


def test_actions_are_listed_with_what_they_did_the_newest_first(six: fo.Dataset) -> None:
    tag_samples(six, six.values("id")[:2], "look")
    move_samples(six, six.values("id")[:1], "test")
    delete_samples(six, six.values("id")[:1])
    undo_action(six)

    listed = list_actions(six).summary()["actions"]

    assert [action["what"] for action in listed] == [
        "deleted 1 sample",
        "moved 1 sample to test",
        "tagged 2 samples 'look'",
    ]
    assert [action["undone"] is not None for action in listed] == [True, False, False]
    assert "deleted 1 sample" in list_actions(six).text()
