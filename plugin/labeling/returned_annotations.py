"""Annotations as Label Studio tells of them, in events and in tasks, reduced to what a prediction is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .annotations import annotator_of

CREATED = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED")
DELETED = "ANNOTATIONS_DELETED"


@dataclass(frozen=True, slots=True)
class Returned:
    """One annotation of a task as it is now.

    Attributes:
        annotation: Its number.
        project: Number of its project.
        task: Number of its task.
        updated_at: When it was changed last, as Label Studio writes it: of two texts the later time sorts later.
        content: It, in Label Studio's form: what was chosen, by whom (a number), when; nothing of the task.
        version: Version of the prediction that the annotator started from; None = not told.
    """

    annotation: int
    project: int
    task: int
    updated_at: str
    content: dict[str, Any] = field(repr=False)
    version: str | None = None


def returned_in_event(body: Mapping[str, Any]) -> list[Returned]:
    """Return the annotations that an event brings; malformed ones are left out, as they are no answer."""
    if body.get("action") not in CREATED:
        return []
    project, found = body.get("project"), body.get("annotation")
    number = project.get("id") if isinstance(project, Mapping) else project
    annotations = found if isinstance(found, list) else [found]
    read = (_returned(each, number, each.get("task")) for each in annotations if isinstance(each, Mapping))
    return [each for each in read if each is not None]


def deleted_in_event(body: Mapping[str, Any]) -> list[int]:
    """Return the numbers of the annotations that an event says are deleted."""
    found = body.get("annotations") if body.get("action") == DELETED else None
    numbers = (
        [_number(each.get("id")) for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
    )
    return [number for number in numbers if number is not None]


def returned_in_task(task: Mapping[str, Any], project: int) -> list[Returned]:
    """Return the annotations of a task, as Label Studio's API gives it with its predictions."""
    versions = {
        each.get("id"): each.get("model_version") for each in task.get("predictions") or () if isinstance(each, Mapping)
    }
    read = (
        _returned(each, project, task.get("id"), versions)
        for each in task.get("annotations") or ()
        if isinstance(each, Mapping)
    )
    return [each for each in read if each is not None]


def _returned(
    annotation: Mapping[str, Any], project: object, task: object, versions: Mapping[Any, Any] | None = None
) -> Returned | None:
    number, place, of_task = _number(annotation.get("id")), _number(project), _number(task)
    result = annotation.get("result")
    if number is None or place is None or of_task is None or not isinstance(result, list):
        return None
    created_at = str(annotation.get("created_at") or annotation.get("updated_at") or "")
    updated_at = str(annotation.get("updated_at") or created_at)
    started_from = _number(annotation.get("parent_prediction"))
    content = {
        "id": number,
        "completed_by": _number(annotator_of(annotation)),  # a name would be of no use here
        "created_at": created_at,
        "updated_at": updated_at,
        "was_cancelled": bool(annotation.get("was_cancelled")),
        "ground_truth": bool(annotation.get("ground_truth")),
        "parent_prediction": started_from,
        "result": _choices(result),
    }
    version = None if versions is None else versions.get(started_from)
    return Returned(number, place, of_task, updated_at, content, version if isinstance(version, str) else None)


def _choices(result: Sequence[Any]) -> list[dict[str, Any]]:
    """Return of a result the regions that answer Choices or a Taxonomy, each as its control's name and value."""
    found = []
    for region in result:
        value = region.get("value") if isinstance(region, Mapping) else None
        if isinstance(value, Mapping):
            kept = {kind: value[kind] for kind in ("choices", "taxonomy") if kind in value}
            if kept:
                found.append({"from_name": region.get("from_name"), "value": kept})
    return found


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
