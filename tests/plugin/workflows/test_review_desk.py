"""Labels wait for a decision page by page; decisions are saved, resumed, taken back, and undone as one action."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from tests.cached_vectors import put_into_cache
from tests.conftest import save_label_issues, write_image
from winnow.plugin.datasets import label_kinds
from winnow.plugin.datasets.labeling_batches import STATE_FIELD
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.vision import file_index
from winnow.plugin.workflows import review_desk as desk
from winnow.plugin.workflows.actions import list_actions, undo_action
from winnow.plugin.workflows.vectors import RUN

LABELS = ("cat", "cat", "dog", "dog", "狐", None)
SUGGESTED, CONFIDENCES = ["dog", "dog", "cat", "狐"], [0.99, 0.95, 0.8, 0.4]
QUALITY = [0.01, 0.05, 0.05, 0.3, 0.9]
PREDICTED = ("cat", "dog", "cat", "cat", "cat", "dog")


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return six images: four flagged labels, the second and third alike in quality, a good one, and none."""
    made = fo.Dataset(f"desk-{uuid.uuid4().hex[:12]}")
    samples = []
    for row, (label, predicted) in enumerate(zip(LABELS, PREDICTED, strict=True)):
        path = write_image(tmp_path / f"{row}.png")
        truth = fo.Classification(label=label, confidence=0.5, note="by hand") if label else None
        prediction = fo.Classification(label=predicted, confidence=0.4 + row / 10)
        samples.append(fo.Sample(filepath=str(path), ground_truth=truth, prediction=prediction, split="train"))
    made.add_samples(samples)
    save_label_issues(made, made.values("id")[:5], QUALITY, SUGGESTED, CONFIDENCES)
    yield made
    made.delete()


def stored(made: fo.Dataset) -> list[dict[str, Any]]:
    """Return every document as it lies in the database, by id, without the time of its last change and empty fields."""
    documents = list(made._sample_collection.find().sort("_id"))
    left_out = ("last_modified_at",)
    return [{k: value for k, value in each.items() if k not in left_out and value is not None} for each in documents]


def step(key: str, decision: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "decision": decision, **more}


def keys_of(page: dict[str, Any]) -> list[str]:
    return [item["key"] for item in page["items"]]


def queue_of(made: fo.Dataset, kind: str) -> dict[str, Any]:
    return next(queue for queue in desk.start(made)["queues"] if queue["kind"] == kind)


# What waits


def test_the_most_suspicious_labels_come_first(judged: fo.Dataset) -> None:
    page = desk.page(judged, "labels")

    first = page["items"][0]
    assert keys_of(page) == judged.values("id")[:4]
    assert (first["label"], first["suggested"], first["confidence"]) == ("cat", "dog", 0.99)
    assert (first["quality"], first["split"], first["decision"]) == (0.01, "train", None)
    assert (page["next"], page["waiting"]) == (None, 4)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_pages_follow_each_other_while_labels_leave_the_queue(judged: fo.Dataset, count: int) -> None:
    seen: list[str] = []
    place = None
    for _ in range(5):
        page = desk.page(judged, "labels", after=place, count=count)
        seen += keys_of(page)
        desk.save(judged, "labels", [step(key, "keep") for key in keys_of(page)], reviewer="ann")
        place = page["next"]
        if place is None:
            break

    assert seen == judged.values("id")[:4]


def test_only_the_view_is_reviewed(judged: fo.Dataset) -> None:
    page = desk.page(judged.skip(2), "labels")

    assert keys_of(page) == judged.values("id")[2:4]


def test_a_view_of_what_waits_may_run_empty(judged: fo.Dataset) -> None:
    waiting = judged.match({"label_issue": True})

    session = desk.save(waiting, "labels", [step(key, "keep") for key in judged.values("id")[:4]])["session"]

    assert desk.page(waiting, "labels")["items"] == []
    assert desk.back(waiting, "labels", session, judged.values("id")[:1])["items"][0]["decision"] is None
    assert desk.page(waiting, "labels")["waiting"] == 1


