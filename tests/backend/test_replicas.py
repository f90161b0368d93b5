"""Two `winnow serve` that share a PostgreSQL database and a folder, behind nginx where it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.annotated_project import CONFIG, LabelStudioStandIn, Project, save_small_classifier, small_project
from tests.backend.postgres_server import PASSWORD, PostgresServer, free_port
from winnow.backend.promotion import promote
from winnow.backend.serve import ServeOptions, serve
from winnow.backend.settings import SettingsError
from winnow.backend.store_address import StoreAddress
from winnow.backend.syncing import SyncOptions, sync
from winnow.plugin.errors import WinnowError
from winnow.plugin.progress import silent

START = {"action": "START_TRAINING", "project": {"id": 1}}
NGINX = Path(__file__).parents[2] / "docker" / "nginx.conf"
# What Debian's own nginx.conf says around it, without its folders.
AROUND = """
{user}daemon off; error_log stderr; pid {folder}/pid; worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {inner}
}}
"""


def until(condition: Callable[[], Any], seconds: float = 240) -> Any:
    """Wait until something is so, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("it never came to be")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def annotated(number: int) -> dict[str, Any]:
    return {"action": "ANNOTATION_CREATED", "project": {"id": 1}, "annotation": {"id": number, "was_cancelled": False}}


