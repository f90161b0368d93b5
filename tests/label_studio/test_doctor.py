"""`winnow labelstudio doctor` before a real Label Studio: each fault is named, with the setting that it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import write_image
from tests.label_studio.conftest import LOGIN, RunningBackend, add_storage
from tests.label_studio.server import RealLabelStudio, free_port
from winnow.plugin.labeling.attached_backend import Backend
from winnow.plugin.labeling.attachment import attach
from winnow.plugin.labeling.attachment_memory import AttachmentMemories
from winnow.plugin.labeling.client import LabelStudioClient
from winnow.plugin.labeling.connection_check import check_connection
from winnow.plugin.labeling.connection_findings import ConnectionReport, Level

# Loopback as well, but not the one address that the Label Studio of these tests spares; nothing has to listen there.
REFUSED = "http://127.0.0.2:9090"

Check = Callable[..., ConnectionReport]


@pytest.fixture
def check(client: LabelStudioClient) -> Iterator[Check]:
    """Return `check_connection` with a client and a connection of its own."""
    with httpx.Client(trust_env=False, timeout=5) as http:
        yield lambda project, backend, root=None: check_connection(client, project, backend, http, root)


@pytest.fixture(scope="module")
def attached(
    studio: RealLabelStudio,
    client: LabelStudioClient,
    backend: RunningBackend,
    new_project: Callable[..., int],
    local_images: Callable[[int], list[dict[str, Any]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> int:
    """Return a project that the backend is attached to, with local files."""
    project = new_project(local_images(2))
    add_storage(client, project, studio.images)
    attach(client, project, backend.backend, AttachmentMemories(tmp_path_factory.mktemp("memories")))
    return project


def problems(report: ConnectionReport) -> str:
    return "\n".join(finding.line() for finding in report.findings if finding.level is Level.PROBLEM)


def test_sound_connection_has_no_problem(
    studio: RealLabelStudio, backend: RunningBackend, attached: int, check: Check
) -> None:
    report = check(attached, backend.backend, studio.images.parent)

    assert report.is_sound, report.text()
    assert "Label Studio gets a prediction of a task" in report.text()


def test_refused_address_names_both_protections_and_the_narrowest_exception_and_leaves_nothing_behind(
    client: LabelStudioClient, new_project: Callable[..., int], check: Check
) -> None:
    project = new_project()

    found = problems(check(project, Backend(REFUSED)))

    assert "ML_BLOCK_LOCAL_IP is on" in found and "SSRF_PROTECTION_ENABLED is on" in found
    assert "USE_DEFAULT_BANNED_SUBNETS=false USER_ADDITIONAL_BANNED_SUBNETS=" in found
    assert "127.0.0.2/32" not in found and "127.0.0.3/32" in found and "10.0.0.0/8" in found
    assert "ML_BLOCK_LOCAL_IP=false" not in found
    assert not client.ml_backends(project) and not client.webhooks(project)


def test_backend_that_is_not_attached_yet_is_tried_and_taken_off_again(
    client: LabelStudioClient, backend: RunningBackend, new_project: Callable[..., int], check: Check
) -> None:
    project = new_project()

    report = check(project, backend.backend)

    assert report.is_sound and "is not connected" in report.text()
    assert not client.ml_backends(project) and not client.webhooks(project)
    assert not client.project(project)["model_version"]


def test_address_where_nothing_listens_points_at_containers(new_project: Callable[..., int], check: Check) -> None:
    found = problems(check(new_project(), Backend(f"http://127.0.0.1:{free_port()}")))

    assert "no healthy answer" in found and "localhost is that container" in found


def test_wrong_password_is_named(backend: RunningBackend, new_project: Callable[..., int], check: Check) -> None:
    found = problems(check(new_project(), Backend(backend.backend.url, (LOGIN[0], "wrong"))))

    assert "BASIC_AUTH_PASS" in found


def test_webhook_without_the_login_and_a_title_that_is_not_the_version_are_named(
    client: LabelStudioClient, backend: RunningBackend, attached: int, check: Check, tmp_path: Path
) -> None:
    (hook,), (row,) = client.webhooks(attached), client.ml_backends(attached)
    client.update_webhook(hook["id"], url=hook["url"], headers={})
    login = backend.backend.login()
    client.update_ml_backend(row["id"], url=row["url"], project=attached, title="by hand", **login)

    found = problems(check(attached, backend.backend))
    attach(client, attached, backend.backend, AttachmentMemories(tmp_path))

    assert "the webhook does not bring the backend's user and password" in found
    assert "title is 'by hand'" in found
    assert check(attached, backend.backend).is_sound


def test_tasks_without_a_readable_image_are_named(
    backend: RunningBackend, client: LabelStudioClient, new_project: Callable[..., int], check: Check, tmp_path: Path
) -> None:
    project = new_project([{"image": "data:,no image"}])
    attach(client, project, backend.backend, AttachmentMemories(tmp_path))

    found = problems(check(project, backend.backend))

    assert "gets no prediction" in found and f"{backend.backend.url}/status" in found


def test_local_files_without_a_storage_are_named(
    studio: RealLabelStudio, backend: RunningBackend, new_project: Callable[..., int], check: Check
) -> None:
    write_image(studio.images.parent / "elsewhere" / "a.png")  # a storage of another project would do as well

    found = problems(check(new_project([{"image": "/data/local-files/?d=elsewhere/a.png"}]), backend.backend))

    assert "no storage of local files" in found


def test_wrong_document_root_is_named(backend: RunningBackend, attached: int, check: Check, tmp_path: Path) -> None:
    found = problems(check(attached, backend.backend, tmp_path))

    assert "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT is another folder" in found


def test_legacy_token_is_named_where_those_are_switched_off(
    studio: RealLabelStudio, client: LabelStudioClient, backend: RunningBackend, attached: int
) -> None:
    legacy = client.call("GET", "/api/current-user/token")["token"]

    with LabelStudioClient(studio.url, legacy) as other, httpx.Client(trust_env=False) as http:
        report = check_connection(other, attached, backend.backend, http)

    assert "Legacy tokens are switched off" in problems(report) and legacy not in report.text()
