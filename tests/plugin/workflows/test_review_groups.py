"""Groups of near-duplicates and leaks are judged as wholes, marked, applied with care, and brought back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from tests.conftest import write_image
from winnow.plugin.datasets import group_marks, runs
from winnow.plugin.datasets.decisions import read_decisions
from winnow.plugin.datasets.fields import set_own_values, write_values
from winnow.plugin.errors import DataError
from winnow.plugin.workflows import review_desk as desk
from winnow.plugin.workflows.actions import list_actions, undo_action
from winnow.plugin.workflows.changes import ChangesParams, list_changes
from winnow.plugin.workflows.findings import DUPLICATES_RUN, LEAKS_RUN

# Label, split, duplicate group, score and role of each image; the two last ones are in no group.
ROWS = (
    ("cat", "train", 0, 0.8, "keeper"),
    ("cat", "train", 0, 0.8, "copy"),
    ("cat", "test", 1, 0.95, "keeper"),
    ("dog", "train", 1, 0.95, "copy"),
    ("dog", "train", 1, 0.9, "copy"),
    ("dog", "train", 2, 0.8, "keeper"),
    ("dog", "train", 2, 0.8, "copy"),
    ("cat", "train", None, None, None),
    ("dog", "test", None, None, None),
)
PAIRS = ((0, 1, 0.8, "near"), (2, 3, 0.95, "same_pixels"), (2, 4, 0.9, "near"), (5, 6, 0.8, "near"))


@pytest.fixture
def found(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return nine images as the searches for near-duplicates and leaks leave them: three groups, one of them a leak."""
    made = fo.Dataset(f"groups-{uuid.uuid4().hex[:12]}")
    paths = [write_image(tmp_path / f"{row}.png") for row in range(len(ROWS))]
    samples = [
        fo.Sample(filepath=str(path), ground_truth=fo.Classification(label=label), split=split)
        for path, (label, split, *_) in zip(paths, ROWS, strict=True)
    ]
    made.add_samples(samples)
    save_duplicates(made, made.values("id"))
    yield made
    made.delete()


def save_duplicates(made: fo.Dataset, ids: list[str], shift: int = 0) -> None:
    """Write what the two searches leave; `shift` numbers the groups anew, as another search may."""
    groups = [None if row[2] is None else row[2] + shift for row in ROWS]
    write_values(made, "duplicate_group", ids, groups, kind="int")
    write_values(made, "duplicate_score", ids, [row[3] for row in ROWS], kind="float")
    write_values(made, "duplicate_role", ids, [row[4] for row in ROWS], kind="str")
    fields = ["duplicate_group", "duplicate_score", "duplicate_role"]
    save_found(made, DUPLICATES_RUN, ids, PAIRS, fields)
    write_values(made, "leak_group", ids[2:5], [0, 0, 0], kind="int")
    write_values(made, "leak_score", ids[2:5], [0.95, 0.95, 0.9], kind="float")
    write_values(made, "leak_kind", ids[2:5], ["same pixels", "same pixels", "near-duplicate"], kind="str")
    save_found(made, LEAKS_RUN, ids, PAIRS[1:3], ["leak_score", "leak_kind", "leak_group"])


def save_found(made: fo.Dataset, key: str, ids: list[str], pairs: Sequence[tuple], fields: list[str]) -> None:
    results = {
        "pairs": [[ids[a], ids[b]] for a, b, *_ in pairs],
        "scores": [pair[2] for pair in pairs],
        "kinds": [pair[3] for pair in pairs],
    }
    runs.save_run(made, key, method="found", params={}, fields=fields, summary={}, results=results)


def stored(made: fo.Dataset) -> list[dict[str, Any]]:
    """Return every document by id, without the time of its last change and empty fields."""
    documents = list(made._sample_collection.find().sort("_id"))
    left_out = ("last_modified_at",)
    return [{k: value for k, value in each.items() if k not in left_out and value is not None} for each in documents]


def keys_of(page: dict[str, Any]) -> list[str]:
    return [item["key"] for item in page["items"]]


def marked(item: dict[str, Any]) -> dict[str, Any]:
    """Return the step that marks a group as it is proposed."""
    return {"key": item["key"], "decision": "mark", "marks": item["proposed"], "seen": item["seen"]}


def decided(key: str, decision: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "decision": decision, **more}


# What waits


