"""Labels that come back from labelling: on their own samples, once, never over somebody's work, and undoable."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from tests.conftest import write_image
from winnow.plugin.datasets import bringing_back
from winnow.plugin.datasets.labeling_batches import Batch, mark_samples, read_plain_labels, save_batch
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.labeling.task_identity import TaskIdentity
from winnow.plugin.workflows.actions import list_actions, undo_action
from winnow.plugin.workflows.pull import pull_from_label_studio
from winnow.plugin.workflows.pull_params import PullParams
from winnow.plugin.workflows.pull_report import PullReport

CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<Choices name="label" toName="image"><Choice value="Katze" alias="cat"/><Choice value="dog"/>'
    '<Choice value="キツネ"/></Choices></View>'
)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return six images, the first four without a label, then a dog and a cat."""
    dataset = fo.Dataset(f"pull-{uuid.uuid4().hex[:12]}")
    for row, label in enumerate([None, None, None, None, "dog", "cat"]):
        path = write_image(tmp_path / "犬 und #1" / f"{row}.png")
        truth = fo.Classification(label=label, confidence=0.5, tags=["mine"]) if label else None
        dataset.add_sample(fo.Sample(filepath=str(path), ground_truth=truth))
    yield dataset
    dataset.delete()


def send(dataset: fo.Dataset, name: str = "one", **changes: Any) -> list[dict[str, Any]]:
    """Do what sending does with the whole dataset, and return the tasks, not annotated yet."""
    ids, paths = dataset.values(["id", "filepath"])
    hashes = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
    fields = changes.pop("fields", {"label": "ground_truth"})
    before = [read_plain_labels(dataset, ids, field) for field in fields.values()]
    batch = {
        "name": name,
        "sample_ids": tuple(ids),
        "hashes": tuple(hashes),
        "labels_before": tuple(dict(zip(fields.values(), each, strict=True)) for each in zip(*before, strict=True)),
        "task_ids": tuple(range(1, len(ids) + 1)),
        "blind": (False,) * len(ids),
        "fields": fields,
        "url": "http://127.0.0.1:1",
        "project_id": 1,
    }
    save_batch(dataset, Batch(**(batch | changes)))
    mark_samples(dataset, ids, "out", name)
    return [
        {"id": row + 1, "data": {"image": "x", **TaskIdentity(key, dataset.name, sha, name).data()}, "annotations": []}
        for row, (key, sha) in enumerate(zip(ids, hashes, strict=True))
    ]


def annotate(
    task: dict[str, Any],
    *choices: Any,
    by: int = 1,
    at: str = "2026-01-01T00:00:00Z",
    control: str = "label",
    **fields: Any,
) -> None:
    """Submit an answer; paths are those of a taxonomy."""
    kind = "taxonomy" if choices and isinstance(choices[0], list) else "choices"
    result = (
        [{"from_name": control, "to_name": "image", "type": kind, "value": {kind: list(choices)}}] if choices else []
    )
    annotation = {"id": 100 * task["id"] + by, "completed_by": by, "result": result, "was_cancelled": False}
    task["annotations"].append(annotation | {"created_at": at, "updated_at": at, "lead_time": 2.5} | fields)


@pytest.fixture
def pull(tmp_path: Path) -> Callable[..., PullReport]:
    """Return `pull(dataset, tasks, config=CONFIG, **params)`, which brings an export of these tasks back."""

    def call(dataset: Any, tasks: list[dict[str, Any]], config: str | None = CONFIG, **params: Any) -> PullReport:
        export, xml = tmp_path / "export.json", tmp_path / "config.xml"
        export.write_text(json.dumps(tasks), "utf-8")
        if config:
            xml.write_text(config, "utf-8")
            params["labeling_config"] = xml
        return pull_from_label_studio(dataset, PullParams(file=export, **params))

    return call


def labels_of(dataset: fo.Dataset) -> list[str | None]:
    return dataset.values("ground_truth.label")


def stored(dataset: fo.Dataset) -> list[dict[str, Any]]:
    return list(dataset._sample_collection.find().sort("_id"))


Pull = Callable[..., PullReport]


# On their own samples


