"""Whole rounds of a loop without Label Studio: labels are set in FiftyOne, as annotators in the App do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest
from PIL import Image

from winnow.plugin.datasets import loops
from winnow.plugin.datasets.fields import write_values
from winnow.plugin.datasets.runs import save_run
from winnow.plugin.errors import DataError
from winnow.plugin.training.classifier import load_classifier
from winnow.plugin.workflows import loop, loop_labeling, loop_training
from winnow.plugin.workflows.findings import DUPLICATES_RUN
from winnow.plugin.workflows.loop import loop_status, run_loop
from winnow.plugin.workflows.loop_report import LoopReport
from winnow.plugin.workflows.loop_settings import LoopChanges, LoopParams

from .conftest import CLASSES, PER_SPLIT, tile

SETTINGS = {
    "batch": 15,
    "evaluation_images": 20,
    "group_by": ("scene",),
    "share": 1.0,
    "patience": 99,
    "least_gain": 0.0,
    "duplicates": False,
}
EVALUATION, TRAINING = "loop: label to measure", "loop: label to train"
MakeUnlabelled = Callable[[], fo.Dataset]


class Killed(BaseException):
    """What kills a step; nothing catches it."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder CLASS-NUMBER.png; tests only read it."""
    root = tmp_path_factory.mktemp("未 labelled #1")
    for name in CLASSES:
        for number in range(PER_SPLIT["train"]):
            tile("train", name, number).save(root / f"{name}-{number:02d}.png")
    return root


def unlabelled_dataset(root: Path) -> fo.Dataset:
    """Return a dataset without labels; two images each are of one scene."""
    made = fo.Dataset(f"unlabelled-{uuid.uuid4().hex[:8]}")
    made.add_samples(
        fo.Sample(filepath=str(path), scene=f"{class_of(path)} {int(path.stem[-2:]) // 2}")
        for path in sorted(root.iterdir())
    )
    return made


@pytest.fixture
def unlabelled(images: Path) -> Iterator[MakeUnlabelled]:
    made: list[fo.Dataset] = []

    def make() -> fo.Dataset:
        made.append(unlabelled_dataset(images))
        return made[-1]

    yield make
    for dataset in made:
        dataset.delete()