def test_the_group_with_the_best_pair_comes_first_and_equals_by_id(found: fo.Dataset) -> None:
    ids = found.values("id")

    page = desk.page(found, "duplicates", count=2)
    following = desk.page(found, "duplicates", count=2, after=page["next"])

    assert keys_of(page) + keys_of(following) == [ids[2], ids[0], ids[5]]
    assert (page["waiting"], following["next"]) == (3, None)


def test_a_group_tells_what_a_reviewer_compares(found: fo.Dataset) -> None:
    item = desk.page(found, "duplicates")["items"][0]

    ids = found.values("id")
    assert (item["score"], item["exact"], item["conflict"]) == (0.95, False, True)
    assert item["proposed"] == {ids[2]: "keep", ids[3]: "remove", ids[4]: "remove"}
    assert [(each["label"], each["split"], each["similarity"]) for each in item["members"]] == [
        ("cat", "test", None),
        ("dog", "train", 0.95),
        ("dog", "train", 0.9),
    ]
    assert (item["members"][0]["width"], item["members"][0]["role"]) == (16, "keeper")
    assert item["members"][0]["bytes"] == Path(found.first().filepath).parent.joinpath("2.png").stat().st_size


def test_a_group_is_reviewed_as_a_whole_where_one_of_its_images_is_in_the_view(found: fo.Dataset) -> None:
    page = desk.page(found.match({"split": "test"}), "duplicates")

    assert keys_of(page) == [found.values("id")[2]]
    assert len(page["items"][0]["members"]) == 3


def test_a_leak_proposes_that_the_training_side_goes(found: fo.Dataset) -> None:
    (item,) = desk.page(found, "leaks")["items"]

    ids = found.values("id")
    assert item["proposed"] == {ids[2]: "keep", ids[3]: "remove", ids[4]: "remove"}


def test_a_group_whose_keeper_is_gone_keeps_another(found: fo.Dataset) -> None:
    ids = found.values("id")
    found.delete_samples([ids[2]])

    item = next(item for item in desk.page(found, "duplicates")["items"] if item["key"] == ids[3])

    assert sorted(item["proposed"].values()) == ["keep", "remove"]


def test_a_group_of_which_one_image_is_left_does_not_wait(found: fo.Dataset) -> None:
    found.delete_samples(found.values("id")[:1])

    assert desk.page(found, "duplicates")["waiting"] == 2


# Decisions


@pytest.mark.parametrize(
    ("decision", "labels"),
    [("keep all", {"keep"}), ("unsure", {"unsure"}), ("apart", {"apart"})],
)
def test_a_decision_marks_all_images_of_the_group(found: fo.Dataset, decision: str, labels: set[str]) -> None:
    ids = found.values("id")

    saved = desk.save(found, "duplicates", [decided(ids[0], decision)], reviewer="ann")

    marks = found.select(ids[:2]).values("duplicate_review")
    assert (saved["saved"], saved["skipped"]) == (1, [])
    assert {mark.label for mark in marks} == labels
    assert {mark.decided_by for mark in marks} == {"ann"}
    assert keys_of(desk.page(found, "duplicates")) == [ids[2], ids[5]]


def test_different_images_and_kept_copies_are_remembered_for_later_searches(found: fo.Dataset) -> None:
    ids = found.values("id")

    desk.save(found, "duplicates", [decided(ids[0], "apart"), decided(ids[5], "keep all")])

    decisions = read_decisions(found)
    assert decisions.apart([ids[0]], [ids[1]]).tolist() == [True]
    assert decisions.keeps_all(ids[5:7])
    assert found.values("duplicate_group")[:2] == [None, None]
    assert found.values("duplicate_role")[5:7] == ["kept", "kept"]


def test_a_leak_that_was_none_is_no_leak_any_more(found: fo.Dataset) -> None:
    ids, before = found.values("id"), stored(found)

    session = desk.save(found, "leaks", [decided(ids[2], "apart")])["session"]

    assert found.values("leak_group")[2:5] == found.values("leak_score")[2:5] == [None] * 3
    assert found.values("duplicate_group")[2:5] == [None] * 3
    assert read_decisions(found).apart([ids[2]], [ids[3]]).tolist() == [True]
    undo_action(found, session)
    assert stored(found) == before


def test_marks_are_shown_again_with_who_made_them(found: fo.Dataset) -> None:
    item = desk.page(found, "duplicates")["items"][0]
    desk.save(found, "duplicates", [marked(item)], reviewer="ann")

    again = desk.page(found, "duplicates", again=True)["items"][0]

    assert (again["decision"], again["by"], again["marks"]) == ("mark", "ann", item["proposed"])