def test_labels_go_to_the_samples_that_tasks_name_in_whatever_order_they_come(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    for task, choice in zip(tasks, ["cat", "dog", "キツネ"], strict=False):
        annotate(task, choice)

    report = pull(made, tasks[::-1])

    assert labels_of(made) == ["cat", "dog", "キツネ", None, "dog", "cat"]
    assert made.values("labeling_state") == ["back"] * 3 + ["out"] * 3
    assert (report.counts.labelled, report.counts.out) == (3, 3)


def test_label_says_who_gave_it_when_and_how(made: fo.Dataset, pull: Pull) -> None:
    (task, *_) = tasks = send(made)
    annotate(task, "dog", at="2026-01-02T03:04:05.678900Z", parent_prediction=7)

    pull(made, tasks)

    label = made.first().ground_truth
    assert (label.annotator, label.lead_time, label.blind, label.from_prediction) == ("annotator 1", 2.5, False, True)
    assert f"{label.annotated_at:%Y-%m-%d %H:%M:%S}" == "2026-01-02 03:04:05"


def test_alias_means_the_class_that_the_dataset_has(made: fo.Dataset, pull: Pull) -> None:
    made.match({"ground_truth.label": "cat"}).set_field("ground_truth.label", "Katze").save()
    (task, *_) = tasks = send(made)
    annotate(task, "cat")

    pull(made, tasks)

    assert made.first().ground_truth.label == "Katze"


def test_deleted_samples_are_counted_and_everything_else_comes_back(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    for task in tasks[:3]:
        annotate(task, "dog")
    made.delete_samples(made.values("id")[:1])

    report = pull(made, tasks)

    assert (report.counts.deleted_samples, report.counts.labelled) == (1, 2)


def test_samples_outside_of_the_view_are_left_alone(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    annotate(tasks[0], "dog")
    annotate(tasks[1], "dog")

    report = pull(made.skip(1), tasks)

    assert labels_of(made)[:2] == [None, "dog"]
    assert report.counts.outside == 1


def test_tasks_of_others_are_counted_and_do_no_harm(made: fo.Dataset, pull: Pull) -> None:
    (task, *_) = tasks = send(made)
    stranger = {"id": 99, "data": {"image": "y"}, "annotations": []}
    other = {"id": 98, "data": {"winnow_sample": "f" * 24}, "annotations": []}
    annotate(task, "dog")
    annotate(stranger, "cat")
    annotate(other, "cat")

    assert pull(made, [stranger, other, *tasks]).counts.foreign == 2


def test_label_of_another_picture_is_told_and_not_written(made: fo.Dataset, pull: Pull) -> None:
    (task, *_) = tasks = send(made)
    annotate(task, "dog")
    write_image(Path(made.first().filepath).with_name("other.png")).replace(made.first().filepath)

    report = pull(made, tasks)

    assert (labels_of(made)[0], made.first().labeling_state) == (None, "conflict")
    assert report.counts.changed_files == 1 and "file was changed" in report.clashes[0].reason


def test_vanished_file_keeps_no_label_away(made: fo.Dataset, pull: Pull) -> None:
    (task, *_) = tasks = send(made)
    annotate(task, "dog")
    Path(made.first().filepath).unlink()

    report = pull(made, tasks)

    assert (labels_of(made)[0], report.counts.unchecked_files) == ("dog", 1)


# Twice, edited, deleted


def test_pulling_again_changes_no_document(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    annotate(tasks[0], "dog")
    annotate(tasks[1], was_cancelled=True)
    annotate(tasks[2], "cat"), annotate(tasks[2], "dog", by=2)
    annotate(tasks[4], "cat")
    made.match({"ground_truth.label": "dog"}).set_field("ground_truth.label", "キツネ").save()
    pull(made, tasks)
    before = stored(made)

    report = pull(made, tasks)

    assert stored(made) == before
    assert (report.action, report.counts.unchanged, len(list_actions(made).actions)) == (None, 1, 1)


def test_edited_annotation_is_followed_and_the_label_before_is_remembered(made: fo.Dataset, pull: Pull) -> None:
    (task, *_) = tasks = send(made)
    annotate(task, "dog")
    pull(made, tasks)
    task["annotations"].clear()
    annotate(task, "cat", at="2026-02-01T00:00:00Z")

    report = pull(made, tasks)

    label = made.first().ground_truth
    assert (label.label, [each["label"] for each in label.history]) == ("cat", ["dog"])
    assert report.counts.changed == 1


def test_label_that_was_corrected_here_afterwards_stays(made: fo.Dataset, pull: Pull) -> None:
    (task, *_) = tasks = send(made)
    annotate(task, "dog")
    pull(made, tasks)
    made.set_values("ground_truth.label", {made.first().id: "cat"}, key_field="id")

    pull(made, tasks)

    assert (labels_of(made)[0], made.first().labeling_state) == ("cat", "back")


def test_older_export_takes_no_newer_label_away(made: fo.Dataset, pull: Pull) -> None:
    (older, *_) = before = send(made)
    (newer, *_) = after = json.loads(json.dumps(before))
    annotate(older, "dog")
    annotate(newer, "cat", at="2026-02-01T00:00:00Z")
    pull(made, after)

    pull(made, before)

    assert labels_of(made)[0] == "cat"


def test_label_that_is_sent_again_is_compared_with_what_it_was_then(made: fo.Dataset, pull: Pull) -> None:
    (first, *_) = tasks = send(made)
    annotate(first, "dog")
    pull(made, tasks)
    made.set_values("ground_truth.label", {made.first().id: "cat"}, key_field="id")
    (second, *_) = again = send(made, "two")
    annotate(second, "キツネ")

    report = pull(made, again)

    assert (labels_of(made)[0], report.clashes) == ("キツネ", ())


def test_label_of_a_deleted_annotation_is_kept_and_told(made: fo.Dataset, pull: Pull) -> None:
    (task, *_) = tasks = send(made)
    annotate(task, "dog")
    pull(made, tasks)
    task["annotations"].clear()

    report = pull(made, tasks)

    assert (labels_of(made)[0], report.counts.withdrawn) == ("dog", 1)


def test_label_of_a_deleted_annotation_goes_back_to_what_it_was_where_that_is_asked_for(
    made: fo.Dataset, pull: Pull
) -> None:
    tasks = send(made)
    annotate(tasks[0], "dog")
    annotate(tasks[4], "cat")
    pull(made, tasks)
    for task in tasks:
        task["annotations"].clear()

    report = pull(made, tasks, gone="remove")

    assert (labels_of(made)[0], labels_of(made)[4]) == (None, "dog")
    assert (report.counts.removed, made.first().labeling_state) == (2, "out")


# Conflicts


@pytest.fixture
def clashing(made: fo.Dataset) -> list[dict[str, Any]]:
    """Return the tasks of a batch of which the fifth image was changed here, after it was sent, and annotated."""
    tasks = send(made)
    made.match({"ground_truth.label": "dog"}).set_field("ground_truth.label", "キツネ").save()
    annotate(tasks[4], "cat")
    return tasks


def test_label_that_was_changed_here_meanwhile_is_shown_and_not_overwritten(
    made: fo.Dataset, pull: Pull, clashing: list[dict[str, Any]]
) -> None:
    report = pull(made, clashing)

    (clash,) = report.clashes
    assert (labels_of(made)[4], made.values("labeling_state")[4]) == ("キツネ", "conflict")
    assert (clash.here, clash.theirs) == ("キツネ", "cat")
    assert "--conflicts" in report.text()


@pytest.mark.parametrize(("conflicts", "label"), [("theirs", "cat"), ("keep", "キツネ")])
def test_conflict_is_resolved_for_good(
    made: fo.Dataset, pull: Pull, clashing: list[dict[str, Any]], conflicts: str, label: str
) -> None:
    pull(made, clashing)
    pull(made, clashing, conflicts=conflicts)

    report = pull(made, clashing)

    assert (labels_of(made)[4], made.values("labeling_state")[4]) == (label, "back")
    assert report.clashes == ()


def test_label_that_was_sent_to_be_checked_is_replaced(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    annotate(tasks[4], "cat")
    annotate(tasks[5], "cat")

    report = pull(made, tasks)

    assert labels_of(made)[4:] == ["cat", "cat"]
    assert (report.counts.changed, report.counts.confirmed) == (1, 1)
    assert made.last().ground_truth.tags == ["mine"] and made.last().ground_truth.annotator == "annotator 1"


# Several annotators


def test_majority_wins_and_a_tie_waits_for_one_more_person(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made, annotators=2)
    for by, choice in enumerate(["cat", "cat", "dog"], start=1):
        annotate(tasks[0], choice, by=by)
    for by, choice in enumerate(["cat", "dog"], start=1):
        annotate(tasks[1], choice, by=by)
    annotate(tasks[2], "dog")

    report = pull(made, tasks, adjudicate="round_two")

    assert labels_of(made)[:3] == ["cat", None, None]
    assert made.values("labeling_state")[:3] == ["back", "disagreement", "out"]
    assert made.first().ground_truth.agreement == pytest.approx(2 / 3, abs=1e-4)
    assert made.load_saved_view("round_two").values("labeling_note") == ["ground_truth: cat 1, dog 1"]
    assert report.counts.waiting == 1


def test_answers_of_an_earlier_round_do_not_undo_adjudication(made: fo.Dataset, pull: Pull) -> None:
    first = send(made)
    annotate(first[0], "cat"), annotate(first[0], "dog", by=2)
    pull(made, first)
    second = send(made, "two")
    annotate(second[0], "dog", by=3)
    pull(made, second)

    report = pull(made, first)

    assert (made.first().labeling_state, labels_of(made)[0]) == ("back", "dog")
    assert report.counts.superseded == 6


def test_report_tells_how_far_each_annotator_agrees_with_the_others(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    for task, truth in zip(tasks, ["cat", "dog"] * 3, strict=True):
        for by in (1, 2, 4):
            annotate(task, truth, by=by)
        annotate(task, "dog", by=3)

    (agreement,) = pull(made, tasks).agreement

    by_name = {each.annotator: (each.share, each.kappa) for each in agreement.annotators}
    assert by_name["annotator 3"] == (0.5, 0.0)
    assert by_name["annotator 1"] == (1.0, 1.0)


def test_annotators_can_go_by_pseudonyms_that_stay_the_same(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    annotate(tasks[0], "dog", completed_by={"id": 1, "email": "a@example.org"})
    annotate(tasks[1], "dog", by=1)
    annotate(tasks[2], "dog", by=2)

    pull(made, tasks, annotators="pseudonym")

    first, same, other = made.values("ground_truth.annotator")[:3]
    assert first == same != other and first.removeprefix("annotator ") != "1"
    assert "example.org" not in json.dumps(stored(made), default=str)


def test_skipped_and_unanswered_images_have_no_label(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    annotate(tasks[0], was_cancelled=True)
    annotate(tasks[1])

    report = pull(made, tasks)

    assert made.values("labeling_state")[:2] == ["skipped", "skipped"]
    assert (labels_of(made)[:2], report.counts.skipped, report.counts.empty) == ([None, None], 1, 1)


# Kinds of fields


SEVERAL = CONFIG.replace('toName="image">', 'toName="image" choice="multiple">')


def test_several_choices_become_several_labels_and_none_of_them_is_an_answer(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made, fields={"label": "seen"})
    annotate(tasks[0], "dog", "cat")
    annotate(tasks[1])

    pull(made, tasks, SEVERAL)

    assert made.values("seen.classifications.label")[:3] == [["cat", "dog"], [], None]
    assert made.values("seen.annotator")[:2] == ["annotator 1"] * 2
    assert made.first().seen.classifications[0].annotator == "annotator 1"


def test_field_of_one_label_takes_one_choice_of_a_control_for_several(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    annotate(tasks[0], "dog")
    annotate(tasks[1], "dog", "cat")

    report = pull(made, tasks, SEVERAL)

    assert (labels_of(made)[:2], report.counts.empty) == (["dog", None], 1)


def test_taxonomy_is_read_by_its_paths(made: fo.Dataset, pull: Pull) -> None:
    config = (
        '<View><Image name="image" value="$image"/><Taxonomy name="label" toName="image" maxUsages="1">'
        '<Choice value="pet"><Choice value="dog"/><Choice value="cat"/></Choice><Choice value="wild"/></Taxonomy>'
        "</View>"
    )
    tasks = send(made)
    annotate(tasks[0], ["pet", "dog"])
    annotate(tasks[1], ["wild"])

    pull(made, tasks, config)

    assert labels_of(made)[:2] == ["dog", "wild"]


def test_several_controls_go_into_several_fields(made: fo.Dataset, pull: Pull) -> None:
    second = '<Choices name="light" toName="image"><Choice value="day"/><Choice value="night"/></Choices></View>'
    tasks = send(made, fields={"label": "ground_truth", "light": "light"})
    annotate(tasks[0], "dog")
    night = {"from_name": "light", "to_name": "image", "type": "choices", "value": {"choices": ["night"]}}
    tasks[0]["annotations"][0]["result"].append(night)

    pull(made, tasks, CONFIG.replace("</View>", second))

    assert (labels_of(made)[0], made.values("light.label")[0]) == ("dog", "night")


def test_field_that_holds_no_labels_is_refused(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)

    with pytest.raises(FieldError, match="no labels of images go there"):
        pull(made, tasks, fields=("label=filepath",))


# Undo


def test_a_pull_is_undone_as_a_whole_and_can_be_made_again(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    annotate(tasks[0], "dog")
    annotate(tasks[4], "cat")
    before = [made[key].ground_truth for key in made.values("id")]
    pull(made, tasks)

    undone = undo_action(made)

    after = [made[key].ground_truth for key in made.values("id")]
    assert [each and each.to_dict() for each in after] == [each and each.to_dict() for each in before]
    assert (made.values("labeling_state"), undone.samples) == (["out"] * 6, 2)
    assert pull(made, tasks).counts.labelled == 1


def test_undoing_leaves_labels_that_were_changed_since(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    annotate(tasks[0], "dog")
    annotate(tasks[1], "dog")
    pull(made, tasks)
    made.set_values("ground_truth.label", {made.first().id: "cat"}, key_field="id")

    undone = undo_action(made)

    assert labels_of(made)[:2] == ["cat", None]
    assert "changed or judged again since" in undone.notes[0]


def test_a_pull_that_was_killed_before_it_wrote_is_made_good_by_the_next(
    made: fo.Dataset, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = send(made)
    annotate(tasks[0], "dog")
    annotate(tasks[4], "cat")

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(bringing_back, "write_documents", kill)
        with pytest.raises(KeyboardInterrupt):
            pull(made, tasks)
    pull(made, tasks)

    assert labels_of(made)[0::4] == ["dog", "cat"]
    assert [undo_action(made).samples, undo_action(made).samples] == [2, 2]
    assert (labels_of(made)[0::4], made.values("labeling_state")) == ([None, "dog"], ["out"] * 6)


# Other files


def test_json_min_and_an_export_without_a_config_are_read_too(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    rows = [
        {**task["data"], "id": task["id"], "annotation_id": task["id"], "annotator": 1, "label": label}
        for task, label in zip(tasks, ["dog", {"choices": ["cat"]}], strict=False)
    ]

    pull(made, rows, None)

    assert labels_of(made)[:2] == ["dog", "cat"]


def test_table_of_labels_is_read_by_path_or_sample_and_several_annotators_vote(
    made: fo.Dataset, tmp_path: Path
) -> None:
    ids, paths = made.values(["id", "filepath"])
    by_path, by_id = tmp_path / "a.csv", tmp_path / "b.csv"
    by_path.write_text(
        f"path,label\n{Path(paths[0]).relative_to(tmp_path)},狐\nnowhere.png,dog\n{paths[1]},\n", "utf-8"
    )
    votes = "".join(f"{ids[2]};{label};{who}\n" for who, label in [("Ann", "cat"), ("Bob", "cat"), ("Cy", "dog")])
    by_id.write_text(f"sample;label;annotator\n{votes}", "utf-8")

    first = pull_from_label_studio(made, PullParams(file=by_path))
    pull_from_label_studio(made, PullParams(file=by_id))

    assert labels_of(made)[:3] == ["狐", None, "cat"]
    assert made[ids[2]].ground_truth.annotator == "Ann, Bob, Cy"
    assert first.counts.foreign == 1 and "狐" in " ".join(first.notes)


def test_table_says_several_labels_with_a_delimiter(made: fo.Dataset, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"sample,labels\n{made.first().id},dog|cat\n", "utf-8")

    pull_from_label_studio(made, PullParams(file=table, label_delimiter="|", fields=("seen",)))

    assert made.values("seen.classifications.label")[0] == ["cat", "dog"]


def test_damaged_annotations_do_not_take_the_others_along(made: fo.Dataset, pull: Pull) -> None:
    tasks = send(made)
    annotate(tasks[0], "dog", lead_time=float("nan"), updated_at="yesterday", completed_by=["who"])
    annotate(tasks[1], "half a fox \ud83e")
    tasks[2]["annotations"] = [None, {}, {"id": "x"}, {"id": 7, "result": [None, {"from_name": "label", "value": 3}]}]
    tasks[3]["annotations"] = None

    report = pull(made, tasks, None)

    assert labels_of(made)[:4] == ["dog", "half a fox ?", None, None]
    assert (made.values("ground_truth.annotator")[0], report.counts.empty) == (None, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "no JSON"), ("{}", "no list of tasks"), ('[{"data": {}}]', "no data or no annotations"), ("[[]]", "no list")],
)
def test_file_that_is_no_export_is_refused(made: fo.Dataset, tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "export.json"
    file.write_text(content, "utf-8")

    with pytest.raises(DataError, match=message):
        pull_from_label_studio(made, PullParams(file=file))
