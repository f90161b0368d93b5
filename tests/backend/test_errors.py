"""Whatever is sent, the answer is JSON that says what is wrong, without internals."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import pytest
from starlette.testclient import TestClient

from winnow.backend.app import create_app
from winnow.backend.hosting import ModelHost
from winnow.backend.settings import Settings


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/predict", None, 405),
        ("POST", "/predict", b"{", 422),
        ("POST", "/predict", b"\xff\xfe", 422),
        ("POST", "/predict", b"[" * 100_000, 400),
        ("POST", "/predict", b'{"tasks": [{"id": 1, "data": "x"}], "label_config": "<View/>"}', 422),
        ("POST", "/predict", b'{"tasks": [{"id": NaN, "data": {}}], "label_config": "<View/>"}', 422),
        ("POST", "/predict", b'{"tasks": [], "label_config": "<View/>"}', 400),
        ("POST", "/setup", b"[]", 422),
        ("POST", "/webhook", b'"START_TRAINING"', 422),
    ],
)
def test_error_is_json_with_a_sentence(backend: Any, method: str, path: str, body: bytes | None, status: int) -> None:
    response = backend().request(method, path, content=body, headers={"Content-Type": "application/json"})

    assert (response.status_code, list(response.json())) == (status, ["detail"])
    assert "Traceback" not in response.text


def test_body_that_says_it_is_no_json_is_refused(backend: Any) -> None:
    response = backend().post("/predict", content=b"<x/>", headers={"Content-Type": "text/xml"})

    assert (response.status_code, response.json()) == (415, {"detail": "only application/json is read"})


def test_unexpected_error_shows_no_internals_and_is_logged_once(colours: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def take(self, event: dict[str, Any]) -> str:
            raise RuntimeError("secret detail")

        def status(self) -> dict[str, Any]:
            return {}

        def start(self) -> None: ...

        def stop(self) -> None: ...

    with TestClient(create_app(Settings(), ModelHost(colours), Broken())) as client:
        response = client.post("/webhook", json={"action": "START_TRAINING"})

    assert (response.status_code, response.headers["X-Request-ID"] != "") == (500, True)
    assert "secret" not in response.text
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["unexpected error"]


def test_classifier_that_fails_costs_the_predictions_and_not_the_request(
    backend: Any, colours: Any, config: str, task: Any, image_uri: Any
) -> None:
    class Broken(colours):
        def predict(self, images: Any, batch_size: int = 32) -> Any:
            raise RuntimeError("secret detail")

    body = {"tasks": [task(1, image_uri("red"))], "label_config": config}
    response = backend(classifier=Broken()).post("/predict", json=body)

    assert (response.status_code, response.json()) == (200, {"results": [[]]})


def test_full_queue_is_answered_503_with_a_time_to_try_again(
    backend: Any, colours: Any, config: str, task: Any, image_uri: Any
) -> None:
    gate = threading.Event()
    client = backend(Settings(max_waiting=1), classifier=colours(gate=gate))
    body = {"tasks": [task(1, image_uri("red"))], "label_config": config}

    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(client.post, "/predict", json=body) for _ in range(2)]
        early, late = wait(answers, timeout=20, return_when=FIRST_COMPLETED)
        gate.set()

    assert [(answer.result().status_code, answer.result().headers["Retry-After"]) for answer in early] == [(503, "5")]
    assert [answer.result().status_code for answer in late] == [200]


def test_request_that_takes_too_long_is_answered_with_what_there_is(
    backend: Any, colours: Any, config: str, task: Any, image_uri: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()
    client = backend(Settings(request_seconds=1), classifier=colours(gate=gate))
    body = {"tasks": [task(number, image_uri("red")) for number in range(3)], "label_config": config}

    response = client.post("/predict", json=body)
    gate.set()

    assert (response.status_code, response.json()) == (200, {"results": [[], [], []]})
    assert "not predicted within 1 s" in caplog.text
