"""The operators that change the data say what they will do, do it, and take it back."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import ExecutionContext, ExecutionError, Executor

from winnow.plugin.datasets.fields import write_values


@pytest.fixture
def grouped(colours: fo.Dataset) -> fo.Dataset:
    """Return the colours with two duplicate groups of two and three images, and one leak."""
    ids = colours.values("id")[:5]
    write_values(colours, "duplicate_group", ids, [0, 0, 1, 1, 1], kind="int")
    write_values(colours, "duplicate_score", ids, [0.9] * 5, kind="float")
    write_values(colours, "duplicate_role", ids, ["keeper", "copy", "keeper", "copy", "copy"], kind="str")
    write_values(colours, "leak_score", ids[:1], [0.9], kind="float")
    return colours


def execute(name: str, target: fo.Dataset, /, selected: list[str] | None = None, **params: Any) -> dict[str, Any]:
    """Execute an operator from Python and return its result."""
    context = {"dataset": target, "selected": selected or []}
    return foo.execute_operator(f"@winnow/curation/{name}", ctx=context, params=params).result


def in_the_app(name: str, target: fo.Dataset, /, selected: list[str] | None = None, **params: Any) -> ExecutionContext:
    """Return a context as the App sends it."""
    request = {"dataset_name": target.name, "view": [], "params": params, "selected": selected or [], "filters": {}}
    return ExecutionContext(request, executor=Executor(), operator_uri=f"@winnow/curation/{name}")


def form_of(name: str, target: fo.Dataset, /, selected: list[str] | None = None, **params: Any) -> dict[str, Any]:
    """Return the properties of an operator's form, as the App gets them: name -> JSON."""
    operator = foo.get_operator(f"@winnow/curation/{name}")
    return operator.resolve_type(in_the_app(name, target, selected, **params), "inputs").to_json()["type"]["properties"]


def test_the_form_says_in_numbers_what_will_be_deleted(grouped: fo.Dataset) -> None:
    form = form_of("delete_samples", grouped)

    plan = form["plan"]["view"]["label"]
    assert plan == f"Deletes 3 samples of 2 groups from dataset '{grouped.name}'; their files stay on disk."


def test_deletion_waits_for_its_confirmation(grouped: fo.Dataset) -> None:
    unconfirmed = form_of("delete_samples", grouped)
    confirmed = form_of("delete_samples", grouped, confirm=True)

    assert unconfirmed["confirm"]["invalid"]
    assert not confirmed["confirm"]["invalid"]
    with pytest.raises(ExecutionError, match="Deletes 3 samples of 2 groups"):
        execute("delete_samples", grouped)
    assert len(grouped) == 42


def test_what_goes_wrong_unexpectedly_is_a_message_in_the_app_and_raised_in_python(
    grouped: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("winnow.operators.delete_samples.delete_samples", broken)
    context = in_the_app("delete_samples", grouped, what="copies", confirm=True)

    shown = foo.get_operator("@winnow/curation/delete_samples").execute(context)

    assert shown["error"].startswith("OSError: the disk is full.")
    with pytest.raises(ExecutionError, match="the disk is full"):
        execute("delete_samples", grouped, what="copies", confirm=True)


def test_copies_are_deleted_and_brought_back(grouped: fo.Dataset) -> None:
    result = execute("delete_samples", grouped, what="copies", confirm=True)
    left = len(grouped)

    execute("undo_action", grouped, action=result["action"])

    assert left == 39
    assert len(grouped) == 42


def test_what_is_selected_goes_before_findings(grouped: fo.Dataset) -> None:
    selected = grouped.values("id")[10:12]

    form = form_of("delete_samples", grouped, selected)
    execute("delete_samples", grouped, selected, confirm=True)

    assert form["what"]["default"] == "selected"
    assert len(grouped.select(selected)) == 0
    assert len(grouped) == 40


def test_the_view_narrows_what_is_acted_on(grouped: fo.Dataset) -> None:
    view = grouped.limit(2)

    foo.execute_operator("@winnow/curation/delete_samples", view=view, params={"confirm": True})

    assert len(grouped) == 41


def test_findings_are_tagged_by_their_name(grouped: fo.Dataset) -> None:
    execute("tag_findings", grouped)
    execute("tag_findings", grouped, what="leaked training images", tag="seen")

    assert grouped.match_tags("copy").count() == 3
    assert grouped.match_tags("seen").count() == 1


def test_leaked_training_images_are_moved_out_of_every_split(grouped: fo.Dataset) -> None:
    form = form_of("move_to_split", grouped)

    execute("move_to_split", grouped)

    assert form["plan"]["view"]["label"] == f"Moves 1 sample of dataset '{grouped.name}' out of every split."
    assert grouped.first().tags == []


def test_the_app_is_told_to_reload_and_to_forget_its_selection(grouped: fo.Dataset) -> None:
    context = in_the_app("delete_samples", grouped, confirm=True)

    foo.get_operator("@winnow/curation/delete_samples").execute(context)

    asked = [request.operator_uri for request in context.executor._requests]
    assert asked == ["clear_selected_samples", "reload_dataset"]


def test_an_error_is_shown_in_the_app_as_its_message(grouped: fo.Dataset) -> None:
    operator = foo.get_operator("@winnow/curation/undo_action")

    result = operator.execute(in_the_app("undo_action", grouped))

    assert "nothing to undo" in result["error"]


def test_groups_of_the_selection_are_decided_about(grouped: fo.Dataset) -> None:
    selected = grouped.values("id")[:1]

    form = form_of("decide_duplicates", grouped, selected)
    execute("decide_duplicates", grouped, selected, decision="keep all")
    execute("decide_duplicates", grouped, grouped.values("id")[2:3])

    assert form["plan"]["view"]["label"] == "About 2 images of 1 group."
    assert grouped.values("duplicate_role")[:5] == ["kept", "kept", None, None, None]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("decide_duplicates", "Nothing is selected"),
        ("undo_action", "There is nothing to undo"),
        ("delete_samples", "There is nothing to choose from"),
        ("tag_findings", "There is nothing to choose from"),
        ("move_to_split", "There is nothing to choose from"),
    ],
)
def test_a_form_says_why_there_is_nothing_to_do(colours: fo.Dataset, name: str, message: str) -> None:
    with pytest.raises(ExecutionError, match=message):
        execute(name, colours, **({"confirm": True} if name == "delete_samples" else {}))


def test_a_misspelt_parameter_is_refused(grouped: fo.Dataset) -> None:
    with pytest.raises(ExecutionError, match="unknown parameter 'waht'"):
        execute("delete_samples", grouped, waht="copies", confirm=True)


def test_undo_lists_what_was_done(grouped: fo.Dataset) -> None:
    execute("tag_findings", grouped)

    form = form_of("undo_action", grouped)

    assert "tagged 3 samples 'copy'" in form["actions"]["default"]
    assert form["action"]["type"]["values"] == ["winnow_action_1"]
