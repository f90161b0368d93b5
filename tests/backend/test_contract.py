"""Label Studio's calls, as they were observed on version 1.23, and what it needs as an answer."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest


def setup_body(config: str) -> dict[str, Any]:
    return {
        "project": "1.1795557815",
        "schema": config,
        "hostname": "http://localhost:8089",
        "access_token": "0123456789",
        "extra_params": None,
    }


def predict_body(config: str, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    params = {"login": None, "password": None, "context": None}
    return {"tasks": tasks, "project": "1.1795557815", "label_config": config, "params": params}


@pytest.mark.parametrize("path", ["/", "/health"])
def test_health_is_a_json_object(backend: Any, path: str) -> None:
    response = backend().get(path)

    assert response.status_code == 200
    assert response.json() == {"status": "UP", "classifier": "ready", "model_version": "colours-1"}


def test_version_is_the_same_everywhere(backend: Any, config: str, task: Any, image_uri: Any) -> None:
    client = backend()

    setup = client.post("/setup", json=setup_body(config)).json()
    versions = client.get("/versions").json()
    results = client.post("/predict", json=predict_body(config, [task(1, image_uri("red"))])).json()["results"]

    assert setup == {"model_version": "colours-1"}
    assert versions == {"versions": ["colours-1"]}
    assert [entry["model_version"] for entry in results] == ["colours-1"]


def test_prediction_names_control_image_and_choice_as_the_config_writes_them(
    backend: Any, config: str, task: Any, image_uri: Any
) -> None:
    tasks = [task(1, image_uri("red")), task(2, image_uri("lime"))]

    response = backend().post("/predict", json=predict_body(config, tasks))

    regions = [entry["result"][0] for entry in response.json()["results"]]
    assert [(region["from_name"], region["to_name"], region["type"]) for region in regions] == [
        ("colour", "img", "choices"),
        ("colour", "img", "choices"),
    ]
    assert [region["value"] for region in regions] == [{"choices": ["red"]}, {"choices": ["Green"]}]


def test_interactive_call_with_one_task_and_a_context_is_a_prediction(
    backend: Any, config: str, task: Any, image_uri: Any
) -> None:
    body = predict_body(config, [task(1, image_uri("blue")) | {"drafts": []}])
    body["params"]["context"] = {"result": []}

    response = backend().post("/predict", json=body)

    assert response.json()["results"][0]["result"][0]["value"] == {"choices": ["blue"]}


def test_no_tasks_get_no_results(backend: Any, config: str) -> None:
    assert backend().post("/predict", json=predict_body(config, [])).json() == {"results": []}


@pytest.mark.parametrize("project", ["1.1795557815", "", 1, None])
@pytest.mark.parametrize("extra_params", [None, {"a": 1}, "a=1"])
def test_project_and_extra_parameters_may_be_of_any_kind(
    backend: Any, config: str, task: Any, image_uri: Any, project: object, extra_params: object
) -> None:
    client = backend()
    same = {"project": project, "extra_params": extra_params}

    setup = client.post("/setup", json=setup_body(config) | same)
    predict = client.post("/predict", json=predict_body(config, [task(1, image_uri("red"))]) | same)

    assert setup.json() == {"model_version": "colours-1"}
    assert len(predict.json()["results"]) == 1


def test_entries_are_never_null_and_never_a_prediction_without_a_result(
    backend: Any, config: str, task: Any, image_uri: Any
) -> None:
    addresses = [image_uri("red"), None, 7, "", {"url": "x"}, "data:,", "/data/upload/1/gone.png", image_uri("blue")]

    body = predict_body(config, [task(number, address) for number, address in enumerate(addresses)])
    results = backend().post("/predict", json=body).json()["results"]

    assert [bool(entry) for entry in results] == [True, *[False] * 6, True]
    assert all(entry == [] or entry["result"] for entry in results)


@pytest.mark.parametrize(
    "body",
    [
        {"action": "START_TRAINING", "project": {"id": 1}},
        {"action": "ANNOTATIONS_DELETED", "project": {"id": 1}, "annotations": [{"id": 1}]},
        {"action": "ANNOTATIONS_CREATED", "project": {"id": 1}, "annotation": [], "task": []},
        None,
    ],
)
@pytest.mark.parametrize("path", ["/webhook", "/train"])
def test_events_are_taken_and_said_to_be_ignored(backend: Any, path: str, body: object) -> None:
    response = backend().post(path, json=body)

    assert response.status_code == 200
    assert response.json()["status"] == "ignored"


def test_set_up_answers_whatever_the_config_is_and_logs_why_it_does_not_fit(
    backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = backend()

    with caplog.at_level(logging.WARNING):
        response = client.post("/setup", json=setup_body("<View></View>"))

    assert response.json() == {"model_version": "colours-1"}
    assert "no Choices control" in caplog.text


def test_classes_and_choices_that_do_not_match_are_logged_at_set_up(
    backend: Any, caplog: pytest.LogCaptureFixture, config: str
) -> None:
    client = backend()

    with caplog.at_level(logging.WARNING):
        client.post("/setup", json=setup_body(config.replace('"blue"', '"violet"')))

    assert "no choice of 'colour' matches the class(es) 'blue'" in caplog.text
    assert "no class matches the choice(s) 'violet'" in caplog.text
    assert "0123456789" not in caplog.text


def test_same_config_is_logged_once(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = backend()

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            client.post("/setup", json=setup_body("<View></View>"))

    assert caplog.text.count("no Choices control") == 1


def test_prediction_for_a_config_that_cannot_be_filled_in_is_an_error_that_says_why(
    backend: Any, config: str, task: Any, image_uri: Any
) -> None:
    body = predict_body(config.replace("<Choices", '<Choices perRegion="true"'), [task(1, image_uri("red"))])

    response = backend().post("/predict", json=body)

    assert response.status_code == 400
    assert "perRegion" in response.json()["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"tasks": "x", "label_config": ""}, {"tasks": [{"id": 1}], "label_config": ""}, []]
)
def test_malformed_request_is_told_which_field_is_wrong(backend: Any, body: object) -> None:
    response = backend().post("/predict", json=body)

    assert response.status_code == 422
    assert response.json()["detail"].startswith("body")


def test_health_and_set_up_answer_while_the_classifier_is_loading(
    backend: Any, colours: Any, config: str, task: Any, image_uri: Any
) -> None:
    loaded = threading.Event()
    client = backend(load=lambda: loaded.wait(20) and colours(), wait=False)
    try:
        health = client.get("/health")
        setup = client.post("/setup", json=setup_body(config))
        predict = client.post("/predict", json=predict_body(config, [task(1, image_uri("red"))]))
    finally:
        loaded.set()

    assert (health.status_code, health.json()["classifier"]) == (200, "loading")
    assert (setup.status_code, setup.json()) == (200, {"model_version": None})
    assert predict.status_code == 503
    assert "still being loaded" in predict.json()["detail"]
