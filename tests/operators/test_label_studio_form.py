"""The form that sends to Label Studio."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import ExecutionContext, Executor

TOKEN = "a token of nobody"


@pytest.fixture
def form(colours: fo.Dataset) -> dict[str, Any]:
    """Return the form's properties, as the App gets them."""
    operator = foo.get_operator("@winnow/curation/send_to_label_studio")
    request = {"dataset_name": colours.name, "view": [], "params": {}, "selected": [], "filters": {}}
    context = ExecutionContext(
        request, executor=Executor(), operator_uri=operator.uri, required_secrets=operator._plugin_secrets
    )
    return operator.resolve_type(context, "inputs").to_json()["type"]["properties"]


def test_what_is_not_set_is_named_in_place_of_the_form(form: dict[str, Any]) -> None:
    assert form["label_studio"]["view"]["label"] == "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY not set"
    assert form["label_studio"]["invalid"] and "image_count" in form and "limit" not in form


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set address and token where FiftyOne finds secrets."""
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://studio.example:8080")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)


def test_the_form_says_where_label_studio_is_and_shows_no_token(secrets: None, form: dict[str, Any]) -> None:
    assert form["label_studio"]["view"]["label"] == "Label Studio at http://studio.example:8080"
    assert "limit" in form and TOKEN not in str(form)


def test_the_form_says_how_many_images_there_are_and_asks_how_they_are_delivered(
    secrets: None, form: dict[str, Any], colours: fo.Dataset
) -> None:
    assert form["image_count"]["view"]["label"] == f"{len(colours)} images"
    assert "upload" in form["images"]["type"]["values"]
