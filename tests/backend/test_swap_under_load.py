"""Another classifier takes over while requests are on their way."""

from __future__ import annotations

import threading
from typing import Any

from starlette.testclient import TestClient

from winnow.backend.app import create_app
from winnow.backend.hosting import ModelHost
from winnow.backend.settings import Settings

SWAPS, CLIENTS = 20, 4


def test_no_request_fails_and_each_answer_is_of_one_version(
    colours: Any, config: str, task: Any, image_uri: Any
) -> None:
    host = ModelHost(lambda: colours(version="v0"))
    host.start()
    host.wait(20)
    stop = threading.Event()
    statuses: set[int] = set()
    answers: list[set[str]] = []
    tasks = [task(number, image_uri("red")) for number in range(12)]
    tasks[5] = task(5, "data:image/png;base64,AAAA")

    def ask(client: TestClient) -> None:
        while not stop.is_set():
            response = client.post("/predict", json={"tasks": tasks, "label_config": config})
            statuses.add(response.status_code)
            answers.append({entry["model_version"] if entry else "none" for entry in response.json()["results"]})

    with TestClient(create_app(Settings(), host)) as client:
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for number in range(1, SWAPS + 1):
            seen = len(answers)
            host.swap(lambda number=number: colours(version=f"v{number}")).result(20)
            while len(answers) < seen + CLIENTS:  # some requests between this swap and the next
                stop.wait(0.001)
        stop.set()
        for thread in threads:
            thread.join(20)

    assert statuses == {200}
    assert all(len(versions) == 2 and "none" in versions for versions in answers)
    assert len(set().union(*answers)) > SWAPS // 2
