"""The review panel's Python half, as its component calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import ExecutionContext, Executor

from tests.conftest import save_label_issues, write_image
from tests.operators import panels
from tests.operators.panels import drawn


@pytest.fixture
def flagged(dataset: Callable[..., fo.Dataset], tmp_path: Path) -> fo.Dataset:
    """Return four cats and a dog, of which two cats are flagged."""
    made = dataset()
    made.add_samples(
        fo.Sample(
            filepath=str(write_image(tmp_path / f"{row}.png")),
            media_type="image",
            ground_truth=fo.Classification(label="dog" if row == 4 else "cat"),
        )
        for row in range(5)
    )
    save_label_issues(made, made.values("id"), [0.1, 0.2, 0.9, 0.9, 0.9], ["dog", "dog"], [0.9, 0.8])
    return made


def answer(dataset: fo.Dataset, method: str, view: list[Any] | None = None, **params: Any) -> dict[str, Any]:
    """Return what a method answers the component: plain JSON."""
    panel = foo.get_operator("@winnow/curation/review")
    given = {"__method__": method, "panel_id": "one", "panel_state": {}, **params}
    request = {"dataset_name": dataset.name, "view": view or [], "params": given, "filters": {}}
    context = ExecutionContext(request, executor=Executor(), operator_uri=panel.uri)
    return json.loads(json.dumps(panel.execute(context)))


def test_component_is_named_and_told_of_the_methods_that_it_may_call(flagged: fo.Dataset) -> None:
    view = drawn(panels.sent_by("review", flagged))["review"]["view"]

    assert view["component"] == "WinnowReview"
    assert view["dataset"] == flagged.name
    assert view["save"] == "@winnow/curation/review#save"


def test_review_keeps_to_the_view_that_it_began_on_whatever_the_app_shows_later(flagged: fo.Dataset) -> None:
    narrowed = flagged.skip(1)._serialize()

    begun = answer(flagged, "start", view=narrowed)
    page = answer(flagged, "page", kind="labels", count=10, scope=begun["scope"])

    assert begun["note"] == "Only the 4 samples of the current view are reviewed."
    assert [item["key"] for item in page["items"]] == flagged.values("id")[1:2]


def test_decision_is_saved_under_the_reviewers_name_and_taken_back(flagged: fo.Dataset) -> None:
    key = flagged.first().id

    steps = [{"key": key, "decision": "accept"}]
    saved = answer(flagged, "save", kind="labels", session=None, reviewer="ada", steps=steps)
    flagged.reload()
    label = flagged[key].ground_truth
    back = answer(flagged, "back", kind="labels", session=saved["session"], keys=[key])

    assert (saved["saved"], saved["skipped"]) == (1, [])
    assert (label.label, label.decided_by) == ("dog", "ada")
    assert [(item["label"], item["decision"]) for item in back["items"]] == [("cat", None)]


def test_what_a_person_can_mend_is_answered_as_an_error(flagged: fo.Dataset) -> None:
    assert "there is no review of 'boxes'" in answer(flagged, "page", kind="boxes", count=10)["error"]


def test_nothing_is_applied_without_confirmation(flagged: fo.Dataset) -> None:
    refused = answer(flagged, "apply", kind="labels", way="tag", tag="unsure")

    assert refused == {"error": "Nothing was changed: it was not confirmed."}
