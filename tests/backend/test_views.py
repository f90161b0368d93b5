"""What the operator and his monitors see: `/status`, `/metrics`, `/docs`, `/versions` and request ids."""

from __future__ import annotations

import io
import json
import logging
from html.parser import HTMLParser
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from winnow.backend.app import create_app
from winnow.backend.hosting import ModelHost
from winnow.backend.request_log import configure_logging
from winnow.backend.settings import Settings


def predict_two(client: TestClient, config: str, task: Any, image_uri: Any) -> None:
    tasks = [task(1, image_uri("red")), task(2, "ftp://images/key.png?signature=hidden")]
    client.post("/predict", json={"tasks": tasks, "label_config": config, "project": "7.1"})


def samples(client: TestClient) -> dict[tuple[str, ...], float]:
    """Return each sample's value by its name and its labels' values."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
    }


def test_status_tells_classifier_queue_problems_and_how_configs_fit(
    backend: Any, config: str, task: Any, image_uri: Any
) -> None:
    client = backend()
    client.post("/setup", json={"project": "7.1", "schema": config.replace('"blue"', '"violet"')})
    predict_two(client, config, task, image_uri)

    status = client.get("/status").json()

    assert status["classifier"]["version"] == "colours-1"
    assert status["queue"] == {"images": 0, "capacity": 4096, "requests": 0}
    assert [(each["task"], each["kind"]) for each in status["recent_problems"]] == [("2", "unsupported")]
    assert any("violet" in sentence for sentence in status["configs"]["7.1"])
    assert status["learning"] is None
    assert "hidden" not in str(status)


def test_metrics_count_requests_images_and_failures(backend: Any, config: str, task: Any, image_uri: Any) -> None:
    client = backend()
    predict_two(client, config, task, image_uri)
    client.request("MADEUP", "/made/up")
    client.request("MADEUP", "/setup")

    found = samples(client)

    assert found["winnow_requests_total", "POST", "/predict", "200"] == 1
    assert found["winnow_requests_total", "other", "none", "404"] == 1
    assert found["winnow_requests_total", "other", "/setup", "405"] == 1
    assert found["winnow_request_seconds_count", "/predict"] == 1
    assert found["winnow_batch_images_sum",] == 1
    assert found["winnow_image_failures_total", "unsupported"] == 1
    assert found["winnow_queue_images",] == 0
    assert found["winnow_model_info", "colours-1"] == 1
    assert found["winnow_model_loads_total", "served"] == 1


def test_two_applications_count_for_themselves(backend: Any, config: str, task: Any, image_uri: Any) -> None:
    first, second = backend(), backend()

    predict_two(first, config, task, image_uri)

    assert ("winnow_requests_total", "POST", "/predict", "200") not in samples(second)


def test_versions_are_the_served_one_and_those_that_are_stored(colours: Any) -> None:
    host = ModelHost(colours)
    host.start()
    host.wait(20)

    with TestClient(create_app(Settings(), host, stored_versions=lambda: ["colours-3", "colours-1"])) as client:
        versions = client.get("/versions").json()

    assert versions == {"versions": ["colours-1", "colours-3"]}


class Outside(HTMLParser):
    """Gathers what a page would load or run, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe"):
            self.found.append(tag)
        self.found += [value or "" for key, value in attrs if key in ("src", "href") or key.startswith("on")]


def test_api_page_lists_each_route_and_loads_nothing(backend: Any) -> None:
    client = backend()

    page = client.get("/docs")

    for path in client.get("/openapi.json").json()["paths"]:
        assert f" {path}</h2>" in page.text
    outside = Outside()
    outside.feed(page.text)
    assert {link for link in outside.found if not link.startswith("#")} == {"openapi.json"}
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(("given", "is_taken"), [("abc-1.2:3", True), ("a\tb", False), ("x" * 65, False), ("", False)])
def test_sane_request_id_is_taken_and_any_other_replaced(backend: Any, given: str, is_taken: bool) -> None:
    response = backend().get("/health", headers={"X-Request-ID": given})

    assert (response.headers["X-Request-ID"] == given) == is_taken
    assert response.headers["X-Request-ID"]


@pytest.fixture
def log() -> Any:
    """Return a function that sends the log to a stream, and leave logging as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def start(form: str) -> io.StringIO:
        stream = io.StringIO()
        configure_logging(form, stream)
        return stream

    yield start
    root.handlers[:], root.level = before[0], before[1]


def test_every_line_of_a_request_carries_its_id(backend: Any, config: str, task: Any, image_uri: Any, log: Any) -> None:
    client, stream = backend(), log("json")

    body = {"tasks": [task(1, "s3://x/y.png")], "label_config": config, "project": "7.1"}
    client.post("/predict?token=hidden", json=body, headers={"X-Request-ID": "mine-1"})

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    mine = [line["message"] for line in lines if line["request_id"] == "mine-1"]
    assert [message.split(":")[0] for message in mine[:2]] == [
        "task 1",
        "1 image(s) of 1 task(s) could not be predicted",
    ]
    last = next(line for line in lines if "status" in line)
    assert (last["method"], last["path"], last["status"]) == ("POST", "/predict", 200)
    assert "hidden" not in stream.getvalue()


def test_nothing_that_is_sent_starts_a_line_of_the_log(backend: Any, config: str, task: Any, log: Any) -> None:
    client, stream = backend(), log("text")

    forged = task("1\n2025-01-01 ERROR forged", None)
    client.post("/predict", json={"tasks": [forged], "label_config": config, "project": "1.1"})

    assert "\\x0a2025-01-01 ERROR forged" in stream.getvalue()
    assert not [line for line in stream.getvalue().splitlines() if line.startswith("2025-01-01")]
