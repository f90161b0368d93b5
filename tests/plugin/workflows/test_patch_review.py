"""Labels of detections are reviewed one by one, remembered on the detections, and brought back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fiftyone as fo
import pytest

from tests.patch_labels import judge_patches
from winnow.plugin.datasets import runs
from winnow.plugin.datasets.group_views import PATCH_ISSUES_VIEW, save_patch_view
from winnow.plugin.datasets.patch_decisions import read_patch_decisions
from winnow.plugin.datasets.patches import read_patches
from winnow.plugin.errors import DataError
from winnow.plugin.workflows.actions import undo_action
from winnow.plugin.workflows.findings import PATCH_ISSUES_RUN
from winnow.plugin.workflows.review_labels import review_labels
from winnow.plugin.workflows.review_plan import plan_review


@pytest.fixture
def judged(dataset: Callable[..., fo.Dataset]) -> fo.Dataset:
    return judge_patches(dataset())


def column(made: fo.Dataset, name: str) -> list[Any]:
    return made.values(f"objects.detections.{name}", unwind=True)


def documents(made: fo.Dataset) -> list[dict[str, Any]]:
    """Return the detections as they are in the database."""
    return [label for found in made._sample_collection.find().sort("_id") for label in found["objects"]["detections"]]


def test_sure_suggestions_become_the_labels_of_their_detections_alone(judged: fo.Dataset) -> None:
    report = review_labels(judged, "accept", above=0.97, patches_field="objects", by="ann")

    assert column(judged, "label") == ["dog", "cat", "fox", "dog", "fox"]
    assert column(judged, "label_issue") == [False, False, False, True, False]
    assert column(judged, "label_quality") == [1, 0.9, 1, 0.4, 0.9]
    assert column(judged, "suggested_label") == [None, None, None, "cat", None]
    assert column(judged, "vector") == [[1.0, 2.0]] * 5
    assert report.sentence == "Changed 2 labels: 1 cat → dog, 1 dog → fox."
    assert report.notes == ("1 suggestion is less sure, and left as it is",)


def test_the_detection_keeps_who_decided_what_and_its_old_label(judged: fo.Dataset) -> None:
    report = review_labels(judged, "accept", above=0.98, patches_field="objects", by="ann")

    label = judged.first().objects.detections[0]
    assert (label.decision, label.decided_by, label.decided_label) == ("accepted", "ann", "dog")
    assert [(was["label"], was["by"], was["run"]) for was in label.history] == [("cat", "ann", report.action)]
    assert judged.first().objects.detections[1].to_dict().get("decision") is None


def test_undoing_brings_everything_back(judged: fo.Dataset) -> None:
    before = documents(judged)
    done = review_labels(judged, "accept", patches_field="objects")

    report = undo_action(judged, done.action)

    assert documents(judged) == before
    assert report.sentence == "Undone for 3 detections: accepted suggestions for 3 labels."


def test_undoing_leaves_a_label_that_was_changed_since(judged: fo.Dataset) -> None:
    ids = column(judged, "id")
    review_labels(judged, "accept", patches_field="objects")
    judged.set_label_values("objects.detections.label", {ids[0]: "cow"})

    report = undo_action(judged)

    assert column(judged, "label") == ["cow", "cat", "dog", "dog", "fox"]
    assert report.notes == ("detections that are gone, or whose label was changed or judged again since: 1",)


def test_patches_that_are_selected_in_a_view_of_patches_are_meant(judged: fo.Dataset) -> None:
    view = judged.to_patches("objects").match(fo.ViewField("objects.label_issue") == True)  # noqa: E712
    ids = view.values("id")

    report = review_labels(view, "keep", ids[:1], by="ann")

    assert report.sentence == "Confirmed 1 label as right: 1 cat."
    assert column(judged, "decision") == ["kept", None, None, None, None]
    assert view.values("id") == ids[1:]  # what is shown follows


def test_the_saved_view_follows_a_decision_and_its_undoing(judged: fo.Dataset) -> None:
    save_patch_view(judged, PATCH_ISSUES_VIEW, "objects", flag="label_issue", score="label_quality")

    review_labels(judged, "accept", above=0.97, patches_field="objects")
    left = judged.load_saved_view(PATCH_ISSUES_VIEW).values("objects.label")
    undo_action(judged)

    assert left == ["dog"]
    assert judged.load_saved_view(PATCH_ISSUES_VIEW).values("objects.label") == ["cat", "dog", "dog"]


def test_what_was_decided_is_read_back_until_the_label_is_changed(judged: fo.Dataset) -> None:
    ids = column(judged, "id")
    review_labels(judged, "keep", ids[:2], patches_field="objects")
    review_labels(judged, "unsure", ids[3:4], patches_field="objects")
    judged.set_label_values("objects.detections.label", {ids[1]: "cow"})

    decisions = read_patch_decisions(judged, read_patches(judged, "objects"))

    assert decisions.confirmed.tolist() == [True, False, False, False, False]
    assert decisions.unsure.tolist() == [False, False, False, True, False]


def test_forgetting_takes_the_decision_from_the_detection(judged: fo.Dataset) -> None:
    ids = column(judged, "id")
    review_labels(judged, "keep", ids[:2], patches_field="objects")

    report = review_labels(judged, "forget", ids[1:3], patches_field="objects")

    assert column(judged, "decision") == ["kept", None, None, None, None]
    assert "1 label was not decided about" in report.notes


def test_a_label_that_was_changed_since_it_was_judged_is_not_overwritten(judged: fo.Dataset) -> None:
    judged.set_label_values("objects.detections.label", {column(judged, "id")[0]: "cow"})

    plan = plan_review(judged, "accept", patches_field="objects")

    assert sorted(plan.labels.values()) == ["dog", "dog"]
    assert "1 label was changed since it was judged" in plan.notes


def test_one_detection_an_image_is_decided_about_too(judged: fo.Dataset) -> None:
    judged.set_values("one", [fo.Detection(label=label, bounding_box=[0, 0, 1, 1]) for label in ("cat", "dog")])
    before = [found["one"] for found in judged._sample_collection.find().sort("_id")]

    done = review_labels(judged, "keep", judged.values("one.id")[:1], patches_field="one")
    kept = judged.values("one.decision")
    undo_action(judged, done.action)

    assert kept == ["kept", None]
    assert [found["one"] for found in judged._sample_collection.find().sort("_id")] == before


@pytest.mark.parametrize(("decision", "says"), [("accept", "were not looked for"), ("relabel", "tags whole images")])
def test_what_cannot_be_decided_about_patches_is_refused(judged: fo.Dataset, decision: str, says: str) -> None:
    runs.delete_run(judged, PATCH_ISSUES_RUN)

    with pytest.raises(DataError, match=says):
        review_labels(judged, decision, patches_field="objects")
