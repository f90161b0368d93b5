"""Whole rounds of a loop without Label Studio: labels are set in FiftyOne, as annotators in the App do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from winnow.plugin.datasets import loops
from winnow.plugin.errors import DataError
from winnow.plugin.training.classifier import load_classifier
from winnow.plugin.workflows import loop, loop_labeling, loop_training
from winnow.plugin.workflows.loop import loop_status, run_loop
from winnow.plugin.workflows.loop_report import LoopReport
from winnow.plugin.workflows.loop_settings import LoopChanges, LoopParams

from .loop_steps import (
    EVALUATION,
    TRAINING,
    annotate,
    frozen_ids,
    ids_of,
    next_step,
    note_duplicates,
    start,
    unlabelled_dataset,
)

MakeUnlabelled = Callable[[], fo.Dataset]


class Killed(BaseException):
    """What kills a step; nothing catches it."""


@pytest.fixture(scope="module")
def finished(unlabelled_images: Path) -> Iterator[tuple[fo.Dataset, LoopReport]]:
    """Return a dataset after three rounds, whose evaluation images are labelled as a class of their own."""
    dataset = unlabelled_dataset(unlabelled_images)
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
