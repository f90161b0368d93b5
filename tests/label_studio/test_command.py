"""`winnow labelstudio` on the command line, before a real Label Studio."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.label_studio.conftest import LOGIN, RunningBackend
from tests.label_studio.server import RealLabelStudio
from winnow.__main__ import app
from winnow.plugin.labeling.client import LabelStudioClient


@pytest.fixture
def run(studio: RealLabelStudio, tmp_path: Path) -> Callable[..., Result]:
    """Return `winnow labelstudio ARGUMENTS`, with the settings in the environment and a home of its own."""
    environment = {
        "LABEL_STUDIO_URL": studio.url,
        "LABEL_STUDIO_API_KEY": studio.token,
        "BASIC_AUTH_USER": LOGIN[0],
        "BASIC_AUTH_PASS": LOGIN[1],
        "WINNOW_HOME": str(tmp_path),
    }

    def call(*arguments: Any, **changes: str) -> Result:
        return CliRunner().invoke(app, ["labelstudio", *map(str, arguments)], env={**environment, **changes})

    return call


def test_backend_is_attached_checked_and_detached(
    client: LabelStudioClient, backend: RunningBackend, new_project: Callable[..., int], run: Callable[..., Result]
) -> None:
    project = new_project()

    attached = run("attach", project, "--url", backend.backend.url, "--json")
    checked = run("doctor", project, "--url", backend.backend.url, "--json")
    detached = run("detach", project)

    assert json.loads(attached.stdout)["model_version"] == backend.version
    assert (checked.exit_code, json.loads(checked.stdout)["ok"]) == (0, True)
    assert (detached.exit_code, client.ml_backends(project)) == (0, [])


def test_doctor_that_finds_a_problem_ends_with_1_and_shows_no_secret(
    studio: RealLabelStudio, new_project: Callable[..., int], run: Callable[..., Result]
) -> None:
    checked = run("doctor", new_project(), "--url", "http://127.0.0.2:9090")

    assert checked.exit_code == 1 and "ML_BLOCK_LOCAL_IP" in checked.output
    assert studio.token not in checked.output and LOGIN[1] not in checked.output


def test_missing_address_is_named(run: Callable[..., Result]) -> None:
    attached = run("attach", 1, "--url", "http://127.0.0.1:9090", LABEL_STUDIO_URL="")

    assert attached.exit_code == 1 and "LABEL_STUDIO_URL" in attached.output