def test_a_start_tells_what_there_is_to_do(judged: fo.Dataset) -> None:
    desk.save(judged, "labels", [step(judged.first().id, "keep")])

    told = desk.start(judged)

    queues = {queue["kind"]: queue for queue in told["queues"]}
    assert (queues["labels"]["waiting"], queues["labels"]["decided"]) == (3, 1)
    assert queues["duplicates"]["run"] == "find_duplicates"
    assert queues["leaks"]["run"] == "find_leaks"
    assert (told["classes"], told["splits"]) == (["cat", "dog", "狐"], ["train"])
    assert told["cells"] == [
        {"given": "dog", "predicted": "cat", "count": 2},
        {"given": "cat", "predicted": "dog", "count": 1},
        {"given": "狐", "predicted": "cat", "count": 1},
    ]


def test_findings_that_are_older_than_the_dataset_say_so(judged: fo.Dataset) -> None:
    judged.delete_samples(judged.values("id")[:1])

    assert "1 samples were removed" in queue_of(judged, "labels")["stale"]


def test_a_label_that_was_changed_since_it_was_judged_has_no_suggestion(judged: fo.Dataset) -> None:
    sample = judged.first()
    sample.ground_truth.label = "狐"
    sample.save()

    item = desk.page(judged, "labels")["items"][0]

    assert (item["label"], item["suggested"]) == ("狐", None)


# Decisions


@pytest.mark.parametrize(
    ("decided", "label", "mark"),
    [
        (("accept", {}), "dog", "accepted"),
        (("keep", {}), "cat", "kept"),
        (("label", {"label": "狐"}), "狐", "corrected"),
        (("unsure", {}), "cat", "unsure"),
    ],
)
def test_a_decision_takes_effect_at_once(judged: fo.Dataset, decided: tuple, label: str, mark: str) -> None:
    key = judged.first().id

    saved = desk.save(judged, "labels", [step(key, decided[0], **decided[1])], reviewer=" ann ")

    held = judged.first()
    assert (saved["saved"], saved["skipped"]) == (1, [])
    assert (held.ground_truth.label, held.ground_truth.decision) == (label, mark)
    assert (held.ground_truth.decided_by, held.label_issue, held.suggested_label) == ("ann", False, None)
    shown = next(item for item in desk.page(judged, "labels", again=True)["items"] if item["key"] == key)
    assert (shown["decision"]["decision"], shown["decision"]["by"]) == (decided[0], "ann")


def test_of_two_decisions_at_once_the_last_one_counts(judged: fo.Dataset) -> None:
    key = judged.first().id

    desk.save(judged, "labels", [step(key, "accept"), step(key, "keep")])

    assert judged.first().ground_truth.label == "cat"


