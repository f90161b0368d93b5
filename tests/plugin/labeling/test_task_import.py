"""Tasks into a project, each once, before a web server that fails as proxies and databases do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.plugin.labeling.conftest import WebServer, answer
from winnow.plugin.labeling.client import LabelStudioClient, LabelStudioError
from winnow.plugin.labeling.task_identity import TaskIdentity
from winnow.plugin.labeling.task_import import Present, TaskImport

OK, STORED_BUT_500, STORED_BUT_CUT_OFF, STORED_LATER, REFUSED, FAILED, LATER = range(7)


class Project:
    """What the server keeps: tasks, and how it answers each of the next imports.

    Attributes:
        tasks: Its tasks.
        answers: What becomes of each import; OK beyond them.
        imports: How many were asked for.
    """

    def __init__(self, server: WebServer) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.imports = 0
        server.routes["/api/projects/1/import"] = self._import
        server.routes["/api/tasks/"] = self._list

    def store(self, tasks: list[dict[str, Any]]) -> list[int]:
        first = len(self.tasks) + 1
        self.tasks += [{"id": first + row, "data": task["data"]} for row, task in enumerate(tasks)]
        return [first + row for row in range(len(tasks))]

    def _import(self, handler: BaseHTTPRequestHandler) -> None:
        sent = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.imports += 1
        what = self.answers.pop(0) if self.answers else OK
        if what == REFUSED:
            answer(400, b'{"detail": "no $image"}')(handler)
        elif what == FAILED:
            answer(500, b'{"detail": "database is locked"}')(handler)
        elif what == STORED_LATER:
            threading.Timer(0.05, self.store, [sent]).start()
            answer(504)(handler)
        elif what == LATER:
            self.store(sent)
            answer(201, b'{"import": 7}')(handler)
        else:
            numbers = self.store(sent)
            if what == STORED_BUT_500:
                answer(500, b'{"detail": "database is locked"}')(handler)
            elif what == STORED_BUT_CUT_OFF:
                handler.close_connection = True
            else:
                body = {"task_ids": numbers, "prediction_count": sum(len(task.get("predictions", ())) for task in sent)}
                answer(201, json.dumps(body).encode())(handler)

    def _list(self, handler: BaseHTTPRequestHandler) -> None:
        answer(200, json.dumps({"tasks": self.tasks, "total": len(self.tasks)}).encode())(handler)


@pytest.fixture
def project(label_studio: WebServer) -> Project:
    """Return the server's project."""
    return Project(label_studio)


@pytest.fixture
def importing(label_studio: WebServer, project: Project) -> Callable[[], TaskImport]:
    """Return a factory of senders of batch "1" that hardly wait."""
    client = LabelStudioClient(label_studio.url, "legacy-token", waits=(0, 0))
    return lambda: TaskImport(client, 1, "1", waits=(0.05,) * 6)


def task(number: int) -> dict[str, Any]:
    """Return a task of sample `number`, with a prediction."""
    own = TaskIdentity(f"{number:024x}", "garments", f"{number:064x}", "1", blind=number == 0)
    return {"data": {"image": f"/{number}.png", **own.data()}, "predictions": [{"result": []}]}


def test_each_sample_is_known_by_its_task(project: Project, importing: Callable[[], TaskImport]) -> None:
    sender = importing()

    stored = sender.send([task(0), task(1)])

    assert stored == 2
    assert sender.present == {
        f"{0:024x}": Present(1, f"{0:064x}", blind=True),
        f"{1:024x}": Present(2, f"{1:064x}", blind=False),
    }


@pytest.mark.parametrize("accident", [STORED_BUT_500, STORED_BUT_CUT_OFF, STORED_LATER, LATER])
def test_what_was_stored_is_not_sent_again_though_the_answer_was_lost(
    project: Project, importing: Callable[[], TaskImport], accident: int
) -> None:
    project.answers, sender = [accident], importing()

    sender.send([task(number) for number in range(3)])

    assert (project.imports, len(project.tasks), len(sender.present)) == (1, 3, 3)


def test_a_locked_database_is_tried_again_after_a_look(project: Project, importing: Callable[[], TaskImport]) -> None:
    project.answers = [FAILED, FAILED]

    importing().send([task(0)])

    assert (project.imports, len(project.tasks)) == (3, 1)


def test_tasks_that_are_refused_are_not_tried_again(project: Project, importing: Callable[[], TaskImport]) -> None:
    project.answers = [REFUSED]

    with pytest.raises(LabelStudioError, match=r"no \$image"):
        importing().send([task(0)])

    assert project.imports == 1


def test_a_second_sender_sends_only_what_is_missing(project: Project, importing: Callable[[], TaskImport]) -> None:
    importing().send([task(0), task(1)])
    second = importing()
    second.look()

    second.send([task(number) for number in range(4)])

    assert [each["data"]["winnow_sample"][-1] for each in project.tasks] == ["0", "1", "2", "3"]


def test_doubled_tasks_and_tasks_of_others_are_told_apart(
    project: Project, importing: Callable[[], TaskImport]
) -> None:
    project.store([task(0), task(0), {"data": {"image": "/of somebody else.png"}}])
    sender = importing()

    sender.look()

    assert (sender.doubled, len(sender.present)) == ([(2, 1)], 1)
