"""What a person decides about suspicious labels is done, told in numbers, remembered, and comes back whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from tests.conftest import save_label_issues, write_image
from winnow.plugin.datasets import label_kinds, runs
from winnow.plugin.errors import DataError, FieldError
from winnow.plugin.workflows.actions import list_actions, undo_action
from winnow.plugin.workflows.findings import LABEL_ISSUES_RUN
from winnow.plugin.workflows.label_issues import LabelIssueParams, find_label_issues
from winnow.plugin.workflows.review_labels import find_and_accept, review_labels
from winnow.plugin.workflows.review_plan import plan_review
from winnow.plugin.workflows.review_terms import REVIEWS

from .conftest import CLASSES, MakeDataset

LABELS = ("cat", "cat", "dog", "dog", "fox", None)
# Of the first four: what was suggested instead, and how sure.
SUGGESTED, CONFIDENCES = ["dog", "dog", "cat", "fox"], [0.99, 0.95, 0.8, 0.4]


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Return six images as `find_label_issues` leaves them: four flagged labels, a good one, and none."""
    made = fo.Dataset(f"judged-{uuid.uuid4().hex[:12]}")
    for row, label in enumerate(LABELS):
        path = write_image(tmp_path / f"{row}.png")
        truth = fo.Classification(label=label, confidence=0.5, tags=["sure"], note="by hand") if label else None
        made.add_sample(fo.Sample(filepath=str(path), ground_truth=truth))
    save_label_issues(made, made.values("id")[:5], [0.01, 0.05, 0.2, 0.3, 0.9], SUGGESTED, CONFIDENCES)
    yield made
    made.delete()


def stored(made: fo.Dataset) -> list[dict[str, Any]]:
    """Return every document as it lies in the database, by id, without the time of its last change."""
    documents = list(made._sample_collection.find().sort("_id"))
    return [{name: value for name, value in each.items() if name != "last_modified_at"} for each in documents]


def labels_of(made: fo.Dataset) -> list[str | None]:
    return made.values("ground_truth.label")


# Accept


def test_accepted_labels_become_the_suggestion(judged: fo.Dataset) -> None:
    report = review_labels(judged, "accept", judged.values("id")[:2])

    assert labels_of(judged) == ["dog", "dog", "dog", "dog", "fox", None]
    assert report.samples == 2
    assert report.sentence == "Changed 2 labels: 2 cat → dog."


def test_the_findings_follow_at_once(judged: fo.Dataset) -> None:
    review_labels(judged, "accept", judged.values("id")[:2])

    assert judged.values("label_issue") == [False, False, True, True, False, None]
    assert judged.values("label_quality")[:3] == [1.0, 1.0, 0.2]
    assert judged.values("suggested_label.label")[:3] == [None, None, "cat"]


def test_a_rule_accepts_the_flagged_labels_whose_suggestion_is_sure(judged: fo.Dataset) -> None:
    report = review_labels(judged, "accept", above=0.95)

    assert report.samples == 2
    assert labels_of(judged)[:4] == ["dog", "dog", "dog", "dog"]
    assert report.notes == ("2 suggestions are less sure, and left as they are",)


def test_without_a_rule_every_flagged_label_of_the_view_is_meant(judged: fo.Dataset) -> None:
    report = review_labels(judged.skip(1), "accept")

    assert report.samples == 3
    assert labels_of(judged)[:4] == ["cat", "dog", "cat", "fox"]
    assert report.sentence == "Changed 3 labels: 1 cat → dog, 1 dog → cat, 1 dog → fox."


def test_the_old_label_is_kept_in_the_history_with_who_and_the_action(judged: fo.Dataset) -> None:
    report = review_labels(judged, "accept", judged.values("id")[:1], by="ann")

    label = judged.first().ground_truth
    (was,) = label.history
    assert (was["label"], was["by"], was["run"]) == ("cat", "ann", report.action)
    assert (label.decision, label.decided_by, label.decided_label) == ("accepted", "ann", "dog")
    assert (label.tags, label.note, label.confidence) == (["sure"], "by hand", None)


