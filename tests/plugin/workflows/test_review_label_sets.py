"""What a person decides about missing and extra labels is done, told in numbers, remembered, and comes back whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from tests.label_sets import LABELS, labels_of, make_dataset, make_judged
from tests.mosaics import planted, write_mosaics
from winnow.plugin.datasets import label_kinds
from winnow.plugin.datasets.label_changes import ADD, REMOVE
from winnow.plugin.errors import FieldError
from winnow.plugin.workflows.actions import list_actions, undo_action
from winnow.plugin.workflows.label_issues import LabelIssueParams, find_label_issues
from winnow.plugin.workflows.review_labels import find_and_accept, review_labels
from winnow.plugin.workflows.review_plan import plan_review
from winnow.plugin.workflows.review_terms import REVIEWS


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[fo.Dataset]:
    made = make_judged(tmp_path)
    yield made
    made.delete()


def stored(made: fo.Dataset) -> list[dict[str, Any]]:
    """Return every document as it lies in the database, by id, without the time of its last change."""
    documents = list(made._sample_collection.find().sort("_id"))
    return [{name: value for name, value in each.items() if name != "last_modified_at"} for each in documents]


def labels_in(made: fo.Dataset) -> list[set[str] | None]:
    return [None if names is None else set(names) for names in made.values("things.classifications.label")]


def changes_in(made: fo.Dataset) -> list[list[str] | None]:
    return made.values("suggested_labels.classifications.label")


# Accept


def test_missing_labels_are_added_and_extra_ones_removed(judged: fo.Dataset) -> None:
    report = review_labels(judged, "accept")

    assert labels_in(judged) == [{"cat", "fox"}, {"cat"}, set(), {"cat"}, {"dog"}, None]
    assert report.samples == 3
    assert report.sentence == "Changed 4 labels: 1 cat added, 1 dog removed, 1 fox added, 1 fox removed."


def test_a_rule_accepts_only_the_changes_that_are_sure(judged: fo.Dataset) -> None:
    report = review_labels(judged, "accept", above=0.95)

    assert labels_in(judged)[:3] == [{"cat", "dog", "fox"}, {"cat"}, {"fox"}]
    assert report.notes == ("2 suggestions are less sure, and left as they are",)


def test_an_image_stays_flagged_while_a_change_is_open(judged: fo.Dataset) -> None:
    review_labels(judged, "accept", above=0.95)

    assert judged.values("label_issue") == [True, False, True, False, False, None]
    assert judged.values("label_verdict")[:3] == ["wrong", None, "wrong"]
    assert changes_in(judged) == [["dog"], None, ["fox"], None, None, None]


def test_the_quality_is_that_of_the_labels_that_are_left(judged: fo.Dataset) -> None:
    review_labels(judged, "accept", above=0.95)
    between = judged.values("label_quality")

    review_labels(judged, "accept")

    assert between[:3] == pytest.approx([0.2, 0.9, 0.4])
    assert judged.values("label_quality")[:3] == pytest.approx([0.7, 0.9, 0.9])


def test_who_changed_what_is_kept_beside_the_labels(judged: fo.Dataset) -> None:
    report = review_labels(judged, "accept", judged.values("id")[:1], by="ann")

    things = judged.first().things
    assert [(each["label"], each["change"], each["by"], each["run"]) for each in things.history] == [
        ("fox", ADD, "ann", report.action),
        ("dog", REMOVE, "ann", report.action),
    ]
    assert [(each["label"], each["present"], each["decision"]) for each in things.decisions] == [
        ("dog", False, "accepted"),
        ("fox", True, "accepted"),
    ]


def test_labels_that_stay_keep_what_they_hold(judged: fo.Dataset) -> None:
    sample = judged.first()
    sample.things.classifications[0].confidence = 0.25
    sample.things.classifications[0].tags = ["sure"]
    sample.save()

    review_labels(judged, "accept")

    cat = judged.first().things.classifications[0]
    assert (cat.label, cat.confidence, cat.tags) == ("cat", 0.25, ["sure"])


def test_what_can_not_be_accepted_is_told_and_left(judged: fo.Dataset) -> None:
    report = review_labels(judged, "accept", judged.values("id")[3:])

    assert report.action is None
    assert set(report.notes) == {"1 sample is not annotated", "2 samples have no suggestion"}


def test_a_label_that_a_person_added_already_is_confirmed_and_not_added_twice(judged: fo.Dataset) -> None:
    sample = judged.skip(1).first()
    sample.things = labels_of({"cat"})
    sample.save()

    report = review_labels(judged, "accept", [sample.id])

    assert judged[sample.id].things.classifications[0].label == "cat"
    assert len(judged[sample.id].things.classifications) == 1
    assert report.sentence == "Changed 0 labels."
    assert report.notes == ("1 label is as suggested already, and confirmed",)


def test_a_read_only_field_is_left_alone(judged: fo.Dataset) -> None:
    field = judged.get_field("things")
    field.read_only = True
    field.save()

    with pytest.raises(FieldError, match="'things' is read-only"):
        review_labels(judged, "accept")
    assert labels_in(judged) == list(LABELS)


# Keep, unsure, relabel, forget


def test_kept_labels_are_right_from_now_on(judged: fo.Dataset) -> None:
    report = review_labels(judged, "keep", above=0.9)

    assert labels_in(judged) == list(LABELS)
    assert changes_in(judged)[:3] == [["dog"], None, ["fox"]]
    assert judged.values("label_quality")[:3] == pytest.approx([0.2, 0.9, 0.4])
    assert report.sentence == "Confirmed 2 labels as right: 1 cat absent, 1 fox absent."


def test_unsure_labels_are_flagged_no_more_and_keep_their_quality(judged: fo.Dataset) -> None:
    report = review_labels(judged, "unsure", judged.values("id")[:1], above=0.9)

    assert changes_in(judged)[:1] == [["dog"]]
    assert judged.values("label_quality")[:1] == pytest.approx([0.05])
    assert report.notes[-1] == "1 label is unsure in all"


def test_the_quality_does_not_rise_above_that_of_an_unsure_label(judged: fo.Dataset) -> None:
    first = judged.values("id")[:1]
    review_labels(judged, "unsure", first, above=0.9)

    review_labels(judged, "accept", first)

    assert judged.values("label_quality")[:1] == pytest.approx([0.05])
    assert judged.values("label_issue")[0] is False


def test_images_that_are_to_be_labelled_anew_are_tagged(judged: fo.Dataset) -> None:
    report = review_labels(judged, "relabel", judged.values("id")[4:])

    assert judged.match_tags("relabel").values("id") == judged.values("id")[4:]
    assert report.sentence == "Tagged 2 samples 'relabel'."


def test_forgotten_decisions_leave_the_labels_and_their_history(judged: fo.Dataset) -> None:
    review_labels(judged, "accept", above=0.95)

    report = review_labels(judged, "forget")

    things = judged.first().things
    assert report.samples == 2
    assert labels_in(judged)[0] == {"cat", "dog", "fox"}
    assert (len(things.history), list(things.decisions)) == (1, [])


# The plan, and undoing


@pytest.mark.parametrize("decision", REVIEWS)
def test_a_plan_changes_nothing_and_says_what_the_review_does(judged: fo.Dataset, decision: str) -> None:
    review_labels(judged, "keep", judged.values("id")[2:3])
    before = stored(judged)

    plan = plan_review(judged, decision)
    unchanged = stored(judged) == before
    report = review_labels(judged, decision)

    assert unchanged
    assert report.samples == len(plan.labels) == (1 if decision == "forget" else 2)
    assert report.sentence == plan.sentence(done=True)


@pytest.mark.parametrize("decision", REVIEWS)
def test_undoing_brings_back_labels_decisions_and_findings_to_the_bit(judged: fo.Dataset, decision: str) -> None:
    review_labels(judged, "unsure", judged.values("id")[2:3])
    before = stored(judged)
    review_labels(judged, decision, judged.values("id"))
    between = stored(judged)

    report = undo_action(judged)

    assert between != before
    assert stored(judged) == before
    assert report.notes == ()


def test_undoing_leaves_labels_that_were_changed_since_and_says_so(judged: fo.Dataset) -> None:
    review_labels(judged, "accept")
    sample = judged.first()
    sample.things = labels_of({"owl"})
    sample.save()

    report = undo_action(judged)

    assert labels_in(judged)[:3] == [{"owl"}, set(), {"fox"}]
    assert report.notes == ("samples that are gone, or whose label was changed or judged again since: 1",)


def test_what_a_person_added_to_a_label_meanwhile_stays(judged: fo.Dataset) -> None:
    review_labels(judged, "accept", judged.values("id")[:1])
    judged.limit(1).tag_labels("since", label_fields="things")

    undo_action(judged)

    held = {each.label: each.tags for each in judged.first().things.classifications}
    assert held == {"cat": ["since"], "dog": []}


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
    review_labels(judged, "accept", judged.values("id")[:2])

    (action,) = list_actions(judged).summary()["actions"]

    assert action["what"] == "accepted suggestions for labels of 2 samples"


# The next search


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    return write_mosaics(tmp_path_factory.mktemp("mosaics"))


@pytest.fixture
def mosaics(shown: dict[str, set[str]]) -> Iterator[fo.Dataset]:
    made = make_dataset(planted(shown))
    yield made
    made.delete()


def test_the_next_search_does_not_ask_again(mosaics: fo.Dataset) -> None:
    find_label_issues(mosaics)
    flagged = mosaics.match({"label_issue": True}).values("id")
    kept, unsure = flagged[:3], flagged[3:5]
    review_labels(mosaics, "keep", kept)
    review_labels(mosaics, "unsure", unsure)

    report = find_label_issues(mosaics)

    assert not any(mosaics.select(flagged[:5]).values("label_issue"))
    assert min(mosaics.select(kept).values("label_quality")) > 0.5
    assert max(mosaics.select(unsure).values("label_quality")) < 0.5
    assert (report.summary()["confirmed"], report.summary()["unsure"]) == (3, 2)
    assert report.summary()["cuts"]["default"]["flagged"] == report.summary()["flagged"]


def test_a_decision_is_void_when_the_label_is_changed_afterwards(
    mosaics: fo.Dataset, shown: dict[str, set[str]]
) -> None:
    find_label_issues(mosaics)
    accepted = review_labels(mosaics, "accept", above=0.9)
    sample = mosaics.match({"things.history.change": REMOVE}).first()
    (name,) = {each["label"] for each in sample.things.history}
    sample.things.classifications.append(fo.Classification(label=name))
    sample.save()

    report = find_label_issues(mosaics)

    assert mosaics[sample.id].suggested_labels.classifications[0].label == name
    assert report.summary()["confirmed"] == accepted.samples - 1


def test_what_is_sure_is_accepted_at_once(shown: dict[str, set[str]], mosaics: fo.Dataset) -> None:
    given = planted(shown)

    report = find_and_accept(mosaics, LabelIssueParams(), 0.9)

    labels = dict(zip(mosaics.values("filepath"), labels_in(mosaics), strict=True))
    wrong = [path for path in shown if given[path] != shown[path]]
    right_now = [path for path in wrong if labels[path] == shown[path]]
    assert len(right_now) >= 0.7 * len(wrong)
    assert report.summary()["accepted"]["samples"] >= len(right_now)