def test_a_session_is_one_action_that_grows(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    session = desk.save(judged, "labels", [step(ids[0], "accept")], reviewer="ann")["session"]

    again = desk.save(judged, "labels", [step(ids[1], "keep"), step(ids[0], "keep")], session=session, reviewer="ann")

    assert again["session"] == session
    (action,) = list_actions(judged).summary()["actions"]
    assert action["what"] == "reviewed 2 labels as ann"


@pytest.mark.parametrize(
    ("row", "decided", "reason"),
    [
        (5, ("keep", {}), "no label"),
        (4, ("accept", {}), "no suggestion"),
        (0, ("label", {"label": "wolf"}), "no class 'wolf'"),
        (0, ("label", {}), "no class 'None'"),
    ],
)
def test_what_can_not_be_decided_is_skipped_with_the_reason(
    judged: fo.Dataset, row: int, decided: tuple, reason: str
) -> None:
    before = stored(judged)

    saved = desk.save(judged, "labels", [step(judged.values("id")[row], decided[0], **decided[1])])

    assert (saved["saved"], saved["session"]) == (0, None)
    assert reason in saved["skipped"][0]["reason"]
    assert stored(judged) == before
    assert list_actions(judged).actions == ()


def test_a_sample_that_is_gone_does_not_keep_the_others_from_being_saved(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    judged.delete_samples(ids[:1])

    saved = desk.save(judged, "labels", [step(ids[0], "accept"), step(ids[1], "accept")])

    assert saved["saved"] == 1
    assert saved["skipped"] == [{"key": ids[0], "reason": "the image is gone"}]


def test_a_label_that_somebody_changed_while_it_was_shown_is_left(judged: fo.Dataset) -> None:
    item = desk.page(judged, "labels")["items"][0]
    sample = judged.first()
    sample.ground_truth.label = "狐"
    sample.save()

    saved = desk.save(judged, "labels", [step(item["key"], "keep", seen=item["seen"])])

    assert saved["skipped"][0]["reason"] == "the label was changed to '狐' meanwhile"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"key": "1", "decision": "keep"}], "needs the key"),
        ([{"decision": "keep"}], "needs the key"),
        ([{"key": "0" * 24, "decision": "apart"}], "'apart' can't be decided"),
        ([{"key": "0" * 24, "decision": "keep", "marks": ["cat"]}], "a word each for some names"),
    ],
)
def test_a_step_that_is_none_is_refused(judged: fo.Dataset, steps: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        desk.save(judged, "labels", steps)


# Two reviewers


def test_a_decision_of_somebody_else_is_not_overwritten_unseen(judged: fo.Dataset) -> None:
    item = desk.page(judged, "labels")["items"][0]
    desk.save(judged, "labels", [step(item["key"], "keep", seen=item["seen"])], reviewer="ann")

    saved = desk.save(judged, "labels", [step(item["key"], "accept", seen=item["seen"])], reviewer="bob")

    assert (saved["saved"], judged.first().ground_truth.label) == (0, "cat")
    assert saved["skipped"][0]["reason"].startswith("ann decided 'keep' at ")


def test_a_decision_of_somebody_else_that_was_shown_can_be_changed(judged: fo.Dataset) -> None:
    key = judged.first().id
    desk.save(judged, "labels", [step(key, "unsure")], reviewer="ann")
    item = next(item for item in desk.page(judged, "labels", again=True)["items"] if item["key"] == key)

    saved = desk.save(judged, "labels", [step(key, "label", label="dog", seen=item["seen"])], reviewer="bob")

    held = judged.first().ground_truth
    assert (saved["saved"], held.label, held.decided_by) == (1, "dog", "bob")


def test_undoing_one_reviewers_session_leaves_the_others_decisions(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    anns = desk.save(judged, "labels", [step(ids[0], "unsure"), step(ids[1], "accept")], reviewer="ann")["session"]
    seen = desk.page(judged, "labels", again=True)["items"]
    token = next(item["seen"] for item in seen if item["key"] == ids[0])
    desk.save(judged, "labels", [step(ids[0], "keep", seen=token)], reviewer="bob")

    report = undo_action(judged, anns)

    assert report.samples == 1
    assert report.notes == ("samples that are gone, or whose label was changed or judged again since: 1",)
    assert judged.first().ground_truth.decided_by == "bob"
    assert judged.values("ground_truth.label")[1] == "cat"


def test_a_session_of_somebody_else_does_not_go_on(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    anns = desk.save(judged, "labels", [step(ids[0], "keep")], reviewer="ann")["session"]

    bobs = desk.save(judged, "labels", [step(ids[1], "keep")], reviewer="bob", session=anns)["session"]

    assert bobs != anns


# Going back


def test_a_decision_is_taken_back_to_the_bit_and_the_others_stay(judged: fo.Dataset) -> None:
    ids, before = judged.values("id"), stored(judged)
    session = desk.save(judged, "labels", [step(ids[0], "accept"), step(ids[1], "accept")])["session"]
    desk.save(judged, "labels", [step(ids[0], "unsure")], session=session)

    (item,) = desk.back(judged, "labels", session, ids[:1])["items"]

    after = stored(judged)
    assert (item["label"], item["decision"]) == ("cat", None)
    assert (after[0], after[2:]) == (before[0], before[2:])
    assert after[1]["ground_truth"]["label"] == "dog"
    assert list_actions(judged).actions[0].summary["samples"] == 1


def test_what_somebody_else_decided_is_not_taken_back(judged: fo.Dataset) -> None:
    key = judged.first().id
    session = desk.save(judged, "labels", [step(key, "unsure")], reviewer="ann")["session"]
    seen = next(item["seen"] for item in desk.page(judged, "labels", again=True)["items"] if item["key"] == key)
    desk.save(judged, "labels", [step(key, "keep", seen=seen)], reviewer="bob")

    (item,) = desk.back(judged, "labels", session, [key])["items"]

    assert item["decision"]["by"] == "bob"


WORDS = ("accept", "keep", "unsure", "label", "back")


@pytest.mark.parametrize("seed", range(4))
def test_undoing_a_session_brings_everything_back_whatever_was_done_in_it(judged: fo.Dataset, seed: int) -> None:
    rng, ids, before, session = np.random.default_rng(seed), judged.values("id")[:5], stored(judged), None
    for _ in range(8):
        word, chosen = rng.choice(WORDS), rng.choice(ids, 2, replace=False).tolist()
        if word != "back":
            steps = [step(key, word, label="狐") for key in chosen]
            session = desk.save(judged, "labels", steps, session=session)["session"]
        elif session is not None:
            desk.back(judged, "labels", session, chosen)

    undo_action(judged)

    assert stored(judged) == before


def test_after_an_undo_another_session_begins(judged: fo.Dataset) -> None:
    key = judged.first().id
    session = desk.save(judged, "labels", [step(key, "accept")])["session"]
    undo_action(judged, session)

    with pytest.raises(DataError, match="was undone already"):
        desk.back(judged, "labels", session, [key])

    assert desk.save(judged, "labels", [step(key, "accept")], session=session)["session"] != session


def test_a_review_that_is_cut_off_can_be_undone_and_goes_on(
    judged: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, before = judged.values("id"), stored(judged)
    session = desk.save(judged, "labels", [step(ids[0], "accept")])["session"]

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(label_kinds, "write_documents", cut_off)  # recorded, but not done
        with pytest.raises(KeyboardInterrupt):
            desk.save(judged, "labels", [step(ids[1], "accept")], session=session)
    assert desk.page(judged, "labels")["waiting"] == 3
    assert desk.save(judged, "labels", [step(ids[1], "keep")], session=session)["session"] == session

    report = undo_action(judged, session)

    assert (report.samples, report.notes) == (2, ())
    assert stored(judged) == before


# Predictions


def test_the_labels_of_a_cell_of_the_confusion_matrix_come_with_the_surest_prediction_first(judged: fo.Dataset) -> None:
    page = desk.page(judged, "predictions", cell={"given": "dog", "predicted": "cat"}, count=1)

    ids = judged.values("id")
    assert keys_of(page) == [ids[3]]
    assert (page["items"][0]["suggested"], page["items"][0]["confidence"], page["waiting"]) == ("cat", 0.7, 2)
    following = desk.page(judged, "predictions", cell={"given": "dog", "predicted": "cat"}, after=page["next"])
    assert keys_of(following) == [ids[2]]


def test_a_prediction_that_was_decided_about_leaves_the_queue(judged: fo.Dataset) -> None:
    ids = judged.values("id")

    desk.save(judged, "predictions", [step(ids[4], "accept"), step(ids[3], "keep")], reviewer="ann")

    assert judged.values("ground_truth.label")[3:5] == ["dog", "cat"]
    assert judged.values("prediction.label")[4] == "cat"
    assert keys_of(desk.page(judged, "predictions")) == [ids[2], ids[1]]
    assert judged.values("label_issue")[3] is False
    assert keys_of(desk.page(judged, "predictions", again=True)) == [ids[3], ids[2], ids[1]]


def test_a_cell_that_is_none_is_refused(judged: fo.Dataset) -> None:
    with pytest.raises(DataError, match="`given` and a `predicted` class"):
        desk.page(judged, "predictions", cell={"given": "dog"})


# Unsure labels go on to somebody else


def test_unsure_labels_can_be_tagged_and_nothing_else(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    desk.save(judged, "labels", [step(ids[0], "unsure"), step(ids[1], "accept")])

    assert "in effect already" in desk.plan(judged, "labels", "delete")["refused"]
    assert desk.plan(judged, "labels", "tag", tag="ask")["count"] == 1
    desk.apply(judged, "labels", "tag", tag="ask")

    assert judged.match_tags("ask").values("id") == ids[:1]


def test_unsure_labels_of_any_review_wait_until_they_are_out_for_labelling(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    for reviewer, key in (("ann", ids[0]), ("bob", ids[1])):
        desk.save(judged, "labels", [step(key, "unsure")], reviewer=reviewer)

    assert desk.start(judged)["unsure"] == 2
    assert desk.start(judged.select(ids[1:]))["unsure"] == 1
    judged.add_sample_field(STATE_FIELD, fo.StringField)
    judged.set_values(STATE_FIELD, {ids[0]: "out", ids[1]: "skipped"}, key_field="id")
    assert desk.start(judged)["unsure"] == 1


# What can't be reviewed


def test_before_anything_was_looked_for_there_is_nothing_to_review(dataset: Any, tmp_path: Path) -> None:
    made = dataset()
    made.add_sample(fo.Sample(filepath=str(write_image(tmp_path / "a.png"))))

    assert {queue["run"] for queue in desk.start(made)["queues"]} == {
        *("find_label_issues", "find_duplicates", "find_leaks", "apply_classifier")
    }
    with pytest.raises(DataError, match="label issues were not looked for yet"):
        desk.page(made, "labels")


@pytest.mark.parametrize("place", ["20", "[1]", '["a", "b"]', '[1, "b"]'])
def test_a_place_that_is_none_is_refused(judged: fo.Dataset, place: str) -> None:
    with pytest.raises(DataError, match="is no place in a review"):
        desk.page(judged, "labels", after=place)


@pytest.mark.parametrize(("kind", "count"), [("labels", 0), ("labels", 101), ("colours", 1)])
def test_pages_that_do_not_exist_are_refused(judged: fo.Dataset, kind: str, count: int) -> None:
    with pytest.raises(DataError):
        desk.page(judged, kind, count=count)


def test_labels_of_a_read_only_field_are_left_alone(judged: fo.Dataset) -> None:
    judged.get_field("ground_truth").read_only = True
    judged.get_field("ground_truth").save()

    with pytest.raises(FieldError, match="read-only"):
        desk.save(judged, "labels", [step(judged.first().id, "keep")])

    assert list_actions(judged).actions == ()


def test_a_view_of_patches_is_refused(judged: fo.Dataset) -> None:
    sample = judged.first()
    sample["boxes"] = fo.Detections(detections=[fo.Detection(label="cat", bounding_box=[0, 0, 1, 1])])
    sample.save()

    with pytest.raises(DataError, match="shows patches"):
        desk.start(judged.to_patches("boxes"))


def test_images_of_all_slices_of_a_grouped_dataset_are_reviewed(dataset: Any, tmp_path: Path) -> None:
    made = dataset()
    made.add_group_field("group", default="left")
    for number in range(2):
        group = fo.Group()
        for name in ("left", "right"):
            path = write_image(tmp_path / f"{name}{number}.png")
            truth = fo.Classification(label="cat")
            made.add_sample(fo.Sample(filepath=str(path), group=group.element(name), ground_truth=truth))
    images = made.select_group_slices(media_type="image")
    ids = sorted(images.values("id"))
    save_label_issues(images, ids, [0.1, 0.2, 0.3, 0.4], ["dog", "dog"], [0.9, 0.9])
    made.reload()

    page = desk.page(made, "labels")
    saved = desk.save(made, "labels", [step(key, "accept") for key in keys_of(page)])

    assert keys_of(page) == ids[:2]
    assert saved["saved"] == 2
    assert dict(zip(*images.values(["id", "ground_truth.label"]), strict=True))[ids[0]] == "dog"


# Neighbours


def test_neighbours_are_the_nearest_images_with_a_good_label(
    judged: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_index, "_SETTLED_NS", 0)  # the files are younger than an index trusts
    ids, angle = judged.values("id"), np.radians([0, 10, 20, 30, 90, 5])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32) * 7
    put_into_cache(judged, RUN, judged.values("filepath"), vectors)
    desk.save(judged, "labels", [step(ids[3], "keep"), step(ids[2], "unsure")])

    neighbours = desk.page(judged, "labels")["items"][0]["neighbours"]

    # Beside it lie one without a label, one that is flagged, an unsure one, and then the confirmed and the good one.
    assert [(each["id"], each["label"], each["similarity"]) for each in neighbours] == [
        (ids[3], "dog", 0.866),
        (ids[4], "狐", 0.0),
    ]
    assert neighbours[0]["image"] == judged.values("filepath")[3]


def test_without_embeddings_there_are_no_neighbours(judged: fo.Dataset) -> None:
    assert [item["neighbours"] for item in desk.page(judged, "labels")["items"]] == [[]] * 4


def test_every_field_of_an_item_is_plain_json(judged: fo.Dataset) -> None:
    desk.save(judged, "labels", [step(judged.first().id, "keep")])

    for answer in itertools.chain([desk.start(judged)], desk.page(judged, "labels", again=True)["items"]):
        assert json.loads(json.dumps(answer)) == answer
