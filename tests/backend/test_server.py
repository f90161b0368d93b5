"""The backend as a real server on loopback, in its own process where that matters."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from winnow.backend.app import create_app
from winnow.backend.hosting import ModelHost
from winnow.backend.serve import ServeOptions, serve
from winnow.backend.settings import Settings, SettingsError
from winnow.plugin.errors import ClassifierError


@contextmanager
def running(host: ModelHost) -> Iterator[str]:
    """Run the backend on a free port and give its address."""
    config = uvicorn.Config(create_app(Settings(), host), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def test_label_studios_sequence_of_calls_works_over_the_network(
    colours: Any, config: str, task: Any, image_uri: Any
) -> None:
    host = ModelHost(colours)
    host.start()
    host.wait(20)

    with running(host) as url:
        health = httpx.get(f"{url}/health")
        setup = httpx.post(f"{url}/setup", json={"project": "1.2", "schema": config, "extra_params": None})
        body = {"tasks": [task(1, image_uri("red"))], "label_config": config, "project": "1.2", "params": {}}
        predict = httpx.post(f"{url}/predict", json=body)

    assert (health.status_code, setup.json()) == (200, {"model_version": "colours-1"})
    assert predict.json()["results"][0]["result"][0]["value"] == {"choices": ["red"]}


def test_health_answers_while_many_predictions_wait(colours: Any, config: str, task: Any, image_uri: Any) -> None:
    gate = threading.Event()
    host = ModelHost(lambda: colours(gate=gate))
    host.start()
    host.wait(20)
    body = {"tasks": [task(1, image_uri("red"))], "label_config": config}
    statuses: list[int] = []

    with running(host) as url:
        post = lambda: statuses.append(httpx.post(f"{url}/predict", json=body, timeout=30).status_code)  # noqa: E731
        waiting = [threading.Thread(target=post) for _ in range(16)]
        for thread in waiting:
            thread.start()
        health = httpx.get(f"{url}/health", timeout=5)
        gate.set()
        for thread in waiting:
            thread.join(30)

    assert health.status_code == 200
    assert statuses == [200] * 16


def test_backend_never_imports_fiftyone() -> None:
    code = (
        "import sys; import winnow.backend.serve, winnow.backend.app, winnow.plugin.training.classifier; "
        "print([name for name in sys.modules if name.split('.')[0] in ('fiftyone', 'mongoengine', 'pymongo')])"
    )

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)

    assert printed.stdout.strip() == "[]"


def test_server_refuses_to_listen_for_everyone_without_a_password(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="BASIC_AUTH_USER"):
        serve(tmp_path, ServeOptions(host="0.0.0.0"), environment={})


def test_folder_that_does_not_exist_is_told_before_the_server_starts(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="no classifier folder"):
        serve(tmp_path / "none", environment={})
