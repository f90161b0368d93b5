"""The form for label issues says in numbers what it will do, asks where nobody has looked, and does it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import ExecutionError

from tests.conftest import save_label_issues
from tests.label_sets import make_judged
from tests.patch_labels import judge_patches

from .test_actions import execute, form_of, in_the_app

NAME = "review_label_issues"


@pytest.fixture
def judged(colours: fo.Dataset) -> fo.Dataset:
    """Return the colours with three flagged labels: two suggestions are sure, one is not."""
    save_label_issues(colours, colours.values("id")[:3], [0.02, 0.03, 0.3], ["red", "red", "green"], [0.98, 0.97, 0.5])
    return colours


def first_labels(made: fo.Dataset, count: int = 4) -> list[str]:
    return made.values("ground_truth.label")[:count]


def test_the_form_says_in_numbers_which_labels_will_change(judged: fo.Dataset) -> None:
    form = form_of(NAME, judged)

    assert form["what"]["default"] == "label issues"
    assert form["plan"]["view"]["label"] == "Changes 2 labels: 2 blue → red."
    assert form["note_0"]["view"]["label"] == "1 suggestion is less sure, and left as it is"


def test_the_form_follows_the_confidence(judged: fo.Dataset) -> None:
    form = form_of(NAME, judged, above=0.5)

    assert form["plan"]["view"]["label"] == "Changes 3 labels: 2 blue → red, 1 blue → green."


def test_accepting_by_a_rule_waits_for_its_confirmation(judged: fo.Dataset) -> None:
    unconfirmed = form_of(NAME, judged)
    confirmed = form_of(NAME, judged, confirm=True)

    assert unconfirmed["confirm"]["invalid"]
    assert not confirmed["confirm"]["invalid"]
    with pytest.raises(ExecutionError, match=r"no label was changed\. Changes 2 labels"):
        execute(NAME, judged)
    assert first_labels(judged) == ["blue", "blue", "blue", "red"]


def test_sure_suggestions_are_accepted_and_taken_back(judged: fo.Dataset) -> None:
    result = execute(NAME, judged, confirm=True)
    accepted = first_labels(judged)

    execute("undo_action", judged, action=result["action"])

    assert accepted == ["red", "red", "blue", "red"]
    assert first_labels(judged) == ["blue", "blue", "blue", "red"]
    assert judged.values("label_issue")[:3] == [True] * 3


def test_the_selection_is_decided_about_without_a_confirmation_whatever_its_confidence(judged: fo.Dataset) -> None:
    selected = judged.values("id")[2:3]

    form = form_of(NAME, judged, selected)
    execute(NAME, judged, selected)

    assert form["what"]["default"] == "selected"
    assert form["plan"]["view"]["label"] == "Changes 1 label: 1 blue → green."
    assert "confirm" not in form
    assert first_labels(judged) == ["blue", "blue", "green", "red"]


def test_the_sample_that_is_open_counts_as_selected(judged: fo.Dataset) -> None:
    context = in_the_app(NAME, judged, decision="keep")
    context.request_params["current_sample"] = judged.first().id

    foo.get_operator(f"@winnow/curation/{NAME}").execute(context)

    assert judged.values("ground_truth.decision")[:2] == ["kept", None]


@pytest.mark.parametrize(
    ("decision", "plan"),
    [
        ("keep", "Confirms 2 labels as right: 2 blue."),
        ("unsure", "Marks 2 labels as unsure: 2 blue."),
        ("relabel", "Tags 2 samples 'relabel'."),
    ],
)
def test_the_flagged_labels_of_the_view_are_decided_about(judged: fo.Dataset, decision: str, plan: str) -> None:
    context = in_the_app(NAME, judged, decision=decision)
    context.request_params["view"] = judged.limit(2)._serialize()
    operator = foo.get_operator(f"@winnow/curation/{NAME}")

    form = operator.resolve_type(context, "inputs").to_json()["type"]["properties"]
    result = operator.execute(context)

    assert form["plan"]["view"]["label"] == plan
    assert result["summary"]["samples"] == 2


def test_decisions_are_forgotten_in_the_whole_view(judged: fo.Dataset) -> None:
    execute(NAME, judged, decision="keep")

    form = form_of(NAME, judged, decision="forget")
    execute(NAME, judged, decision="forget")

    assert form["plan"]["view"]["label"] == "Forgets what was decided about 3 labels; the labels stay as they are."
    assert judged.count("ground_truth.decision") == 0


def test_the_form_says_why_no_label_is_left(judged: fo.Dataset) -> None:
    form = form_of(NAME, judged, above=0.99)

    assert form["empty"]["view"]["label"] == "No label is left to decide about"
    assert form["empty"]["view"]["description"] == "3 suggestions are less sure, and left as they are"


def test_the_form_says_what_to_do_where_nothing_was_found(colours: fo.Dataset) -> None:
    with pytest.raises(ExecutionError, match="There is nothing to review"):
        execute(NAME, colours)


def test_findings_that_are_older_than_the_dataset_are_told(judged: fo.Dataset) -> None:
    judged.delete_samples(judged.values("id")[-1:])

    form = form_of(NAME, judged)

    assert "older than the dataset" in form["note_0"]["view"]["label"]


@pytest.fixture
def judged_sets(tmp_path: Path) -> Iterator[fo.Dataset]:
    made = make_judged(tmp_path)
    yield made
    made.delete()


def test_changes_of_several_labels_an_image_are_said_in_numbers_made_and_taken_back(judged_sets: fo.Dataset) -> None:
    path = "things.classifications.label"
    before = judged_sets.values(path)

    form = form_of(NAME, judged_sets)
    result = execute(NAME, judged_sets, confirm=True)
    accepted = judged_sets.values(path)
    execute("undo_action", judged_sets, action=result["action"])

    assert form["plan"]["view"]["label"] == "Changes 2 labels: 1 cat added, 1 fox added."
    assert accepted[:3] == [["cat", "dog", "fox"], ["cat"], ["fox"]]
    assert judged_sets.values(path) == before


def test_in_a_view_of_patches_the_labels_of_these_are_decided_about(colours: fo.Dataset) -> None:
    made = judge_patches(colours.limit(0).clone())
    flagged = made.to_patches("objects").match(fo.ViewField("objects.label_issue") == True)  # noqa: E712
    context = in_the_app(NAME, made, flagged.values("id")[:1])
    context.request_params["view"] = flagged._serialize()
    operator = foo.get_operator(f"@winnow/curation/{NAME}")

    form = operator.resolve_type(context, "inputs").to_json()["type"]["properties"]
    result = operator.execute(context)

    labels = made.values("objects.detections.label", unwind=True)
    made.delete()
    assert form["plan"]["view"]["label"] == "Changes 1 label: 1 cat → dog."
    assert form["what"]["type"]["values"] == ["selected", "label issues"]
    assert "relabel" not in form["decision"]["type"]["values"]
    assert "error" not in result
    assert labels == ["dog", "cat", "dog", "dog", "fox"]
