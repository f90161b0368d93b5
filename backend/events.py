"""Label Studio's webhook events, reduced to what learning keeps of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .learning_store import START, Event, start_event

_DELETED = "ANNOTATIONS_DELETED"
_ANNOTATED = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED")


def read_event(body: Mapping[str, Any]) -> Event | None:
    """Return what is kept of an event; None for one that changes nothing that training depends on.

    Contents are not kept: a job reads the project anew. They only tell whether the same event came before, as two
    webhooks of one project send it twice.
    """
    action, project = body.get("action"), body.get("project")
    number = project.get("id") if isinstance(project, Mapping) else project
    if not isinstance(action, str) or isinstance(number, bool) or not isinstance(number, int):
        return None
    if action == START:
        return start_event(number)
    if action not in (*_ANNOTATED, _DELETED):
        return None
    found = body.get("annotations") if action == _DELETED else body.get("annotation")
    annotations = [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, Mapping)]
    if not annotations:
        return None
    said = sorted(json.dumps(each, sort_keys=True, default=str) for each in annotations)
    key = hashlib.sha256("\0".join([action, str(number), *said]).encode()).hexdigest()
    return Event(key, action, number, sum(not each.get("was_cancelled") for each in annotations))
