"""Images with several labels wait for a decision: what is suggested is accepted, kept, or left open, by image."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from tests.label_sets import labels_of, make_judged
from winnow.plugin.datasets.labeling_batches import STATE_FIELD
from winnow.plugin.datasets.multi_label_decisions import read_label_set_decisions
from winnow.plugin.errors import DataError
from winnow.plugin.workflows import review_desk as desk
from winnow.plugin.workflows.actions import list_actions, undo_action
from winnow.plugin.workflows.review_labels import review_labels


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return six images, see `make_judged`: by suspicion the second (add cat), the first (add fox, remove dog), the
    third (remove fox) wait."""
    made = make_judged(tmp_path)
    yield made
    made.delete()


def names(made: fo.Dataset) -> list[list[str] | None]:
    return [found if found is None else sorted(found) for found in made.values("things.classifications.label")]


def stored(made: fo.Dataset) -> list[dict[str, Any]]:
    """Return every document as it lies in the database, by id, without the time of its last change and empty fields."""
    documents = list(made._sample_collection.find().sort("_id"))
    return [{k: v for k, v in each.items() if k != "last_modified_at" and v is not None} for each in documents]


def timeless_decisions(made: fo.Dataset) -> list[list[dict[str, Any]]]:
    return [[{**each, "at": 0, "run": 0} for each in found or ()] for found in made.values("things.decisions")]


def step(key: str, decision: str, **options: Any) -> dict[str, Any]:
    return {"key": key, "decision": decision, **options}


