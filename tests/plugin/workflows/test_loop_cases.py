"""What a loop makes of odd beginnings: tampering, copies, too few labels, own splits, several labels an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import pytest
from PIL import Image

from winnow.plugin.datasets import loops
from winnow.plugin.errors import DataError
from winnow.plugin.workflows.loop import loop_status

from .loop_steps import (
    EVALUATION,
    SETTINGS,
    TRAINING,
    annotate,
    class_of,
    frozen_ids,
    next_step,
    start,
)

MakeUnlabelled = Callable[[], fo.Dataset]


def test_tampering_with_the_evaluation_set_is_told(unlabelled: MakeUnlabelled, tmp_path: Path) -> None:
    dataset = unlabelled()
    start(dataset)
    changed, gone = sorted(frozen_ids(dataset))[:2]
    other = tmp_path / "other.png"
    Image.new("L", (28, 28), 7).save(other)
    sample = dataset[changed]
    sample.filepath = str(other)
    sample.save()
    dataset.delete_samples([gone])

    report = loop_status(dataset)

    assert "1 sample of the evaluation set was deleted" in report.text()
    assert f"1 file of the evaluation set changed** since it was frozen (`{other}`)" in report.text()
    assert report.summary()["evaluation_intact"] == SETTINGS["evaluation_images"] - 2


def test_list_of_the_evaluation_set_that_was_changed_in_the_database_is_refused(unlabelled: MakeUnlabelled) -> None:
    dataset = unlabelled()
    frozen = loops.FrozenSet(("a" * 24,), ("0" * 64,), "no such digest")
    loops.save_loop(dataset, "loop", {}, frozen, [])

    with pytest.raises(DataError, match="is not the one that was frozen"):
        loop_status(dataset)


def test_copy_of_an_evaluation_image_that_is_added_and_labelled_later_is_not_trained_on(
    unlabelled: MakeUnlabelled, tmp_path: Path
) -> None:
    dataset = unlabelled()
    start(dataset)
    annotate(dataset)
    original = dataset[min(frozen_ids(dataset))]
    twin = tmp_path / "twin.png"
    twin.write_bytes(Path(original.filepath).read_bytes())
    dataset.add_sample(fo.Sample(filepath=str(twin), ground_truth=fo.Classification(label="twin"), scene="new"))

    report = next_step(dataset)

    (measured,) = report.summary()["rounds"]
    assert measured["labels"] == SETTINGS["batch"]
    assert "twin" not in measured["classes"]


def test_image_that_is_added_later_and_belongs_to_the_evaluation_set_is_left_alone(unlabelled: MakeUnlabelled) -> None:
    dataset = unlabelled()
    start(dataset)
    scene = dataset[min(frozen_ids(dataset))].scene
    other = dataset.match({"loop_split": "pool"}).first()
    late = [
        fo.Sample(filepath=other.filepath, scene=name, ground_truth=fo.Classification(label="late"))
        for name in (scene, "new")
    ]
    ids = dataset.add_samples(late)

    next_step(dataset)

    assert [dataset[key].loop_split for key in ids] == [None, "train"]


def test_training_beyond_the_budget_is_refused_before_it_begins(unlabelled: MakeUnlabelled) -> None:
    dataset = unlabelled()
    start(dataset, budget_minutes=1e-4)
    annotate(dataset)

    with pytest.raises(DataError, match=r"more than the budget of 0.0001\. Raise the budget"):
        next_step(dataset)

    assert loops.list_rounds(dataset, "loop") == []
    assert [each["round"] for each in next_step(dataset, budget_minutes=5.0).summary()["rounds"]] == [1]


def test_loop_waits_until_the_share_of_a_batch_is_back(unlabelled: MakeUnlabelled) -> None:
    dataset = unlabelled()
    start(dataset, share=0.8)
    annotate(dataset, EVALUATION)
    annotate(dataset, TRAINING, most=11)

    waiting = next_step(dataset)
    annotate(dataset, TRAINING, most=1)
    on = next_step(dataset)

    assert (waiting.summary()["stage"], waiting.summary()["lacking"]) == ("label", {"loop_1": 1})
    assert [each["labels"] for each in on.summary()["rounds"]] == [12]
    assert "Of round 1, 3 images never came back" in on.text()


def test_labels_from_before_the_loop_are_its_round_0(unlabelled: MakeUnlabelled) -> None:
    dataset = unlabelled()
    known = dataset.match(fo.ViewField("filepath").re_match(r"-[01]\d\.png$"))
    labels = [fo.Classification(label=class_of(path)) for path in known.values("filepath")]
    known.set_values("ground_truth", labels)
    start(dataset)
    annotate(dataset)

    rounds = next_step(dataset).summary()["rounds"]

    assert [each["round"] for each in rounds] == [0, 1]
    assert rounds[1]["labels"] == rounds[0]["labels"] + SETTINGS["batch"]
    assert rounds[1]["gain"] is not None


def test_too_few_labels_are_told_and_the_loop_goes_on(unlabelled: MakeUnlabelled) -> None:
    dataset = unlabelled()
    start(dataset, batch=4)
    annotate(dataset)

    report = next_step(dataset)

    assert report.summary()["round"] == 2
    assert "Round 1 was not trained: 4 labelled images, and at least 10 are needed." in report.text()


def test_own_test_split_is_neither_picked_nor_trained_on(unlabelled: MakeUnlabelled) -> None:
    dataset = unlabelled()
    own = dataset.match(fo.ViewField("filepath").re_match(r"-0\d\.png$"))
    own.set_values("split", ["test"] * len(own))

    start(dataset, batch=100)

    assert set(dataset.match({"loop_round": 1}).values("split")) == {None}
    assert not frozen_ids(dataset) & set(own.values("id"))


def test_several_labels_an_image_go_the_same_way(unlabelled: MakeUnlabelled) -> None:
    dataset = unlabelled()
    start(dataset, several=True, batch=25)
    for name in (EVALUATION, TRAINING):
        shown = dataset.load_saved_view(name)
        labels = [
            fo.Classifications(classifications=[fo.Classification(label=part) for part in (class_of(path), "garment")])
            for path in shown.values("filepath")
        ]
        dataset.set_values("ground_truth", dict(zip(shown.values("id"), labels, strict=True)), key_field="id")

    summary = next_step(dataset).summary()

    assert summary["metric"] == "micro F1"
    assert summary["rounds"][0]["score"] > 0.5
    assert summary["rounds"][0]["classes"]["garment"]["labels"] == 25


def test_loop_that_was_never_begun_says_how_to_begin(unlabelled: MakeUnlabelled) -> None:
    report = loop_status(unlabelled())

    assert report.stage == "not begun"
    assert "`winnow loop TARGET start`" in report.text()
