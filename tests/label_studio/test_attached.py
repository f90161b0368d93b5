"""A backend attached to a real Label Studio: what annotators get of it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.label_interface import LabelInterface

from tests.conftest import write_image
from tests.label_studio.conftest import (
    CHOICES,
    RunningBackend,
    add_storage,
    annotate,
    predictions_of,
    retrieve_predictions,
)
from tests.label_studio.server import RealLabelStudio
from winnow.plugin.labeling.attachment import attach, detach
from winnow.plugin.labeling.attachment_memory import AttachmentMemories
from winnow.plugin.labeling.client import LabelStudioClient

SETTINGS = ("sampling", "model_version", "show_collab_predictions")

ALIASED = (
    '<View><Image name="image" value="$image"/><Choices name="label" toName="image">'
    '<Choice value="Links" alias="left"/><Choice value="Rechts" alias="right"/><Choice value="Up"/></Choices></View>'
)
MULTIPLE = (
    f'<View><Image name="image" value="$image"/><Choices name="label" toName="image" choice="multiple">{CHOICES}'
    "</Choices></View>"
)
TAXONOMY = (
    '<View><Image name="image" value="$image"/><Taxonomy name="label" toName="image"><Choice value="side">'
    '<Choice value="left"/><Choice value="right"/></Choice><Choice value="up"/></Taxonomy></View>'
)
TWO_CONTROLS = (
    f'<View><Image name="front" value="$image"/><Choices name="label" toName="front">{CHOICES}</Choices>'
    f'<Image name="back" value="$second"/><Choices name="other" toName="back">{CHOICES}</Choices></View>'
)


def settings_of(client: LabelStudioClient, project: int) -> dict[str, Any]:
    found = client.project(project)
    return {name: found[name] for name in SETTINGS}


def test_attaching_twice_makes_one_connection_that_goes_by_the_served_version(
    client: LabelStudioClient, backend: RunningBackend, new_project: Callable[..., int], memories: AttachmentMemories
) -> None:
    project = new_project()

    first = attach(client, project, backend.backend, memories)
    second = attach(client, project, backend.backend, memories)

    (row,) = client.ml_backends(project)
    (hook,) = client.webhooks(project)
    assert first.changes and not second.changes
    assert row["title"] == row["model_version"] == backend.version
    assert (hook["url"], hook["headers"]) == (backend.backend.webhook_url, backend.backend.webhook_headers())
    assert settings_of(client, project) == {
        "sampling": "Uncertainty sampling",
        "model_version": backend.version,
        "show_collab_predictions": True,
    }


def test_dry_run_tells_the_changes_and_makes_none(
    client: LabelStudioClient, backend: RunningBackend, new_project: Callable[..., int], memories: AttachmentMemories
) -> None:
    project = new_project()
    before = settings_of(client, project)

    report = attach(client, project, backend.backend, memories, dry_run=True)

    assert any("connect" in change for change in report.changes)
    assert not client.ml_backends(project) and not client.webhooks(project)
    assert settings_of(client, project) == before


def test_detach_leaves_the_project_as_it_was(
    client: LabelStudioClient, backend: RunningBackend, new_project: Callable[..., int], memories: AttachmentMemories
) -> None:
    project = new_project()
    client.update_project(project, sampling="Uniform sampling", show_collab_predictions=False)
    before = settings_of(client, project)
    attach(client, project, backend.backend, memories)

    detach(client, project, None, memories)

    assert not client.ml_backends(project) and not client.webhooks(project)
    assert settings_of(client, project) == before


def test_detach_gives_the_project_its_version_of_before_back(
    client: LabelStudioClient, backend: RunningBackend, new_project: Callable[..., int], memories: AttachmentMemories
) -> None:
    project = new_project([{"image": "data:,"}])
    task = next(client.tasks(project))["id"]
    client.import_predictions(project, [{"task": task, "result": [], "score": 0.5, "model_version": backend.version}])
    client.update_project(project, model_version=backend.version)
    attach(client, project, backend.backend, memories)

    detach(client, project, None, memories)

    assert client.project(project)["model_version"] == backend.version


def test_detach_leaves_a_setting_that_somebody_has_changed_since(
    client: LabelStudioClient, backend: RunningBackend, new_project: Callable[..., int], memories: AttachmentMemories
) -> None:
    project = new_project()
    attach(client, project, backend.backend, memories)
    client.update_project(project, sampling="Uniform sampling")

    report = detach(client, project, None, memories)

    assert client.project(project)["sampling"] == "Uniform sampling"
    assert any("somebody has changed it" in note for note in report.notes)


def test_detach_without_a_memory_removes_the_backend_and_tells_what_stays(
    client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    memories: AttachmentMemories,
    tmp_path: Path,
) -> None:
    project = new_project()
    attach(client, project, backend.backend, memories)

    report = detach(client, project, backend.backend.url, AttachmentMemories(tmp_path / "another machine"))

    assert not client.ml_backends(project) and not client.webhooks(project)
    assert any("not remembered here" in note for note in report.notes)


def test_sampling_of_a_project_with_annotations_is_changed_by_force_alone(
    client: LabelStudioClient, backend: RunningBackend, new_project: Callable[..., int], memories: AttachmentMemories
) -> None:
    project = new_project([{"image": "data:,"}])
    annotate(client, next(client.tasks(project))["id"], "left")

    report = attach(client, project, backend.backend, memories)
    kept = client.project(project)["sampling"]
    attach(client, project, backend.backend, memories, force_sampling=True)

    assert kept == "Sequential sampling" and any("--force-sampling" in note for note in report.notes)
    assert client.project(project)["sampling"] == "Uncertainty sampling"


def test_opened_task_has_a_prediction_wherever_its_image_is_kept(
    studio: RealLabelStudio,
    client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    local_images: Callable[[int], list[dict[str, Any]]],
    memories: AttachmentMemories,
) -> None:
    file = write_image(studio.images / "uploaded ü.png").read_bytes()
    inline = {"image": "data:image/png;base64," + base64.b64encode(file).decode()}
    project = new_project([*local_images(1), inline])
    add_storage(client, project, studio.images)
    client.call("POST", f"/api/projects/{project}/import", files={"file": ("uploaded ü.png", BytesIO(file))})
    attach(client, project, backend.backend, memories)

    opened = [client.call("GET", f"/api/tasks/{task}/") for task in predictions_of(client, project)]

    kinds = [task["data"]["image"][:12] for task in opened]
    assert kinds == ["/data/local-", "data:image/p", "/data/upload"]
    assert [len(task["predictions"]) for task in opened] == [1, 1, 1]
    assert {task["predictions"][0]["model_version"] for task in opened} == {backend.version}


def test_label_stream_serves_the_least_certain_task_first(
    client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    local_images: Callable[[int], list[dict[str, Any]]],
    memories: AttachmentMemories,
) -> None:
    project = new_project(local_images(6))
    attach(client, project, backend.backend, memories)
    retrieve_predictions(client, project)
    scores = {task: found[0]["score"] for task, found in predictions_of(client, project).items()}

    served = []
    for choice in ("left", None, "up"):  # submitted, skipped, submitted
        served.append(client.call("GET", f"/api/projects/{project}/next/")["id"])
        annotate(client, served[-1], choice)

    assert served == sorted(scores, key=lambda task: scores[task])[:3]


def test_annotations_reach_the_backend_with_its_login(
    client: LabelStudioClient, backend: RunningBackend, new_project: Callable[..., int], memories: AttachmentMemories
) -> None:
    project = new_project([{"image": "data:,"}])
    attach(client, project, backend.backend, memories)

    annotate(client, next(client.tasks(project))["id"], "left")

    waiting = {each["project"]: each["annotations"] for each in backend.learning.status()["waiting"]}
    assert waiting[project] == 1


@pytest.mark.parametrize(
    "config", [ALIASED, MULTIPLE, TAXONOMY, TWO_CONTROLS], ids=["aliased", "multiple", "taxonomy", "two"]
)
def test_predictions_fit_the_labeling_config(
    client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    local_images: Callable[[int], list[dict[str, Any]]],
    memories: AttachmentMemories,
    config: str,
) -> None:
    first, second = local_images(2)
    project = new_project([{**first, "second": second["image"]}, {**second, "second": first["image"]}], config)
    attach(client, project, backend.backend, memories)

    retrieve_predictions(client, project)

    found = [each for task in predictions_of(client, project).values() for each in task]
    interface = LabelInterface(config)
    assert len(found) == 2
    assert {part["from_name"] for each in found for part in each["result"]} == {c.name for c in interface.controls}
    assert not [problem for each in found for problem in interface.validate_prediction(each, return_errors=True)]