def note_duplicates(dataset: fo.Dataset) -> None:
    """Write what `find_duplicates` leaves of three images each that look alike, of different scenes."""
    ids = dataset.values("id")
    write_values(dataset, "duplicate_group", ids[:60], [row // 3 for row in range(60)], kind="int")
    save_run(dataset, DUPLICATES_RUN, method="test", params={}, fields=["duplicate_group"], summary={})


def class_of(path: Path | str) -> str:
    return Path(path).stem.split("-")[0]


def annotate(dataset: fo.Dataset, *views: str, label: str | None = None, most: int | None = None) -> None:
    """Label what the views show: by the name of the file, or all alike."""
    for name in views or (EVALUATION, TRAINING):
        if dataset.has_saved_view(name):
            shown = dataset.load_saved_view(name)
            shown = shown if most is None else shown.limit(most)
            paths = dict(zip(*shown.values(["id", "filepath"]), strict=True))
            labels = {key: fo.Classification(label=label or class_of(path)) for key, path in paths.items()}
            dataset.set_values("ground_truth", labels, key_field="id")


def start(dataset: fo.Dataset, **changes: Any) -> LoopReport:
    return run_loop(dataset, LoopParams("start", changes=LoopChanges(**{**SETTINGS, **changes})))


def next_step(dataset: fo.Dataset, *, go_on: bool = False, **changes: Any) -> LoopReport:
    return run_loop(dataset, LoopParams("next", go_on=go_on, changes=LoopChanges(**changes)))


def frozen_ids(dataset: fo.Dataset) -> set[str]:
    found = loops.find_loop(dataset, "loop")
    assert found is not None
    return set(found.evaluation.ids)


def ids_of(dataset: fo.Dataset, split: str) -> set[str]:
    return set(dataset.match({"loop_split": split}).values("id"))


@pytest.fixture(scope="module")
def finished(images: Path) -> Iterator[tuple[fo.Dataset, LoopReport]]:
    """Return a dataset after three rounds, whose evaluation images are labelled as a class of their own."""
    dataset = unlabelled_dataset(images)
    note_duplicates(dataset)
    start(dataset, duplicates=True)
    annotate(dataset, EVALUATION, label="held out")
    for _ in range(3):
        annotate(dataset, TRAINING)
        report = next_step(dataset)
    yield dataset, report
    dataset.delete()


Finished = tuple[fo.Dataset, LoopReport]


def test_three_rounds_are_trained_and_measured(finished: Finished) -> None:
    summary = finished[1].summary()

    assert [each["round"] for each in summary["rounds"]] == [1, 2, 3]
    assert [each["labels"] for each in summary["rounds"]] == [15, 30, 45]
    assert all(each["evaluation_images"] == summary["evaluation"]["images"] for each in summary["rounds"])
    assert summary["stage"] == "label"  # the fourth batch is out
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_evaluation_images_are_never_trained_on(finished: Finished) -> None:
    dataset, report = finished

    for each in report.summary()["rounds"]:
        assert "held out" not in load_classifier(Path(each["classifier"])).classes
    assert not ids_of(dataset, "train") & frozen_ids(dataset)


def test_images_of_one_scene_are_never_on_both_sides(finished: Finished) -> None:
    dataset, _ = finished
    scenes = set(dataset.select(sorted(frozen_ids(dataset))).values("scene"))

    picked = dataset.match(fo.ViewField("loop_round").exists())

    assert len(picked) == 60
    assert not scenes & set(picked.values("scene"))


def test_near_duplicates_are_never_on_both_sides(finished: Finished) -> None:
    dataset, _ = finished
    groups = set(dataset.select(sorted(frozen_ids(dataset))).values("duplicate_group")) - {None}

    picked = dataset.match(fo.ViewField("loop_round").exists())

    assert groups
    assert not groups & set(picked.values("duplicate_group"))


def test_near_duplicates_are_looked_for_before_images_are_set_aside(unlabelled: MakeUnlabelled) -> None:
    dataset = unlabelled()
    few = dataset.values("id")[::10]
    dataset.delete_samples([key for key in dataset.values("id") if key not in few])
    copies = [fo.Sample(filepath=path) for path in dataset.values("filepath")]
    dataset.add_samples(copies)

    start(dataset, duplicates=True, group_by=(), evaluation_images=6)

    held_out = dataset.select(sorted(frozen_ids(dataset))).values("filepath")
    assert len(held_out) == 2 * len(set(held_out))


def test_what_each_round_added_is_told_class_by_class(finished: Finished) -> None:
    rounds = finished[1].summary()["rounds"]

    assert [sum(of["added"] for of in each["classes"].values()) for each in rounds] == [15, 15, 15]
    assert "Round 3 added " in finished[1].text()


def test_text_ends_with_the_next_step(finished: Finished) -> None:
    last = finished[1].text().splitlines()[-1]

    assert last.startswith("Next: label 15 images in the App's view `loop: label to train`")


def test_telling_where_a_loop_stands_changes_nothing(finished: Finished) -> None:
    dataset, _ = finished
    dataset.reload()
    before = dataset.last_modified_at, max(dataset.values("last_modified_at")), dataset.list_runs()

    loop_status(dataset)

    dataset.reload()
    assert (dataset.last_modified_at, max(dataset.values("last_modified_at")), dataset.list_runs()) == before


def test_step_that_is_run_twice_changes_nothing(finished: Finished) -> None:
    dataset, report = finished
    before = max(dataset.values("last_modified_at"))

    again = next_step(dataset)

    assert max(dataset.values("last_modified_at")) == before
    assert again.summary() | {"done": []} == report.summary() | {"done": []}


def test_curve_that_no_longer_pays_stops_the_loop_until_it_is_told_to_go_on(finished: Finished) -> None:
    dataset, _ = finished
    annotate(dataset, TRAINING)

    stopped = next_step(dataset, least_gain=99.0)
    again = next_step(dataset)
    on = next_step(dataset, go_on=True, least_gain=0.0)

    assert stopped.stage == again.stage == "stop advised"
    assert "Time to stop" in stopped.text()
    assert (stopped.summary()["round"], on.summary()["round"]) == (4, 5)


def test_loop_that_was_stopped_says_so_and_can_be_taken_up(finished: Finished) -> None:
    dataset, _ = finished

    stopped = run_loop(dataset, LoopParams("stop"))

    assert (stopped.stage, next_step(dataset).stage) == ("stopped", "stopped")
    assert next_step(dataset, go_on=True).stage == "label"


def killed_in(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *, after: bool, step: Callable) -> None:
    """Run a step that is killed when it calls a function, before or after that has done its work."""
    real = getattr(module, name)

    def kill(*args: Any, **kwargs: Any) -> Any:
        if after:
            real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, name, kill)
        with pytest.raises(Killed):
            step()


def test_loop_that_is_killed_between_any_two_steps_ends_as_if_it_never_was(
    unlabelled: MakeUnlabelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = unlabelled()

    def go_on() -> LoopReport:
        return next_step(dataset)

    killed_in(monkeypatch, loops, "save_loop", after=False, step=lambda: start(dataset))
    killed_in(monkeypatch, loops, "save_loop", after=True, step=lambda: start(dataset))
    killed_in(monkeypatch, loop_labeling, "save_batch", after=True, step=go_on)
    killed_in(monkeypatch, loop, "pick", after=True, step=go_on)
    killed_in(monkeypatch, loop, "send_out", after=True, step=go_on)
    go_on()
    annotate(dataset)
    killed_in(monkeypatch, loop_training, "train_on", after=True, step=go_on)
    killed_in(monkeypatch, loop_training, "save_round", after=True, step=go_on)
    killed_in(monkeypatch, loop, "pick", after=True, step=go_on)
    report = go_on()

    undisturbed = unlabelled()
    start(undisturbed)
    annotate(undisturbed)
    expected = next_step(undisturbed)
    told = ("stage", "round", "labels", "pool", "batch", "evaluation")
    assert [report.summary()[key] for key in told] == [expected.summary()[key] for key in told]
    for key in ("loop_split", "loop_round", "labeling_state", "labeling_batch"):
        assert dataset.values(key) == undisturbed.values(key)
    scores = [
        [(each["labels"], each["score"]) for each in each_report.summary()["rounds"]]
        for each_report in (report, expected)
    ]
    assert scores[0] == scores[1]


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


def test_a_dataset_may_have_several_loops(finished: Finished) -> None:
    dataset, _ = finished

    other = run_loop(dataset, LoopParams("start", name="rare", changes=LoopChanges(evaluation_images=10, batch=5)))

    assert loops.list_loops(dataset) == ["loop", "rare"]
    assert other.summary()["evaluation"]["images"] == 10


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (LoopParams("next", name="other"), "there is no loop 'other'"),
        (LoopParams("start"), "there is a loop 'loop' on '.*' already"),
        (LoopParams("status", name="no name"), "can't be called 'no name'"),
        (LoopParams("next", changes=LoopChanges(evaluation_images=7)), "evaluation_images of loop 'loop' is 20 since"),
        (LoopParams("next", changes=LoopChanges(label_studio=True)), "Set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY"),
    ],
)
def test_what_a_loop_cannot_do_is_an_error_that_says_why(finished: Finished, params: LoopParams, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run_loop(finished[0], params)


def test_loop_that_was_never_begun_says_how_to_begin(unlabelled: MakeUnlabelled) -> None:
    report = loop_status(unlabelled())

    assert report.stage == "not begun"
    assert "`winnow loop TARGET start`" in report.text()