@pytest.mark.parametrize("mark", ["remove", "keep"])
def test_marks_that_would_lose_something_are_skipped_with_the_reason(found: fo.Dataset, mark: str) -> None:
    item = desk.page(found, "duplicates")["items"][0]
    first, *others = [member["id"] for member in item["members"]]
    marks = {first: "remove", **dict.fromkeys(others, mark)}

    saved = desk.save(found, "duplicates", [decided(item["key"], "mark", marks=marks)])

    reason = "one image of a group has to stay" if mark == "remove" else "an image of a test or validation set"
    assert saved["skipped"][0]["reason"].startswith(reason)
    assert not found.has_field("duplicate_review")


def test_a_group_that_another_image_joined_waits_again(found: fo.Dataset) -> None:
    ids = found.values("id")
    item = next(item for item in desk.page(found, "duplicates")["items"] if item["key"] == ids[0])
    desk.save(found, "duplicates", [marked(item)])

    set_own_values(found, "duplicate_group", [ids[7]], [0], kind="int")

    again = next(item for item in desk.page(found, "duplicates")["items"] if item["key"] == ids[0])
    assert (again["decision"], len(again["members"])) == (None, 3)
    stale = desk.save(found, "duplicates", [marked(item)])
    assert "has changed meanwhile" in stale["skipped"][0]["reason"]


def test_decisions_outlast_another_search_that_numbers_the_groups_anew(found: fo.Dataset) -> None:
    ids = found.values("id")
    desk.save(found, "duplicates", [marked(item) for item in desk.page(found, "duplicates")["items"][:2]])

    save_duplicates(found, ids, shift=7)

    assert keys_of(desk.page(found, "duplicates")) == [ids[5]]


def test_a_group_that_is_gone_is_skipped(found: fo.Dataset) -> None:
    ids = found.values("id")

    saved = desk.save(found, "duplicates", [decided(ids[7], "unsure"), decided(ids[1], "unsure")])

    assert [each["key"] for each in saved["skipped"]] == [ids[7], ids[1]]


def test_a_decision_of_somebody_else_is_not_overwritten_unseen(found: fo.Dataset) -> None:
    item = desk.page(found, "duplicates")["items"][0]
    desk.save(found, "duplicates", [marked(item)], reviewer="ann")

    refused = desk.save(found, "duplicates", [decided(item["key"], "unsure", seen=item["seen"])], reviewer="bob")
    seen = desk.page(found, "duplicates", again=True)["items"][0]["seen"]
    saved = desk.save(found, "duplicates", [decided(item["key"], "unsure", seen=seen)], reviewer="bob")

    assert refused["skipped"][0]["reason"].startswith("ann decided 'mark' at ")
    assert saved["saved"] == 1


# Going back


@pytest.mark.parametrize("decision", ["apart", "keep all", "unsure"])
def test_a_decision_is_taken_back_to_the_bit(found: fo.Dataset, decision: str) -> None:
    ids, before = found.values("id"), stored(found)
    session = desk.save(found, "duplicates", [decided(ids[0], "unsure")])["session"]
    desk.save(found, "duplicates", [decided(ids[0], decision), decided(ids[5], "unsure")], session=session)

    (item,) = desk.back(found, "duplicates", session, [ids[0]])["items"]

    after = stored(found)
    assert (item["key"], item["decision"]) == (ids[0], None)
    assert after[:5] == before[:5]
    assert "duplicate_review" in after[5]


def test_a_session_is_undone_as_a_whole(found: fo.Dataset) -> None:
    ids, before = found.values("id"), stored(found)
    page = desk.page(found, "duplicates")
    session = desk.save(found, "duplicates", [marked(page["items"][0])], reviewer="ann")["session"]
    desk.save(found, "duplicates", [decided(ids[0], "apart")], session=session, reviewer="ann")
    desk.save(found, "duplicates", [decided(ids[5], "keep all")], session=session, reviewer="ann")

    (action,) = list_actions(found).summary()["actions"]
    report = undo_action(found)

    assert action["what"] == "reviewed near-duplicates among 7 images as ann"
    assert (report.samples, report.notes) == (7, ())
    assert stored(found) == before


def test_undoing_does_not_bring_back_what_an_earlier_search_found(found: fo.Dataset) -> None:
    ids = found.values("id")
    session = desk.save(found, "duplicates", [decided(ids[0], "apart")])["session"]
    save_duplicates(found, ids, shift=7)

    undo_action(found, session)

    assert found.values("duplicate_group")[:2] == [7, 7]
    assert not read_decisions(found).apart_sets


