"""`winnow serve` with learning switched on, killed with `kill -9` while it trains."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.annotated_project import LabelStudioStandIn, save_small_classifier, small_project
from winnow.backend.learning_store import FILE
from winnow.backend.promotion import promote

SERVE = (
    "import sys; from pathlib import Path; from winnow.backend.serve import ServeOptions, serve; "
    "serve(Path(sys.argv[1]), ServeOptions(port=int(sys.argv[2]), state=Path(sys.argv[3])))"
)


class Served:
    """A server in its own process, always at the same address and with the same state."""

    def __init__(self, classifier: Path, state: Path, environment: dict[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-c", SERVE, str(classifier), str(self.port), str(state)]
        self._environment = os.environ | environment

    def start(self) -> None:
        """Start it and wait until the classifier is ready."""
        self.process = subprocess.Popen(self._command, env=self._environment, stderr=subprocess.DEVNULL)
        self.until(lambda: self.get("/health").get("classifier") == "ready")

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(60)

    def get(self, path: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = httpx.get(f"{self.url}{path}", timeout=30).json()
        except httpx.TransportError:
            return {}
        return found

    def until(self, condition: Callable[[], Any]) -> Any:
        for _ in range(3000):
            assert self.process.poll() is None, "the server has ended"
            if found := condition():
                return found
            time.sleep(0.1)
        raise AssertionError("it never came to be")

    def learning(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/status")["learning"]
        return found


@pytest.fixture
def label_studio() -> Iterator[LabelStudioStandIn]:
    stand_in = LabelStudioStandIn(small_project())
    yield stand_in
    stand_in.close()


@pytest.fixture
def server(label_studio: LabelStudioStandIn, tmp_path: Path) -> Iterator[Served]:
    made = Served(
        save_small_classifier(tmp_path / "model"),
        tmp_path / "state",
        {
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": "legacy-token",
            "WINNOW_TRAIN_PRESET": "probe",
            "WINNOW_HELD_OUT_LEAST": "15",
            "WINNOW_TRAIN_NICENESS": "0",
        },
    )
    made.start()
    yield made
    label_studio.gate.set()
    made.end(signal.SIGTERM)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_no_acknowledged_event_is_lost_when_the_server_is_killed_while_it_trains(
    server: Served, label_studio: LabelStudioStandIn, tmp_path: Path
) -> None:
    label_studio.gate.clear()
    httpx.post(f"{server.url}/webhook", json={"action": "START_TRAINING", "project": {"id": 1}})
    job = server.until(lambda: server.learning()["job"])
    acknowledged = 1
    for number in range(40):
        annotation = {"id": number, "result": [], "was_cancelled": False}
        event = {"action": "ANNOTATION_CREATED", "project": {"id": 1}, "annotation": annotation}
        acknowledged += httpx.post(f"{server.url}/webhook", json=event).json()["status"] == "queued"

    server.end(signal.SIGKILL)
    with closing(sqlite3.connect(tmp_path / "state" / FILE)) as connection:
        kept = connection.execute("SELECT COUNT(*) FROM events").fetchone()[0]
    server.start()
    again = server.until(lambda: server.learning()["job"])
    orphan = is_running(job["pid"])
    label_studio.gate.set()
    done = server.until(lambda: server.learning()["last_job"])

    assert (acknowledged, kept, orphan) == (41, 41, False)
    assert (again["id"], done["state"]) == (job["id"] + 1, "done")

    # what came of it is promoted, followed at once, and still served after the next start
    proposal = server.learning()["proposal"]
    version = proposal["version"]
    assert proposal["report"]["comparison"]["score"]["new"] > 0.8
    assert version in proposal["promote"]
    promote(tmp_path / "state", version, "ada", "better")
    setup = lambda: httpx.post(f"{server.url}/setup", json={"project": "1.2"}).json()["model_version"]  # noqa: E731
    server.until(lambda: setup() == version)
    assert server.learning()["proposal"] is None
    server.end(signal.SIGTERM)
    server.start()
    assert setup() == version
    assert version in server.get("/versions")["versions"]