def test_the_most_suspicious_image_comes_first_with_all_that_is_suggested_for_it(judged: fo.Dataset) -> None:
    ids = judged.values("id")

    page = desk.page(judged, "labels")

    assert [item["key"] for item in page["items"]] == [ids[1], ids[0], ids[2]]
    first = page["items"][1]
    assert (first["labels"], first["verdict"], first["decision"]) == (["cat", "dog"], "wrong", None)
    assert first["changes"] == [
        {"label": "fox", "change": "add", "confidence": 0.95},
        {"label": "dog", "change": "remove", "confidence": 0.8},
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_pages_follow_each_other_while_images_leave_the_queue(judged: fo.Dataset, count: int) -> None:
    seen, place = [], None
    while True:
        page = desk.page(judged, "labels", after=place, count=count)
        seen += [item["key"] for item in page["items"]]
        desk.save(judged, "labels", [step(item["key"], "keep") for item in page["items"]])
        place = page["next"]
        if place is None:
            break

    assert len(seen) == len(set(seen)) == 3


def test_a_start_tells_of_images_and_classes(judged: fo.Dataset) -> None:
    desk.save(judged, "labels", [step(judged.first().id, "unsure")])

    started = desk.start(judged)

    (queue,) = [each for each in started["queues"] if each["kind"] == "labels"]
    assert (queue["several"], queue["waiting"], queue["decided"], started["unsure"]) == (True, 2, 1, 1)
    assert started["classes"] == ["cat", "dog", "fox"]


@pytest.mark.parametrize(
    ("decided", "labels", "decisions"),
    [
        ({"decision": "accept"}, ["cat", "fox"], {"dog": "accepted", "fox": "accepted"}),
        ({"decision": "keep"}, ["cat", "dog"], {"dog": "kept", "fox": "kept"}),
        ({"decision": "unsure"}, ["cat", "dog"], {"dog": "unsure", "fox": "unsure"}),
        (
            {"decision": "mark", "marks": {"fox": "accept", "dog": "keep"}},
            ["cat", "dog", "fox"],
            {"dog": "kept", "fox": "accepted"},
        ),
        (  # a class that nothing is suggested for
            {"decision": "mark", "marks": {"fox": "accept", "dog": "accept", "cat": "accept"}},
            ["fox"],
            {"cat": "accepted", "dog": "accepted", "fox": "accepted"},
        ),
    ],
)
def test_a_decision_takes_effect_at_once(
    judged: fo.Dataset, decided: dict[str, Any], labels: list[str], decisions: dict[str, str]
) -> None:
    key = judged.first().id

    saved = desk.save(judged, "labels", [{"key": key, **decided}], reviewer="ann")

    sample = judged[key]
    assert saved["saved"] == 1
    assert sorted(label.label for label in sample.things.classifications) == labels
    assert read_label_set_decisions(judged, "things")[key] == decisions
    assert (sample.label_issue, sample.suggested_labels, sample.label_verdict) == (False, None, None)
    assert list_actions(judged).actions[0].params["by"] == "ann"


def test_what_was_not_marked_still_waits(judged: fo.Dataset) -> None:
    key = judged.first().id

    desk.save(judged, "labels", [step(key, "mark", marks={"fox": "accept"})])

    (item,) = [each for each in desk.page(judged, "labels")["items"] if each["key"] == key]
    assert (item["labels"], [each["label"] for each in item["changes"]]) == (["cat", "dog", "fox"], ["dog"])
    assert (item["quality"], item["decision"]["decision"]) == (0.2, "accept")


def test_a_desk_decides_as_the_operator_does(judged: fo.Dataset, tmp_path: Path) -> None:
    other = make_judged(tmp_path / "other")
    try:
        for word, place in (("accept", 0), ("keep", 1), ("unsure", 2)):
            review_labels(judged, word, [judged.values("id")[place]])
            desk.save(other, "labels", [step(other.values("id")[place], word)])

        fields = ["label_issue", "label_quality", "label_verdict", "suggested_labels"]
        assert names(judged) == names(other)
        assert judged.values(fields) == other.values(fields)
        kept = [[{**each, "at": 0, "run": 0} for each in found or ()] for found in judged.values("things.decisions")]
        assert kept == [
            [{**each, "at": 0, "run": 0} for each in found or ()] for found in other.values("things.decisions")
        ]
    finally:
        other.delete()


def test_a_change_that_somebody_made_meanwhile_is_not_suggested_any_more(judged: fo.Dataset) -> None:
    sample = judged.first()
    sample.things.classifications.append(fo.Classification(label="fox"))
    sample.save()

    (item,) = [each for each in desk.page(judged, "labels")["items"] if each["key"] == sample.id]

    assert [each["label"] for each in item["changes"]] == ["dog"]


@pytest.mark.parametrize("word", ["keep", "unsure"])
def test_an_image_whose_changes_somebody_made_meanwhile_can_leave_the_queue(judged: fo.Dataset, word: str) -> None:
    sample = judged[judged.values("id")[1]]
    sample.things = labels_of({"cat"})
    sample.save()
    before = stored(judged)

    saved = desk.save(judged, "labels", [step(sample.id, word)])

    assert saved["saved"] == 1
    assert sample.id not in [item["key"] for item in desk.page(judged, "labels")["items"]]
    desk.back(judged, "labels", saved["session"], [sample.id])
    assert stored(judged) == before


@pytest.mark.parametrize(
    ("decided", "reason"),
    [
        ({"decision": "mark", "marks": {"wolf": "accept"}}, "has no class 'wolf'"),
        ({"decision": "mark", "marks": {"fox": "remove"}}, "'remove' can't be decided"),
        ({"decision": "mark"}, "nothing is suggested"),
    ],
)
def test_what_can_not_be_decided_is_skipped_with_the_reason(
    judged: fo.Dataset, decided: dict[str, Any], reason: str
) -> None:
    before = stored(judged)

    saved = desk.save(judged, "labels", [{"key": judged.first().id, **decided}])

    assert saved["saved"] == 0
    assert reason in saved["skipped"][0]["reason"]
    assert stored(judged) == before


def test_images_that_are_gone_or_not_annotated_do_not_keep_the_others_from_being_saved(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    judged.delete_samples(ids[:1])

    saved = desk.save(judged, "labels", [step(key, "accept") for key in (ids[0], ids[1], ids[3], ids[5])])

    assert saved["saved"] == 1
    assert dict((each["key"], each["reason"]) for each in saved["skipped"]) == {
        ids[0]: "the image is gone",
        ids[3]: "nothing is suggested for this image any more",
        ids[5]: "the image is not annotated any more",
    }


def test_a_decision_needs_one_of_the_words(judged: fo.Dataset) -> None:
    with pytest.raises(DataError, match="accept, keep, unsure, mark"):
        desk.save(judged, "labels", [step(judged.first().id, "label", label="cat")])


def test_what_somebody_else_decided_or_changed_unseen_is_left(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    seen = {item["key"]: item["seen"] for item in desk.page(judged, "labels")["items"]}
    desk.save(judged, "labels", [step(ids[0], "keep")], reviewer="ann")
    sample = judged[ids[2]]
    sample.things.classifications.append(fo.Classification(label="owl"))
    sample.save()

    saved = desk.save(
        judged, "labels", [step(key, "accept", seen=seen[key]) for key in (ids[0], ids[2])], reviewer="bob"
    )

    reasons = [each["reason"] for each in saved["skipped"]]
    assert saved["saved"] == 0
    assert "ann decided 'keep'" in reasons[0]
    assert "changed to 'fox', 'owl' meanwhile" in reasons[1]


def test_a_decision_is_taken_back_to_the_bit_and_the_others_stay(judged: fo.Dataset) -> None:
    ids, before = judged.values("id"), stored(judged)
    session = desk.save(judged, "labels", [step(ids[0], "accept"), step(ids[1], "accept")])["session"]
    desk.save(judged, "labels", [step(ids[0], "mark", marks={"owl": "accept"})], session=session)

    (item,) = desk.back(judged, "labels", session, ids[:1])["items"]

    after = stored(judged)
    assert (item["labels"], len(item["changes"]), item["decision"]) == (["cat", "dog"], 2, None)
    assert (after[0], after[2:]) == (before[0], before[2:])
    assert names(judged)[1] == ["cat"]
    assert list_actions(judged).actions[0].summary["samples"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_undoing_a_session_brings_everything_back_whatever_was_done_in_it(judged: fo.Dataset, seed: int) -> None:
    rng, ids, before, session = np.random.default_rng(seed), judged.values("id")[:3], stored(judged), None
    for _ in range(8):
        word, chosen = rng.choice(("accept", "keep", "unsure", "mark", "back")), rng.choice(ids, 2, replace=False)
        if word != "back":
            steps = [step(key, word, marks={"cat": "accept", "fox": "unsure"}) for key in chosen.tolist()]
            session = desk.save(judged, "labels", steps, session=session)["session"]
        elif session is not None:
            desk.back(judged, "labels", session, chosen.tolist())

    undo_action(judged)

    assert stored(judged) == before


def test_unsure_labels_can_be_tagged_and_sent(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    desk.save(judged, "labels", [step(ids[0], "mark", marks={"fox": "unsure"}), step(ids[1], "accept")])

    desk.apply(judged, "labels", "tag", tag="ask")

    assert judged.match_tags("ask").values("id") == ids[:1]
    judged.add_sample_field(STATE_FIELD, fo.StringField)
    judged.set_values(STATE_FIELD, {ids[0]: "out"}, key_field="id")
    assert desk.start(judged)["unsure"] == 0


def test_every_field_of_an_item_is_plain_json(judged: fo.Dataset) -> None:
    key = judged.first().id
    desk.save(judged, "labels", [step(key, "mark", marks={"fox": "keep", "dog": "accept"})])

    items = desk.page(judged, "labels", again=True)["items"]

    for answer in itertools.chain([desk.start(judged)], items):
        assert json.loads(json.dumps(answer)) == answer
    assert {item["key"]: item["decision"] for item in items}[key]["decision"] == "mark"
