"""How good the served classifier is, by the annotations of a real Label Studio."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.label_studio.conftest import (
    LOGIN,
    RunningBackend,
    add_storage,
    annotate,
    predictions_of,
    retrieve_predictions,
)
from tests.label_studio.server import RealLabelStudio
from winnow.plugin.labeling.attachment import attach
from winnow.plugin.labeling.attachment_memory import AttachmentMemories
from winnow.plugin.labeling.client import LabelStudioClient

FIGURES = ("answered", "judged", "reviews", "overrides", "none_of_the_classes")


def figures(backend: RunningBackend) -> dict[str, int]:
    """Return those of the served version, which other tests have added to."""
    quality = httpx.get(f"{backend.backend.url}/status", auth=LOGIN).json()["quality"]
    found = [each for each in quality["versions"] if each["version"] == backend.version]
    return {name: found[0][name] if found else 0 for name in FIGURES}


def test_status_tells_how_often_annotators_overrode_the_prediction(
    studio: RealLabelStudio,
    client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    local_images: Callable[[int], list[dict[str, Any]]],
    memories: AttachmentMemories,
) -> None:
    project = new_project(local_images(6))
    add_storage(client, project, studio.images)
    attach(client, project, backend.backend, memories)
    retrieve_predictions(client, project)
    said = {
        task: found[0]["result"][0]["value"]["choices"][0] for task, found in predictions_of(client, project).items()
    }
    other = {"left": "up", "right": "left", "up": "right"}
    before = figures(backend)

    kept, changed, skipped, edited, deleted, unheard = said
    annotate(client, kept, said[kept])
    annotate(client, changed, other[said[changed]])
    annotate(client, skipped, None)
    annotate(client, edited, said[edited])
    annotate(client, deleted, other[said[deleted]])
    annotate(client, unheard, "something else")
    numbers = {task["id"]: task["annotations"][0]["id"] for task in client.tasks(project)}
    value = {"choices": [other[said[edited]]]}
    result = [{"from_name": "label", "to_name": "image", "type": "choices", "value": value}]
    client.call("PATCH", f"/api/annotations/{numbers[edited]}/", json={"result": result})
    client.call("DELETE", f"/api/annotations/{numbers[deleted]}/")

    wanted = {"answered": 4, "judged": 4, "reviews": 4, "overrides": 3, "none_of_the_classes": 1}
    found: dict[str, int] = {}
    for _ in range(100):
        now = figures(backend)
        found = {name: now[name] - before[name] for name in FIGURES}
        if found == wanted:
            break
        time.sleep(0.1)
    assert found == wanted