def test_a_review_that_is_cut_off_can_be_undone(found: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, before = found.values("id"), stored(found)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(group_marks, "write_documents", cut_off)  # recorded, but not done
        with pytest.raises(KeyboardInterrupt):
            desk.save(found, "duplicates", [decided(ids[0], "apart")])
    report = undo_action(found)

    assert (report.samples, report.notes) == (0, ())
    assert stored(found) == before


# Applying


def mark_all(found: fo.Dataset) -> None:
    desk.save(found, "duplicates", [marked(item) for item in desk.page(found, "duplicates")["items"]])


@pytest.mark.parametrize(
    ("way", "settings", "sentence"),
    [
        ("tag", {"tag": "copy"}, "Tags 4 images 'copy'."),
        ("split", {"split": ""}, "Moves 4 images out of every split."),
        ("split", {"split": "test"}, "Moves 4 images to test."),
        ("delete", {}, "Deletes 4 images; their files stay on disk."),
        ("delete", {"delete_files": True}, "Deletes 4 images and moves their files into Winnow's trash."),
    ],
)
def test_what_is_planned_is_done_and_can_be_undone(found: fo.Dataset, way: str, settings: dict, sentence: str) -> None:
    mark_all(found)
    before = stored(found)

    plan = desk.plan(found, "duplicates", way, **settings)
    assert stored(found) == before
    done = desk.apply(found, "duplicates", way, **settings)

    assert (plan["count"], plan["sentence"], plan["refused"]) == (4, sentence, None)
    assert stored(found) != before
    undo_action(found, done["action"])
    assert stored(found) == before
    assert all(Path(path).is_file() for path in found.values("filepath"))


def test_what_was_applied_is_told_with_its_reason_and_reviewer(found: fo.Dataset, tmp_path: Path) -> None:
    mark_all(found)

    desk.apply(found, "duplicates", "delete", reviewer="Ayşe")

    report = list_changes(found, ChangesParams(csv=tmp_path / "changes.csv"))
    assert report.reasons == {"near-duplicate removed": 4}
    rows = (tmp_path / "changes.csv").read_text(encoding="utf-8").splitlines()
    assert all("Ayşe" in row for row in rows[1:])


def test_the_last_image_of_a_group_is_spared_where_the_one_to_keep_is_gone(found: fo.Dataset) -> None:
    mark_all(found)
    found.delete_samples(found.values("id")[:1])

    plan = desk.plan(found, "duplicates", "delete")

    assert plan["count"] == 3
    assert "1 image spared, as those to keep of its group are gone" in plan["notes"]


def test_an_image_that_was_moved_to_the_test_set_meanwhile_is_spared(found: fo.Dataset) -> None:
    mark_all(found)
    found.set_values("split", {found.values("id")[1]: "test"}, key_field="id")

    plan = desk.plan(found, "duplicates", "delete")

    assert plan["count"] == 3
    assert any("1 image of a test or validation set spared" in note for note in plan["notes"])


def test_only_images_of_the_view_are_touched(found: fo.Dataset) -> None:
    mark_all(found)

    assert desk.plan(found.limit(2), "duplicates", "delete")["count"] == 1


@pytest.mark.parametrize(
    ("way", "settings", "reason"),
    [("tag", {}, "name a tag"), ("tag", {"tag": " a"}, "name a tag"), ("delete", {}, "no image is marked")],
)
def test_what_can_not_be_applied_is_refused(found: fo.Dataset, way: str, settings: dict, reason: str) -> None:
    assert reason in desk.plan(found, "duplicates", way, **settings)["refused"]
    with pytest.raises(DataError, match=reason):
        desk.apply(found, "duplicates", way, **settings)


def test_an_unknown_way_is_refused(found: fo.Dataset) -> None:
    with pytest.raises(DataError, match="can't be applied by 'burn'"):
        desk.plan(found, "duplicates", "burn")


def test_marks_are_no_predictions(found: fo.Dataset) -> None:
    mark_all(found)

    assert desk.start(found)["prediction_fields"] == []


def test_the_images_behind_groups_can_be_shown(found: fo.Dataset) -> None:
    ids = found.values("id")

    assert desk.samples_of(found, "leaks", [ids[2]]) == ids[2:5]
    assert desk.samples_of(found, "duplicates", [ids[0], ids[5]]) == [*ids[:2], *ids[5:7]]
