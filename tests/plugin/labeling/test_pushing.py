"""What push mode tells training of annotations."""

from __future__ import annotations

from typing import Any

from winnow.backend.events import read_event
from winnow.plugin.labeling.pushing import AnnotationWatch


def task(*annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": 1, "annotations": list(annotations)}


def annotation(number: int, **changes: Any) -> dict[str, Any]:
    seen = {"created_ago": changes.pop("created_ago", "0 minutes")}
    return {"id": number, "updated_at": "2026-01-01", "was_cancelled": False, "result": [], **seen, **changes}


def events_of(*passes: dict[str, Any]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    watch = AnnotationWatch(7, events.append)
    for each in passes:
        watch.see(each)
        watch.end_pass()
    return events


def test_annotation_that_did_not_change_is_known_again() -> None:
    first, second = events_of(task(annotation(1)), task(annotation(1, created_ago="5 minutes")))

    assert read_event(first) == read_event(second)


def test_annotation_that_changed_is_a_new_event() -> None:
    first, second = events_of(task(annotation(1)), task(annotation(1, updated_at="2026-01-02")))

    assert read_event(first) != read_event(second)


def test_skipped_annotation_does_not_count_as_one() -> None:
    (event,) = events_of(task(annotation(1, was_cancelled=True)))

    kept = read_event(event)

    assert kept is not None and kept.annotations == 0


def test_annotation_that_is_gone_is_told_as_deleted() -> None:
    *_, last = events_of(task(annotation(1), annotation(2)), task(annotation(2)))

    assert (last["action"], last["annotations"]) == ("ANNOTATIONS_DELETED", [{"id": 1}])
