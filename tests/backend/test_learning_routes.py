"""Label Studio's events on their way to whatever learns from them."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from winnow.backend.app import create_app
from winnow.backend.hosting import ModelHost
from winnow.backend.settings import Settings


class Taken:
    """Keeps what it is handed; an event that came before is a duplicate."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.calls: list[str] = []

    def take(self, event: dict[str, Any]) -> str:
        status = "duplicate" if event in self.events else "queued"
        self.events.append(event)
        return status

    def status(self) -> dict[str, Any]:
        return {"waiting": len(self.events)}

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


@pytest.mark.parametrize("path", ["/webhook", "/train"])
def test_event_is_handed_on_whole_and_its_fate_is_told(colours: Any, path: str) -> None:
    learning = Taken()
    event = {"action": "ANNOTATIONS_DELETED", "project": {"id": 1}, "annotations": [{"id": 1}]}

    with TestClient(create_app(Settings(), ModelHost(colours), learning)) as client:
        statuses = [client.post(path, json=event).json()["status"] for _ in range(2)]

    assert statuses == ["queued", "duplicate"]
    assert learning.events == [event, event]


def test_learning_begins_and_ends_with_the_server(colours: Any) -> None:
    learning = Taken()

    with TestClient(create_app(Settings(), ModelHost(colours), learning)):
        calls_meanwhile = list(learning.calls)

    assert (calls_meanwhile, learning.calls) == (["start"], ["start", "stop"])