class Replica:
    """A server in a process of its own, always at the same port."""

    def __init__(self, classifier: Path, state: Path, environment: dict[str, str]) -> None:
        self.port, self.state, self.log = free_port(), state, state.parent / f"log-{len(environment)}-{id(self)}.txt"
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "winnow", "serve", str(classifier), "--port", str(self.port)]
        self._command += ["--state", str(state)]
        self._environment = os.environ | environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def wait(self) -> None:
        """Wait until the classifier is ready."""
        until(lambda: self.get("/health").get("classifier") == "ready")

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(60)

    def get(self, path: str) -> dict[str, Any]:
        assert self.process is not None and self.process.poll() is None, self.log.read_text()
        try:
            found: dict[str, Any] = httpx.get(f"{self.url}{path}", timeout=30).json()
        except httpx.TransportError:
            return {}
        return found

    def learning(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/status")["learning"]
        return found

    def trains(self) -> bool:
        replica = self.learning()["replica"]
        return bool(replica["name"] == replica.get("trainer"))

    def send(self, event: dict[str, Any]) -> str:
        return str(httpx.post(f"{self.url}/webhook", json=event, timeout=30).json()["status"])

    def version(self) -> str | None:
        return self.get("/health").get("model_version")


class Replicas:
    """Two replicas and what they share."""

    def __init__(self, folder: Path, postgres: PostgresServer, label_studio: LabelStudioStandIn) -> None:
        self.postgres, self.label_studio = postgres, label_studio
        self.classifier, self.state = save_small_classifier(folder / "model"), folder / "state"
        self.text = postgres.address(postgres.new_database())
        self.address = StoreAddress.parse(self.text)
        environment = {
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": "legacy-token",
            "WINNOW_TRAIN_PRESET": "probe",
            "WINNOW_HELD_OUT_LEAST": "15",
            "WINNOW_TRAIN_NICENESS": "0",
            "WINNOW_STORE": self.text,
        }
        self.environment = environment
        self.both = [Replica(self.classifier, self.state, environment) for _ in range(2)]

    def start(self) -> None:
        for replica in self.both:
            if replica.process is None or replica.process.poll() is not None:
                replica.start()
        for replica in self.both:
            replica.wait()

    def trainer_and_other(self) -> tuple[Replica, Replica]:
        until(lambda: any(each.trains() for each in self.both))
        first, second = self.both
        return (first, second) if first.trains() else (second, first)

    def close(self) -> None:
        for replica in self.both:
            if replica.process is not None and replica.process.poll() is None:
                replica.process.send_signal(signal.SIGCONT)
                replica.end()

    def jobs(self) -> list[list[object]]:
        return self.postgres.execute("SELECT id, state FROM jobs ORDER BY id", self.address.database)


@pytest.fixture(scope="module")
def replicas(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """Start two replicas; they run through the tests of this file, one after the other."""
    label_studio = LabelStudioStandIn(small_project())
    made = Replicas(tmp_path_factory.mktemp("replicas"), postgres, label_studio)
    made.start()
    yield made
    label_studio.gate.set()
    made.close()
    label_studio.close()


@pytest.fixture(scope="module")
def entrance(replicas: Replicas, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """Return the address of an nginx before the replicas; None where it is not installed."""
    if (program := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")) is None:
        yield None
        return
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    inner = NGINX.read_text("utf-8").replace("listen 9090", f"listen 127.0.0.1:{port}")
    for number, replica in enumerate(replicas.both, 1):
        inner = inner.replace(f"winnow-{number}:9090", f"127.0.0.1:{replica.port}")
    user = "user root; " if os.getuid() == 0 else ""  # nobody else may look into the tests' folder
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(folder=folder, inner=inner, user=user))
    nginx = subprocess.Popen([program, "-p", str(folder), "-c", str(configuration)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/health").status_code == 200
        return False

    until(answers, 60)
    yield url
    nginx.send_signal(signal.SIGQUIT)
    nginx.wait(20)


class Asking:
    """Asks for predictions again and again, in threads, while something else goes on."""

    def __init__(self, urls: list[str]) -> None:
        self.statuses: list[int | str] = []
        self.versions: set[str] = set()
        self._stop = threading.Event()
        tasks = [{"id": each["id"], "data": each["data"]} for each in small_project(4).contents]
        body = {"tasks": tasks, "label_config": CONFIG, "project": "1.2"}
        self._threads = [threading.Thread(target=self._ask, args=(url, body)) for url in urls]

    def _ask(self, url: str, body: dict[str, Any]) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._stop.wait(0.1):
                try:
                    answer = client.post(f"{url}/predict", json=body)
                except httpx.TransportError as error:
                    self.statuses.append(type(error).__name__)
                    continue
                self.statuses.append(answer.status_code)
                if answer.status_code == 200:
                    self.versions |= {each["model_version"] for each in answer.json()["results"] if each}

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_event_that_comes_to_both_replicas_counts_once(replicas: Replicas) -> None:
    first, second = replicas.both

    taken = [replica.send(annotated(number)) for replica, number in ((first, 1), (second, 1), (second, 2), (first, 2))]

    assert taken == ["queued", "duplicate"] * 2
    assert [each.learning()["waiting"][0]["annotations"] for each in replicas.both] == [2, 2]


def test_another_replica_takes_over_when_the_one_that_trains_is_killed(
    replicas: Replicas, entrance: str | None
) -> None:
    replicas.label_studio.gate.clear()
    trainer, other = replicas.trainer_and_other()
    other.send(START)
    job = until(lambda: trainer.learning()["job"])
    seen = other.learning()["job"]

    with Asking([entrance or other.url] * 2) as asking:
        until(lambda: len(asking.statuses) > 10)
        trainer.end(signal.SIGKILL)
        again = until(lambda: (found := other.learning()["job"]) and found["pid"] and found, 60)
    replicas.label_studio.gate.set()
    done = until(lambda: other.learning()["last_job"])

    assert (seen["id"], seen["pid"], again["id"]) == (job["id"], None, job["id"] + 1)
    assert set(asking.statuses) == {200}
    assert (done["id"], done["state"]) == (again["id"], "done")
    assert [state for _, state in replicas.jobs()] == ["interrupted", "done"]
    assert other.learning()["waiting"] == []
    replicas.start()
    assert trainer.learning()["replica"]["trainer"] == other.learning()["replica"]["name"]


def test_promotion_reaches_both_replicas_without_a_failed_request(replicas: Replicas, entrance: str | None) -> None:
    replicas.start()
    proposal = replicas.both[0].learning()["proposal"]
    before = replicas.both[0].version()

    with Asking([entrance or each.url for each in replicas.both]) as asking:
        until(lambda: len(asking.statuses) > 10)
        began = time.monotonic()
        promote(replicas.state, proposal["version"], "ada", "better", replicas.address)
        until(lambda: {each.version() for each in replicas.both} == {proposal["version"]})
        seconds = time.monotonic() - began
        count = len(asking.statuses)
        until(lambda: len(asking.statuses) > count + 10)

    assert set(asking.statuses) == {200}
    assert asking.versions == {before, proposal["version"]}
    print(f"promotion reached both replicas after {seconds:.1f} s, {len(asking.statuses)} requests")
    assert seconds < 30  # 10 s are allowed, on a machine that does nothing else


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_replica_that_is_paused_leaves_its_training_to_another(replicas: Replicas) -> None:
    replicas.start()
    replicas.label_studio.gate.clear()
    replicas.label_studio.project = Project([])  # a job is refused in a moment, as there is nothing to learn from
    trainer, other = replicas.trainer_and_other()
    trainer.send(START)
    job = until(lambda: trainer.learning()["job"])
    assert trainer.process is not None

    trainer.process.send_signal(signal.SIGSTOP)
    again = until(lambda: (found := other.learning()["job"]) and found["pid"] and found, 60)
    until(lambda: not is_running(job["pid"]), 60)
    trainer.process.send_signal(signal.SIGCONT)
    until(lambda: "trains no more" in trainer.log.read_text(), 60)
    replicas.label_studio.gate.set()
    last = until(lambda: other.learning()["last_job"])

    assert (again["id"], last["id"]) == (job["id"] + 1, job["id"] + 1)
    assert [state for _, state in replicas.jobs()][-2:] == ["interrupted", "refused"]
    assert trainer.learning()["replica"]["trainer"] == other.learning()["replica"]["name"]


def test_predictions_go_on_and_events_are_kept_while_the_database_is_away(replicas: Replicas) -> None:
    replicas.start()
    first, second = replicas.both
    waiting = sum(each["annotations"] for each in first.learning()["waiting"])

    replicas.postgres.stop()
    with Asking([each.url for each in replicas.both]) as asking:
        taken = [replica.send(annotated(number)) for replica in replicas.both for number in (11, 12)]
        told = until(lambda: "cannot use" in str((found := first.learning()).get("problem")) and found)
        until(lambda: len(asking.statuses) > 10)
    replicas.postgres.start()

    assert (taken, set(asking.statuses)) == (["queued"] * 4, {200})
    assert PASSWORD not in str(told) and "s3cr3t" not in str(told)
    until(lambda: sum(each["annotations"] for each in second.learning().get("waiting", ())) == waiting + 2)
    assert not list((replicas.state / "outbox").iterdir())


def test_replica_that_does_not_see_a_version_keeps_the_old_one_and_follows_later(replicas: Replicas) -> None:
    replicas.start()
    given = next(each for each in replicas.both[0].learning()["versions"] if each != replicas.both[0].version())
    serving = replicas.both[0].version()
    hidden = (replicas.state / "versions" / given).rename(replicas.state / "not seen yet")
    replicas.postgres.execute(
        f"INSERT INTO promotions (version, who, why, at) VALUES ('{given}', 'ada', 'back', {time.time()})",
        replicas.address.database,
    )

    told = until(lambda: replicas.both[0].learning().get("problem") or "")
    still = {each.version() for each in replicas.both}
    hidden.rename(replicas.state / "versions" / given)

    assert f"version '{given}' can't be served" in told and still == {serving}
    until(lambda: {each.version() for each in replicas.both} == {given})
    until(lambda: replicas.both[0].learning()["problem"] is None)


def test_password_is_in_no_log_no_answer_and_no_file(replicas: Replicas) -> None:
    replicas.start()
    paths = ("/status", "/metrics", "/docs")
    answers = [httpx.get(f"{each.url}{path}").text for each in replicas.both for path in paths]
    logs = [each.log.read_text() for each in replicas.both]
    files = [file.read_text(errors="replace") for file in replicas.state.rglob("*") if file.is_file()]
    command = Path(f"/proc/{replicas.both[0].process.pid}/cmdline").read_text()  # type: ignore[union-attr]

    shown = "\n".join([*answers, *logs, *files, command])

    assert not any(secret in shown for secret in (PASSWORD, "s3cr3t", replicas.text))
    assert "unexpected error" not in "\n".join(logs)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"WINNOW_REMEMBER_DAYS": "30"}, "WINNOW_REMEMBER_DAYS"),
        ({"LABEL_STUDIO_API_KEY": ""}, "no promotion followed"),
        ({"WINNOW_STORE": "postgresql://winnow:s3cr3t@127.0.0.1:1/labels"}, "cannot use 'postgresql://127.0.0.1:1/lab"),
        ({"WINNOW_STORE": "redis://:s3cr3t@127.0.0.1/0"}, "has to be a PostgreSQL database"),
    ],
    ids=["remembering", "no Label Studio", "database away", "another store"],
)
def test_server_says_why_it_does_not_start(replicas: Replicas, change: dict[str, str], told: str) -> None:
    with pytest.raises(WinnowError, match=told) as error:
        serve(replicas.classifier, ServeOptions(state=replicas.state), replicas.environment | change)

    assert "s3cr3t" not in str(error.value)


def test_push_mode_is_refused_beside_a_store(replicas: Replicas) -> None:
    with pytest.raises(SettingsError, match="WINNOW_STORE"):
        sync(replicas.classifier, 1, Any, SyncOptions(), say=print, progress=silent, environment=replicas.environment)
