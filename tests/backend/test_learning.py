"""Learning while the server runs: real jobs in real processes, a stand-in for Label Studio's API."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backend.annotated_project import LabelStudioStandIn, Project, save_small_classifier, small_project
from winnow.backend import learning as learning_module
from winnow.backend import retraining_policy
from winnow.backend.hosting import ModelHost
from winnow.backend.learning import Learning
from winnow.backend.learning_plan import NO_WORSE, LearningPlan
from winnow.backend.learning_store import StoreError, Waiting
from winnow.backend.loading import load_warm
from winnow.backend.promotion import cancel_training
from winnow.backend.remembering import Memory, RememberPlan
from winnow.backend.retraining_policy import is_due
from winnow.plugin.labeling.labeling_config import Control
from winnow.plugin.labeling.returned_annotations import Returned
from winnow.plugin.labeling.served_predictions import ServedMapping, ServedPrediction
from winnow.plugin.training.versions import version_in

PLAN = LearningPlan(least_annotations=5, quiet_seconds=0.0, preset="probe", held_out_least=15, niceness=0)
START = {"action": "START_TRAINING", "project": {"id": 1}}


def until(condition: Callable[[], Any], seconds: float = 300) -> Any:
    """Wait until something is so, and return it."""
    for _ in range(int(seconds / 0.05)):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it never came to be")


def annotated(number: int) -> dict[str, Any]:
    return {"action": "ANNOTATION_CREATED", "project": {"id": 1}, "annotation": {"id": number, "was_cancelled": False}}


def answered_wrongly(count: int, version: str) -> tuple[list[ServedPrediction], list[Returned]]:
    """Return predictions of the first class, and annotations that say the second one."""
    control = Control("way", "img", "image", "choices", 1, ())
    mapping = ServedMapping(version, ("left", "right", "up"), False, control, ("left", "right", "up"))
    made = datetime.now(UTC).isoformat()
    said = [{"from_name": "way", "value": {"choices": ["right"]}}]
    content = {"was_cancelled": False, "ground_truth": False, "completed_by": 1, "parent_prediction": None}
    content |= {"created_at": made, "updated_at": made, "result": said}
    return (
        [ServedPrediction(1, n, mapping, 0.0, True, ("left",), np.array([0.8, 0.1, 0.1])) for n in range(count)],
        [Returned(n, 1, n, made, content | {"id": n}) for n in range(count)],
    )


class Server:
    """What of a server learning needs; may be stopped and started again on the same state."""

    def __init__(self, directory: Path, state: Path) -> None:
        self.directory, self.state = directory, state
        self.announced: list[tuple[str, Sequence[int]]] = []

    def start(self, plan: LearningPlan = PLAN, memory: Memory | None = None) -> Learning:
        self.host = ModelHost(lambda: load_warm(self.directory))
        self.learning = Learning(self.directory, self.state, self.host, load_warm, plan, self._announce, memory)
        self.host.start()
        assert self.host.wait(60)
        self.learning.start()
        return self.learning

    def _announce(self, version: str, projects: Sequence[int]) -> None:
        self.announced.append((version, projects))

    def job(self) -> dict[str, Any] | None:
        job: dict[str, Any] | None = self.learning.status()["job"]
        return job

    def last_job(self, state: str) -> Callable[[], Any]:
        """Return a condition: no job runs, and the last one ended so."""

        def ended() -> Any:
            last = self.learning.status()["last_job"]
            return last if last and last["state"] == state else None

        return ended


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_classifier(tmp_path_factory.mktemp("classifier") / "model")


@pytest.fixture
def label_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[LabelStudioStandIn]:
    stand_in = LabelStudioStandIn(small_project(classes=("left", "right", "up")))
    monkeypatch.setenv("LABEL_STUDIO_URL", stand_in.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "legacy-token")
    yield stand_in
    stand_in.close()


@pytest.fixture
def server(classifier: Path, label_studio: LabelStudioStandIn, tmp_path: Path) -> Iterator[Server]:
    made = Server(classifier, tmp_path / "state")
    yield made
    label_studio.gate.set()
    made.learning.stop()


def test_version_that_is_no_worse_is_promoted_where_that_is_switched_on(server: Server) -> None:
    learning = server.start(replace(PLAN, auto_promote=NO_WORSE))
    before = server.host.version

    learning.take(START)

    until(lambda: server.host.version != before)
    version = server.host.version
    until(lambda: (version, [1]) in server.announced)
    status = learning.status()
    assert (status["promoted"]["version"], status["promoted"]["who"]) == (version, "automatic")
    assert status["promoted"]["why"].startswith("no-worse: gain in accuracy at least")
    assert (status["proposal"], status["versions"]) == (None, [version, before])


@pytest.mark.parametrize("dry_run", [False, True])
def test_poor_accuracy_starts_a_job_before_there_are_many_annotations(
    server: Server, label_studio: LabelStudioStandIn, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    monkeypatch.setattr(retraining_policy, "_LOOK_EVERY_SECONDS", 0.0)
    label_studio.gate.clear()
    memory = Memory(server.state, RememberPlan(days=30))
    predictions, answers = answered_wrongly(60, str(version_in(server.directory)))
    memory.try_to(lambda store: store.remember(predictions))
    memory.try_to(lambda store: store.answered(answers))
    learning = server.start(replace(PLAN, below_accuracy=0.9, dry_run=dry_run), memory)

    learning.take(annotated(1))
    (decision,) = until(lambda: (memory.try_to(lambda store: store.decisions()) or [])[:1])

    assert (decision.cause, decision.decision, decision.dry_run) == ("accuracy", "train", dry_run)
    if dry_run:
        assert server.job() is None and learning.status()["waiting"][0]["annotations"] == 1
    else:
        until(server.job)
    learning.stop()
    memory.stop()


def test_events_during_a_job_start_another_one_afterwards(server: Server, label_studio: LabelStudioStandIn) -> None:
    learning = server.start()
    label_studio.gate.clear()
    learning.take(START)
    first = until(server.job)["id"]

    for number in range(5):
        learning.take(annotated(number))
    waiting = learning.status()["waiting"]
    label_studio.project = Project([])  # refused in a moment, as it has no annotations
    label_studio.gate.set()

    assert waiting == [{"project": 1, "annotations": 5, "start_training": False}]
    until(lambda: (last := server.last_job("refused")()) and last["id"] == first + 1)
    assert learning.status()["waiting"] == []


def test_cancelling_ends_the_job_and_leaves_the_serving_classifier(
    server: Server, label_studio: LabelStudioStandIn
) -> None:
    learning = server.start()
    before = server.host.version
    label_studio.gate.clear()
    learning.take(START)
    until(lambda: label_studio.asked)

    cancelled = cancel_training(server.state)

    assert until(server.last_job("cancelled"))["id"] == cancelled
    assert (learning.status()["waiting"], learning.status()["versions"]) == ([], [before])
    assert server.host.version == before


def test_training_is_refused_where_the_folder_holds_another_classifier_by_now(server: Server, tmp_path: Path) -> None:
    server.directory = Path(shutil.copytree(server.directory, tmp_path / "copy"))
    learning = server.start()
    description = server.directory / "classifier.json"
    description.write_text(description.read_text().replace(str(server.host.version), "another"))

    learning.take(START)

    assert "holds another by now" in until(server.last_job("refused"))["detail"]
    assert learning.status()["waiting"] == []


def test_job_that_is_killed_runs_again(
    server: Server, label_studio: LabelStudioStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_module, "_RETRY_SECONDS", 0.0)
    learning = server.start()
    label_studio.gate.clear()
    learning.take(START)
    first = until(server.job)

    os.kill(first["pid"], signal.SIGKILL)
    again = until(lambda: (job := server.job()) and job["id"] != first["id"] and job)

    assert again["id"] == first["id"] + 1


def test_job_that_is_killed_again_and_again_is_given_up(
    server: Server, label_studio: LabelStudioStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_module, "_RETRY_SECONDS", 0.0)
    learning = server.start()
    label_studio.gate.clear()
    learning.take(START)

    killed: set[int] = set()
    while len(killed) < 3:
        job = until(lambda: (job := server.job()) and job["pid"] not in killed and job)
        os.kill(job["pid"], signal.SIGKILL)
        killed.add(job["pid"])

    assert "3 times in a row" in until(server.last_job("failed"))["detail"]
    assert learning.status()["waiting"] == []


def test_events_wait_while_label_studio_refuses_the_token(server: Server, label_studio: LabelStudioStandIn) -> None:
    learning = server.start()
    label_studio.status = 401

    learning.take(START)

    assert "does not take the token" in until(server.last_job("unreachable"))["detail"]
    assert learning.status()["waiting"] == [{"project": 1, "annotations": 0, "start_training": True}]


def test_job_of_a_server_that_stops_runs_again_with_the_next_one(
    server: Server, label_studio: LabelStudioStandIn
) -> None:
    learning = server.start()
    label_studio.gate.clear()
    learning.take(START)
    first = until(server.job)

    learning.stop()
    server.start()

    assert until(server.job)["id"] == first["id"] + 1
    with pytest.raises(ProcessLookupError):
        os.kill(first["pid"], 0)


def test_event_is_kept_once_and_what_does_not_matter_is_ignored(server: Server) -> None:
    learning = server.start()

    taken = [learning.take(event) for event in (annotated(1), annotated(1), {"action": "PROJECT_UPDATED"})]

    assert taken == ["queued", "duplicate", "ignored"]


def test_two_servers_do_not_learn_in_one_state_folder(server: Server) -> None:
    server.start()

    with pytest.raises(StoreError, match="another server"):
        Learning(server.directory, server.state, server.host, load_warm, PLAN)


@pytest.mark.parametrize(
    ("annotations", "asked_for", "first_ago", "last_ago", "due"),
    [
        (5, False, 100, 100, True),
        (4, False, 100, 100, False),
        (5, False, 100, 10, False),
        (5, False, 601, 1, True),
        (0, True, 0, 0, True),
    ],
    ids=["enough and quiet", "too few", "still busy", "busy for too long", "asked for"],
)
def test_training_begins_after_enough_annotations_and_a_quiet_time(
    annotations: int, asked_for: bool, first_ago: float, last_ago: float, due: bool
) -> None:
    waiting = Waiting(1, annotations, 1000 - first_ago, 1000 - last_ago, asked_for)

    assert is_due(waiting, LearningPlan(least_annotations=5, quiet_seconds=60), now=1000) is due
