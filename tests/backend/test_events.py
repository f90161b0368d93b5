"""Label Studio's webhook events, as they were observed on 1.23."""

from __future__ import annotations

from typing import Any

import pytest

from winnow.backend.events import read_event

PROJECT = {"id": 3, "title": "pets"}


def event(action: str, **fields: Any) -> dict[str, Any]:
    return {"action": action, "project": PROJECT} | fields


def annotation(number: int, updated_at: str = "2026-01-01T00:00:00Z", **fields: Any) -> dict[str, Any]:
    return {"id": number, "result": [], "was_cancelled": False, "updated_at": updated_at} | fields


@pytest.mark.parametrize(
    ("body", "annotations"),
    [
        (event("ANNOTATION_CREATED", annotation=annotation(1), task={"id": 1}), 1),
        (event("ANNOTATION_UPDATED", annotation=annotation(1), task={"id": 1}), 1),
        (event("ANNOTATIONS_CREATED", annotation=[annotation(1), annotation(2)], task=[{"id": 1}, {"id": 2}]), 2),
        (event("ANNOTATIONS_DELETED", annotations=[{"id": 1}, {"id": 2}, {"id": 3}]), 3),
        (event("ANNOTATION_CREATED", annotation=annotation(1, was_cancelled=True), task={"id": 1}), 0),
        (event("START_TRAINING"), 0),
    ],
    ids=["created", "updated", "created in bulk", "deleted", "skipped", "start training"],
)
def test_event_counts_its_annotations(body: dict[str, Any], annotations: int) -> None:
    found = read_event(body)

    assert found is not None
    assert (found.action, found.project, found.annotations) == (body["action"], 3, annotations)


@pytest.mark.parametrize(
    "body",
    [
        event("PROJECT_UPDATED"),
        event("TASKS_CREATED", tasks=[{"id": 1}]),
        {"action": "START_TRAINING"},
        {"action": "START_TRAINING", "project": {"id": "3"}},
        {"action": "START_TRAINING", "project": {"id": True}},
        event("ANNOTATION_CREATED"),
        event("ANNOTATIONS_DELETED", annotations="all"),
        {"action": ["START_TRAINING"], "project": 3},
        {},
    ],
)
def test_what_training_does_not_depend_on_is_ignored(body: dict[str, Any]) -> None:
    assert read_event(body) is None


def test_same_event_from_two_webhooks_has_one_key_and_a_later_change_another() -> None:
    first = event("ANNOTATION_UPDATED", annotation=annotation(1))
    later = event("ANNOTATION_UPDATED", annotation=annotation(1, "2026-01-01T00:00:09Z"))

    keys = [getattr(read_event(body), "key", None) for body in (first, dict(first), later)]

    assert keys[0] == keys[1] != keys[2]


def test_each_press_of_start_training_counts() -> None:
    keys = {getattr(read_event(event("START_TRAINING")), "key", None) for _ in range(2)}

    assert len(keys) == 2
