"""The client of Label Studio's API, before a small web server that answers as Label Studio was seen to."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

import pytest

from tests.plugin.labeling.conftest import Route, WebServer, answer
from winnow.plugin.labeling.client import LabelStudioClient, LabelStudioError

LOCKED = json.dumps({"status_code": 500, "detail": "database is locked"}).encode()


def in_turn(*routes: Route) -> Route:
    """Return a route that answers with one after the other, the last one again and again."""
    left = list(routes)

    def route(handler: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return route


@pytest.fixture
def client(label_studio: WebServer) -> LabelStudioClient:
    """Return a client with a legacy token that waits no time between its tries."""
    return LabelStudioClient(label_studio.url, "legacy-token", waits=(0, 0))


def test_locked_database_is_waited_for(label_studio: WebServer, client: LabelStudioClient) -> None:
    stored = answer(201, b'{"created": 1}')
    label_studio.routes["/api/projects/1/import/predictions"] = in_turn(
        answer(500, LOCKED), answer(500, LOCKED), stored
    )

    created = client.import_predictions(1, [{"task": 1, "result": []}])

    assert created == 1


def test_predictions_are_not_sent_twice_after_an_error_that_may_have_come_too_late(
    label_studio: WebServer, client: LabelStudioClient
) -> None:
    label_studio.routes["/api/projects/1/import/predictions"] = answer(500, b'{"detail": "something else"}')

    with pytest.raises(LabelStudioError, match="500"):
        client.import_predictions(1, [{"task": 1, "result": []}])

    assert len(label_studio.asked) == 1


def test_all_pages_are_read_and_none_behind_the_last(label_studio: WebServer, client: LabelStudioClient) -> None:
    def page(handler: BaseHTTPRequestHandler) -> None:
        number = int(handler.path.partition("&page=")[2].partition("&")[0])
        tasks = [{"id": each} for each in range(250)][(number - 1) * 100 : number * 100]
        answer(200 if tasks else 404, json.dumps({"tasks": tasks, "total": 250}).encode())(handler)

    label_studio.routes["/api/tasks/"] = page

    ids = [task["id"] for task in client.tasks(1)]

    assert ids == list(range(250)) and len(label_studio.asked) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_refusal_tells_the_status_and_never_the_token(
    label_studio: WebServer, client: LabelStudioClient, status: int
) -> None:
    label_studio.routes["/api/projects/1/"] = answer(status, b'{"detail": "no"}')

    with pytest.raises(LabelStudioError) as refused:
        client.project(1)

    assert refused.value.status == status and "legacy-token" not in str(refused.value)


def test_redirect_is_not_followed_with_the_token_but_told(label_studio: WebServer, client: LabelStudioClient) -> None:
    label_studio.routes["/api/projects/1/"] = answer(301, Location="https://studio.example.org/api/projects/1/")

    with pytest.raises(LabelStudioError, match=r"https://studio\.example\.org"):
        client.project(1)


def test_answer_that_is_not_json_is_not_taken_for_label_studio(
    label_studio: WebServer, client: LabelStudioClient
) -> None:
    label_studio.routes["/api/projects/1/"] = answer(200, b"<html>")

    with pytest.raises(LabelStudioError, match="is not Label Studio"):
        client.project(1)


def test_server_that_is_not_there_is_named_with_the_setting() -> None:
    with (
        LabelStudioClient("http://127.0.0.1:1", "legacy-token", waits=()) as client,
        pytest.raises(LabelStudioError, match="LABEL_STUDIO_URL"),
    ):
        client.project(1)
