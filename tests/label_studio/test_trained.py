"""The whole loop before a real Label Studio: annotated, trained, proposed, promoted, predicted anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.label_studio.conftest import (
    LOGIN,
    RunningBackend,
    add_storage,
    annotate,
    predictions_of,
    retrieve_predictions,
)
from tests.label_studio.server import RealLabelStudio
from winnow.backend.promotion import promote
from winnow.plugin.labeling.attachment import attach
from winnow.plugin.labeling.attachment_memory import AttachmentMemories
from winnow.plugin.labeling.client import LabelStudioClient

SECONDS_TO_TRAIN = 300


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_TRAIN
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {SECONDS_TO_TRAIN} s in vain until {what}")
        time.sleep(0.2)


def test_start_training_leads_to_a_version_that_predicts_once_it_is_promoted(
    studio: RealLabelStudio,
    client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    local_images: Callable[[int], list[dict[str, Any]]],
    memories: AttachmentMemories,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in zip(("BASIC_AUTH_USER", "BASIC_AUTH_PASS"), LOGIN, strict=True):
        monkeypatch.setenv(name, value)  # the job's own process reads its settings from the environment
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    project = new_project(local_images(28))
    add_storage(client, project, studio.images)
    attach(client, project, backend.backend, memories)
    for number, task in enumerate(predictions_of(client, project)):
        annotate(client, task, None if number < 2 else ("left", "right")[number % 2])
    (row,) = client.ml_backends(project)
    retrieve_predictions(client, project)
    first = backend.version

    client.call("POST", f"/api/ml/{row['id']}/train", json={})
    wait_until(lambda: backend.learning.status()["last_job"], "the job ends")
    job = backend.learning.status()["last_job"]
    served_meanwhile = backend.version
    promote(backend.state, job["version"], "tester", "to see it served")
    wait_until(lambda: client.project(project)["model_version"] == job["version"], "the project goes by the version")
    retrieve_predictions(client, project)

    versions = [{each["model_version"] for each in found} for found in predictions_of(client, project).values()]
    assert job["state"] == "done", job
    assert served_meanwhile == first
    assert client.ml_backends(project)[0]["title"] == backend.version == job["version"]
    assert all(found == {first, job["version"]} for found in versions)