def test_samples_that_can_not_be_accepted_are_told_and_left(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    judged.delete_samples(ids[:1])

    report = review_labels(judged, "accept", ids)

    assert report.samples == 3
    assert set(report.notes) == {
        "1 selected sample is gone",
        "the findings about label issues are older than the dataset (1 samples were removed since "
        f"{runs.load_run(judged, LABEL_ISSUES_RUN).time:%Y-%m-%d %H:%M} UTC)",
        "1 sample has no label",
        "1 sample has no suggestion",
    }


def test_a_label_that_a_person_changed_since_is_not_overwritten(judged: fo.Dataset) -> None:
    sample = judged.first()
    sample.ground_truth.label = "fox"
    sample.save()

    report = review_labels(judged, "accept")

    assert labels_of(judged)[0] == "fox"
    assert "1 label was changed since it was judged" in report.notes


def test_a_label_that_is_as_suggested_already_is_confirmed_and_not_counted_as_changed(judged: fo.Dataset) -> None:
    sample = judged.first()
    sample.ground_truth.label = "dog"
    sample.save()

    report = review_labels(judged, "accept", [sample.id])

    assert report.sentence == "Changed 0 labels."
    assert report.notes == ("1 label is as suggested already, and confirmed",)
    assert judged.first().label_issue is False
    assert judged.values("ground_truth.history")[0] is None


def test_where_nothing_can_be_accepted_nothing_is_logged(judged: fo.Dataset) -> None:
    before = stored(judged)

    report = review_labels(judged, "accept", above=1.0)

    assert report.action is None
    assert report.sentence == "There was nothing to do."
    assert stored(judged) == before


def test_samples_in_memory_follow(judged: fo.Dataset) -> None:
    sample = judged.first()

    review_labels(judged, "accept", [sample.id])
    accepted = sample.ground_truth.label
    undo_action(judged)

    assert (accepted, sample.ground_truth.label, sample.label_issue) == ("dog", "cat", True)


# Keep, unsure, relabel, forget


def test_kept_labels_are_right_from_now_on(judged: fo.Dataset) -> None:
    report = review_labels(judged, "keep", judged.values("id")[:2])

    assert labels_of(judged) == list(LABELS)
    assert judged.values("label_issue")[:3] == [False, False, True]
    assert judged.values("label_quality")[:3] == [1.0, 1.0, 0.2]
    assert judged.values("suggested_label")[:2] == [None, None]
    assert report.sentence == "Confirmed 2 labels as right: 2 cat."


def test_unsure_labels_are_flagged_no_more_keep_their_quality_and_are_counted(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    review_labels(judged, "unsure", ids[:1])

    report = review_labels(judged, "unsure", ids[2:4])

    assert judged.values("label_issue")[:4] == [False, True, False, False]
    assert judged.values("label_quality")[:4] == [0.01, 0.05, 0.2, 0.3]
    assert report.notes == ("3 labels are unsure in all: filter by `ground_truth.decision` to see them",)


def test_labels_that_are_to_be_made_anew_are_tagged_and_stay_flagged(judged: fo.Dataset) -> None:
    report = review_labels(judged, "relabel", judged.values("id")[3:])

    assert judged.match_tags("relabel").values("id") == judged.values("id")[3:]
    assert report.sentence == "Tagged 3 samples 'relabel'."
    assert judged.values("label_issue")[3] is True


def test_forgotten_decisions_leave_the_labels_and_their_history(judged: fo.Dataset) -> None:
    review_labels(judged, "accept", above=0.95)

    report = review_labels(judged, "forget")

    label = judged.first().ground_truth
    assert report.samples == 2
    assert (label.label, len(label.history)) == ("dog", 1)
    assert judged.count("ground_truth.decision") == 0
    assert "find label issues again to have them judged anew" in report.notes


def test_only_what_was_decided_can_be_forgotten(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    review_labels(judged, "keep", ids[:1])

    report = review_labels(judged, "forget", ids[:3])

    assert report.samples == 1
    assert report.notes[0] == "2 labels were not decided about"


def test_labels_can_be_confirmed_before_anything_was_looked_for(garments: MakeDataset) -> None:
    made = garments("test/*/000.png")

    report = review_labels(made, "keep", made.values("id")[:2])

    assert report.samples == 2
    assert made.values("ground_truth.decision")[:3] == ["kept", "kept", None]


def test_findings_whose_fields_were_deleted_are_passed_over(judged: fo.Dataset) -> None:
    judged.delete_sample_fields(["label_quality", "suggested_label"])

    kept = review_labels(judged, "keep", judged.values("id")[:1])
    accepted = review_labels(judged, "accept", judged.values("id"))

    assert kept.samples == 1
    assert accepted.notes == ("1 sample has no label", "5 samples have no suggestion")


# Errors


@pytest.mark.parametrize(
    ("decision", "options", "message"),
    [
        ("nonsense", {}, "'nonsense' can't be decided about a label. Choose from: accept, keep"),
        ("forget", {"above": 0.5}, "without `above`"),
        ("accept", {"above": 95}, r"confidence in 0..1, got 95"),
        ("keep", {"label_field": "other"}, "were last looked for in 'ground_truth', not in 'other'"),
    ],
)
def test_what_can_not_be_decided_is_refused(
    judged: fo.Dataset, decision: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        review_labels(judged, decision, **options)


@pytest.mark.parametrize("ids", [None, []])
def test_nothing_is_accepted_where_nothing_was_looked_for(garments: MakeDataset, ids: list[str] | None) -> None:
    with pytest.raises(DataError, match="were not looked for"):
        review_labels(garments("test/bag/000.png"), "accept", ids)


def test_a_read_only_field_is_left_alone(judged: fo.Dataset) -> None:
    field = judged.get_field("ground_truth")
    field.read_only = True
    field.save()

    with pytest.raises(FieldError, match="'ground_truth' is read-only"):
        review_labels(judged, "accept")
    assert labels_of(judged) == list(LABELS)


def test_attributes_of_the_users_are_not_overwritten(judged: fo.Dataset) -> None:
    judged.set_values("ground_truth.decision", ["mine"] * 5 + [None], dynamic=True)
    before = stored(judged)

    with pytest.raises(FieldError, match="was not made by Winnow"):
        review_labels(judged, "keep")
    assert stored(judged) == before


# The plan


@pytest.mark.parametrize("decision", REVIEWS)
def test_a_plan_changes_nothing_and_says_what_the_review_does(judged: fo.Dataset, decision: str) -> None:
    review_labels(judged, "keep", judged.values("id")[4:])
    before = stored(judged)

    plan = plan_review(judged, decision)
    unchanged = stored(judged) == before
    report = review_labels(judged, decision)

    assert unchanged
    assert report.samples == len(plan.labels) == (1 if decision == "forget" else 4)
    assert report.sentence == plan.sentence(done=True)


def test_many_kinds_of_changes_are_summed_up() -> None:
    from winnow.plugin.workflows.review_plan import ReviewPlan

    labels = {str(row): f"class {row % 7}" for row in range(16)}

    plan = ReviewPlan("keep", "ground_truth", labels, {}, ())

    listed = "3 class 0, 3 class 1, 2 class 2, 2 class 3, 2 class 4, and 4 others"
    assert plan.sentence() == f"Confirms 16 labels as right: {listed}."


# Undo


@pytest.mark.parametrize("decision", REVIEWS)
def test_undoing_brings_back_labels_attributes_and_findings_to_the_bit(judged: fo.Dataset, decision: str) -> None:
    logits = fo.Classification(label="cat", logits=np.arange(3, dtype=np.float32), confidence=0.25)
    judged.set_values("ground_truth", {judged.first().id: logits}, key_field="id")
    review_labels(judged, "unsure", judged.values("id")[4:])
    before = stored(judged)
    review_labels(judged, decision, judged.values("id"))
    between = stored(judged)

    report = undo_action(judged)

    assert between != before
    assert stored(judged) == before
    assert report.notes == ()


def test_undoing_leaves_labels_that_were_changed_since_and_says_so(judged: fo.Dataset) -> None:
    ids = judged.values("id")
    review_labels(judged, "accept")
    sample = judged[ids[0]]
    sample.ground_truth.label = "fox"
    sample.save()
    judged.delete_samples(ids[1:2])

    report = undo_action(judged)

    assert labels_of(judged) == ["fox", "dog", "dog", "fox", None]
    assert report.samples == 2
    assert report.notes == ("samples that are gone, or whose label was changed or judged again since: 2",)


def test_undoing_leaves_what_was_decided_again_since(judged: fo.Dataset) -> None:
    first = review_labels(judged, "accept", judged.values("id")[:2])
    review_labels(judged, "unsure", judged.values("id")[:1])

    report = undo_action(judged, first.action)

    assert labels_of(judged)[:2] == ["dog", "cat"]
    assert judged.values("ground_truth.decision")[:2] == ["unsure", None]
    assert report.samples == 1


def test_what_a_person_added_to_a_label_meanwhile_stays_when_it_comes_back(judged: fo.Dataset) -> None:
    review_labels(judged, "accept", judged.values("id")[:1])
    judged.limit(1).tag_labels("since", label_fields="ground_truth")

    undo_action(judged)

    label = judged.first().ground_truth
    assert (label.label, sorted(label.tags), label.confidence) == ("cat", ["since", "sure"], 0.5)


def test_a_crash_before_the_change_leaves_an_action_that_undoing_takes_back(
    judged: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(judged)

    def crash(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(label_kinds, "write_documents", crash)
        with pytest.raises(KeyboardInterrupt):
            review_labels(judged, "accept")
    report = undo_action(judged)

    assert stored(judged) == before
    assert report.notes == ()


def test_reviews_are_listed_among_the_actions(judged: fo.Dataset) -> None:
    for decision, row in (("accept", 0), ("keep", 1), ("unsure", 2), ("forget", 2)):
        review_labels(judged, decision, judged.values("id")[row : row + 1])

    listed = list_actions(judged).summary()["actions"]

    assert [action["what"] for action in listed] == [
        "forgot what was decided about 1 label",
        "marked 1 label as unsure",
        "confirmed 1 label",
        "accepted suggestions for 1 label",
    ]


# The next search


@pytest.fixture(scope="module")
def wrong(shared: fo.Dataset) -> dict[str, str]:
    """Flip every 20th label; return the true ones."""
    ids = shared.values("id")[::20]
    true = dict(zip(*shared.select(ids).values(["id", "ground_truth.label"]), strict=True))
    flipped = {key: CLASSES[(CLASSES.index(label) + 1) % len(CLASSES)] for key, label in true.items()}
    shared.set_values("ground_truth", {key: fo.Classification(label=each) for key, each in flipped.items()}, "id")
    return true


def test_the_next_search_does_not_ask_again(shared: fo.Dataset, wrong: dict[str, str]) -> None:
    first = find_label_issues(shared)
    flagged = shared.match({"label_issue": True}).sort_by("label_quality").values("id")
    review_labels(shared, "keep", flagged[:2])
    review_labels(shared, "unsure", flagged[2:4])

    again = find_label_issues(shared)

    assert first.summary()["flagged"] >= 5
    assert shared.select(flagged[:4], ordered=True).values("label_issue") == [False] * 4
    assert shared.select(flagged[:4], ordered=True).values("suggested_label") == [None] * 4
    assert shared.select(flagged[:2]).values("label_quality") == [1.0, 1.0]
    assert max(shared.select(flagged[2:4]).values("label_quality")) < 0.5
    assert (again.summary()["confirmed"], again.summary()["unsure"]) == (2, 2)
    assert "a person confirmed 2 and is unsure about 2" in again.text()


def test_a_person_who_changes_a_kept_label_is_asked_again(garments: MakeDataset) -> None:
    made = garments("train/*/0*")
    key = made.first().id
    review_labels(made, "keep", [key])
    sample = made[key]
    sample.ground_truth.label = CLASSES[(CLASSES.index(sample.ground_truth.label) + 1) % len(CLASSES)]
    sample.save()

    find_label_issues(made)

    assert made[key].label_issue is True


def test_sure_suggestions_can_be_accepted_with_the_search(garments: MakeDataset) -> None:
    made = garments("train/*/0*")
    key = made.first().id
    true = made[key].ground_truth.label
    flipped = CLASSES[(CLASSES.index(true) + 1) % len(CLASSES)]
    made.set_values("ground_truth", {key: fo.Classification(label=flipped)}, "id")

    report = find_and_accept(made, LabelIssueParams(), 0.4)

    assert made[key].ground_truth.label == true
    assert report.summary()["accepted"]["samples"] >= 1
    assert "Changed" in report.text()
