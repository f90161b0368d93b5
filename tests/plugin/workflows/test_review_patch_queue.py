"""Labels of detections wait for a decision, one by one, and are taken back without touching the detections beside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId

from tests.cached_vectors import put_into_cache
from tests.patch_labels import judge_patches
from winnow.plugin.datasets import label_kinds
from winnow.plugin.datasets.patches import read_patches
from winnow.plugin.vision import file_index
from winnow.plugin.workflows import review_desk as desk
from winnow.plugin.workflows.actions import undo_action
from winnow.plugin.workflows.patch_vectors import PATCHES_RUN
from winnow.plugin.workflows.review_labels import review_labels


@pytest.fixture
def judged(dataset: Callable[..., fo.Dataset]) -> fo.Dataset:
    """Return two images with five detections, of which the first, third and fourth are flagged, in this order."""
    return judge_patches(dataset())


def keys_of(made: fo.Dataset) -> list[str]:
    return [str(key) for key in read_patches(made, "objects").ids]


def column(made: fo.Dataset, name: str) -> list[Any]:
    return list(made.values(f"objects.detections.{name}", unwind=True))


def documents(made: fo.Dataset) -> list[dict[str, Any]]:
    """Return the detections as they are in the database, without empty attributes."""
    found = [label for held in made._sample_collection.find().sort("_id") for label in held["objects"]["detections"]]
    return [{name: value for name, value in label.items() if value is not None} for label in found]


def step(key: str, decision: str, **options: Any) -> dict[str, Any]:
    return {"key": key, "decision": decision, **options}


def test_the_most_suspicious_label_comes_first_with_its_box(judged: fo.Dataset) -> None:
    keys = keys_of(judged)

    page = desk.page(judged, "patches")

    assert [item["key"] for item in page["items"]] == [keys[0], keys[2], keys[3]]
    first = page["items"][0]
    assert (first["label"], first["suggested"], first["confidence"]) == ("cat", "dog", 0.98)
    assert (first["image"], first["box"], first["verdict"], page["waiting"]) == ("/a.png", [0, 0, 1, 1], "wrong", 3)
    assert json.loads(json.dumps(page)) == page


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_pages_follow_each_other_while_labels_leave_the_queue(judged: fo.Dataset, count: int) -> None:
    seen, place = [], None
    while True:
        page = desk.page(judged, "patches", after=place, count=count)
        seen += [item["key"] for item in page["items"]]
        desk.save(judged, "patches", [step(item["key"], "keep") for item in page["items"]])
        place = page["next"]
        if place is None:
            break

    assert len(seen) == len(set(seen)) == 3


def test_neighbours_are_the_nearest_detections_with_a_good_label(
    dataset: Callable[..., fo.Dataset], image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_index, "_SETTLED_NS", 0)  # the files are younger than an index trusts
    folder = image_folder("a.png", "b.png")
    made = judge_patches(dataset(), [str(folder / "a.png"), str(folder / "b.png")])
    lefts = [[0.0, 0.1], [0.2, 0.3, 0.4]]
    boxes = [[[left, 0.0, 0.5, 0.5] for left in some] for some in lefts]
    made.set_values("objects.detections.bounding_box", boxes)
    patches, angle = read_patches(made, "objects"), np.radians([0, 30, 10, 20, 90])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    put_into_cache(made, PATCHES_RUN, patches.paths.tolist(), vectors, patches.boxes)
    keys = keys_of(made)
    desk.save(made, "patches", [step(keys[3], "keep")])

    page = desk.page(made, "patches")

    # Beside the first one lie a flagged one, and then the confirmed one and those that nobody doubts.
    assert [(each["id"], each["label"], each["similarity"]) for each in page["items"][0]["neighbours"]] == [
        (keys[3], "dog", 0.9397),
        (keys[1], "cat", 0.866),
        (keys[4], "fox", 0.0),
    ]
    assert page["items"][0]["neighbours"][0] == {
        "id": keys[3],
        "image": str(folder / "b.png"),
        "label": "dog",
        "similarity": 0.9397,
        "box": [0.3, 0.0, 0.5, 0.5],
    }
    assert json.loads(json.dumps(page)) == page


def test_of_many_detections_some_are_searched(
    dataset: Callable[..., fo.Dataset], image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_index, "_SETTLED_NS", 0)
    monkeypatch.setattr("winnow.plugin.workflows.review_neighbours._MOST_IMAGES", 2)
    folder = image_folder("a.png", "b.png")
    made = judge_patches(dataset(), [str(folder / "a.png"), str(folder / "b.png")])
    made.add_samples([fo.Sample(filepath=str(folder / f"{name}.png")) for name in "cde"])  # without any
    patches = read_patches(made, "objects")
    put_into_cache(made, PATCHES_RUN, patches.paths.tolist(), np.eye(5, dtype=np.float32), patches.boxes)
    keys = keys_of(made)
    desk.save(made, "patches", [step(keys[3], "keep")])

    near = [[each["id"] for each in item["neighbours"]] for item in desk.page(made, "patches")["items"]]

    assert near == [[keys[3]]] * 2  # every third one is searched: a flagged one, and the one that was kept


def test_a_start_tells_of_detections_and_their_classes(judged: fo.Dataset) -> None:
    desk.save(judged, "patches", [step(keys_of(judged)[0], "accept")])

    (queue,) = [each for each in desk.start(judged)["queues"] if each["kind"] == "patches"]

    assert (queue["waiting"], queue["decided"], queue["note"]) == (2, 1, None)
    assert queue["classes"] == ["cat", "dog", "fox"]


def test_only_the_detections_of_the_view_wait(judged: fo.Dataset) -> None:
    assert [item["key"] for item in desk.page(judged.limit(1), "patches")["items"]] == keys_of(judged)[:1]


def test_without_detections_there_is_no_such_queue(judged: fo.Dataset) -> None:
    judged.delete_sample_field("objects")

    assert "patches" not in [each["kind"] for each in desk.start(judged)["queues"]]


def test_before_they_were_looked_for_the_operator_is_named(dataset: Callable[..., fo.Dataset]) -> None:
    made = dataset()
    made.add_sample(fo.Sample(filepath="/a.png", objects=fo.Detections(detections=[fo.Detection(label="cat")])))

    (queue,) = [each for each in desk.start(made)["queues"] if each["kind"] == "patches"]

    assert (queue["run"], queue["waiting"]) == ("find_label_issues", 0)


@pytest.mark.parametrize(
    ("decided", "label", "decision", "quality"),
    [
        ({"decision": "accept"}, "dog", "accepted", 1.0),
        ({"decision": "keep"}, "cat", "kept", 1.0),
        ({"decision": "unsure"}, "cat", "unsure", 0.02),
        ({"decision": "label", "label": "fox"}, "fox", "corrected", 1.0),
    ],
)
def test_a_decision_takes_effect_at_once_and_on_that_detection_alone(
    judged: fo.Dataset, decided: dict[str, Any], label: str, decision: str, quality: float
) -> None:
    before = documents(judged)

    desk.save(judged, "patches", [{"key": keys_of(judged)[0], **decided}], reviewer="ann")

    assert documents(judged)[1:] == before[1:]
    assert [column(judged, name)[0] for name in ("label", "decision", "decided_by")] == [label, decision, "ann"]
    assert [column(judged, name)[0] for name in ("label_issue", "suggested_label", "label_quality")] == [
        False,
        None,
        quality,
    ]
    assert column(judged, "vector")[0] == [1.0, 2.0]


def test_a_desk_decides_as_the_operator_does(judged: fo.Dataset, dataset: Callable[..., fo.Dataset]) -> None:
    other = judge_patches(dataset())
    for word, place in (("accept", 0), ("keep", 2), ("unsure", 3)):
        review_labels(judged, word, [keys_of(judged)[place]], patches_field="objects")
        desk.save(other, "patches", [step(keys_of(other)[place], word)])

    for name in ("label", "decision", "decided_label", "label_issue", "label_quality", "suggested_label"):
        assert column(judged, name) == column(other, name)


def test_what_can_not_be_decided_is_skipped_with_the_reason(judged: fo.Dataset) -> None:
    keys = keys_of(judged)
    sample = judged.first()
    sample.objects.detections = sample.objects.detections[1:]
    sample.save()

    steps = [step(keys[0], "accept"), step(keys[1], "accept"), step(keys[2], "label", label="wolf")]
    saved = desk.save(judged, "patches", [*steps, step(keys[3], "keep")])

    assert saved["saved"] == 1
    assert [each["reason"] for each in saved["skipped"]] == [
        "the detection is gone",
        "there is no suggestion for this label any more",
        "the dataset has no class 'wolf'",
    ]


def test_a_decision_of_somebody_else_is_not_overwritten_unseen(judged: fo.Dataset) -> None:
    item = desk.page(judged, "patches")["items"][0]
    desk.save(judged, "patches", [step(item["key"], "keep", seen=item["seen"])], reviewer="ann")

    saved = desk.save(judged, "patches", [step(item["key"], "accept", seen=item["seen"])], reviewer="bob")

    assert "ann decided 'keep'" in saved["skipped"][0]["reason"]
    assert column(judged, "label")[0] == "cat"


@pytest.mark.parametrize("seed", range(4))
def test_undoing_a_session_brings_everything_back_whatever_was_done_in_it(judged: fo.Dataset, seed: int) -> None:
    rng, before, session = np.random.default_rng(seed), documents(judged), None
    keys = keys_of(judged)
    for _ in range(8):
        word, chosen = rng.choice(("accept", "keep", "unsure", "label", "back")), rng.choice(keys, 2, replace=False)
        if word != "back":
            steps = [step(key, word, label="fox") for key in chosen.tolist()]
            session = desk.save(judged, "patches", steps, session=session)["session"]
        elif session is not None:
            desk.back(judged, "patches", session, chosen.tolist())

    undo_action(judged)

    assert documents(judged) == before


def test_samples_behind_detections_are_those_that_hold_them(judged: fo.Dataset) -> None:
    keys, ids = keys_of(judged), judged.values("id")

    assert desk.samples_of(judged, "patches", [keys[0], keys[2], keys[3]]) == sorted(ids)


def test_images_of_unsure_detections_can_be_tagged(judged: fo.Dataset) -> None:
    desk.save(judged, "patches", [step(key, "unsure") for key in (keys_of(judged)[2], keys_of(judged)[3])])

    desk.apply(judged, "patches", "tag", tag="ask")

    assert judged.match_tags("ask").values("filepath") == ["/b.png"]


def test_images_outside_the_view_are_not_tagged(judged: fo.Dataset) -> None:
    desk.save(judged, "patches", [step(keys_of(judged)[place], "unsure") for place in (0, 2)])

    desk.apply(judged.match({"filepath": "/a.png"}), "patches", "tag", tag="ask")

    assert judged.match_tags("ask").values("filepath") == ["/a.png"]


@pytest.fixture
def overtake(judged: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what has somebody set attributes of the first detection whenever detections were read."""
    first, read = {"objects.detections._id": ObjectId(keys_of(judged)[0])}, label_kinds.detections

    def overtake(**attributes: Any) -> None:
        def read_late(*arguments: Any) -> Iterator[Any]:
            yield from list(read(*arguments))
            setting = {f"objects.detections.$.{name}": value for name, value in attributes.items()}
            judged._sample_collection.update_one(first, {"$set": setting})

        monkeypatch.setattr(label_kinds, "detections", read_late)

    return overtake


def test_a_label_that_somebody_changes_while_it_is_decided_about_stays(
    judged: fo.Dataset, overtake: Callable[..., None]
) -> None:
    keys = keys_of(judged)
    overtake(label="fox")

    saved = desk.save(judged, "patches", [step(keys[0], "accept"), step(keys[3], "accept")])

    assert saved["saved"] == 1
    assert [documents(judged)[place]["label"] for place in (0, 3)] == ["fox", "cat"]


def test_what_somebody_moves_while_its_label_is_decided_about_stays_where_it_is(
    judged: fo.Dataset, overtake: Callable[..., None]
) -> None:
    overtake(bounding_box=[0.1, 0.1, 0.2, 0.2])

    desk.save(judged, "patches", [step(keys_of(judged)[0], "accept")])

    assert (documents(judged)[0]["label"], documents(judged)[0]["bounding_box"]) == ("dog", [0.1, 0.1, 0.2, 0.2])
