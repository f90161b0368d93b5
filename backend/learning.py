"""Learning from annotations while the server runs: events in, training jobs started, promotions followed."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..plugin.errors import WinnowError
from ..plugin.training.versions import VERSIONS, version_in
from .database import StoreAwayError, StoreError
from .events import read_event
from .following import Following
from .hosting import HostedClassifier, ModelHost
from .job_files import JobSpec
from .job_process import JobProcess
from .learning_plan import NO_WORSE, LearningPlan
from .learning_records import Job, Waiting
from .learning_status import learning_status
from .learning_store import LearningStore
from .outbox import Outbox
from .promotion import is_no_worse, known_version, remove_old_proposals
from .registry import put_into_registry
from .remembering import Memory
from .retraining_policy import RetrainingPolicy
from .store_address import StoreAddress
from .turn import OnlyServer, SharedTurn, Turn

logger = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 0.5
# A version whose folder another replica wrote may be seen late over a network; one that can't be loaded may be mended.
_LOOK_AGAIN_SECONDS, _LOAD_AGAIN_SECONDS = 2.0, 60.0
_DELIVER_EVERY_SECONDS = 2.0
_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 60.0, 3600.0
_KILLS_TO_GIVE_UP = 3
_AGAIN = ("interrupted", "killed", "unreachable")


class Learning:
    """Keeps events, runs one training job at a time in its own process, and serves what is promoted.

    Nothing that happens here touches the serving classifier, but for a promotion. Of several replicas that share a
    database, each takes events and follows promotions, and one trains (see `turn`).

    Args:
        directory: The Classifier folder that the server was given.
        state: The state folder; one server at a time, or replicas that share the database.
        host: Of the serving classifier.
        load: Loads a classifier folder, ready to answer.
        plan: When and how.
        announce: Told each version that is newly served, and the projects that events came from; must not wait.
        memory: Of predictions and answers, which the retraining policy goes by; started and stopped by the caller.
        address: Of the database that replicas share; None = there is but one server.

    Raises:
        StoreError: The state folder, or the database, cannot be used, or another server uses the folder.
    """

    def __init__(
        self,
        directory: Path,
        state: Path,
        host: ModelHost,
        load: Callable[[Path], HostedClassifier],
        plan: LearningPlan,
        announce: Callable[[str, Sequence[int]], None] | None = None,
        memory: Memory | None = None,
        address: StoreAddress | None = None,
    ) -> None:
        self._host, self._plan, self._announce = host, plan, announce
        self._policy = RetrainingPolicy(plan, memory)
        self._address, self._store = address, LearningStore(state, address)
        self._name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self._turn: Turn = OnlyServer(self._store) if address is None else SharedTurn(self._store, self._name)
        self._outbox = None if address is None else Outbox(self._store.state)
        self._deliver_at = 0.0
        if (given := version_in(directory)) is not None:
            if address is not None:  # the other replicas are given it, but perhaps in another place
                shared = self._store.state / VERSIONS / given
                put_into_registry(directory, shared)
                directory = shared
            self._store.add_version(given, directory)
        self._following = Following(self._store, host, load)
        self._problem: str | None = None
        self._announced: str | None = None
        self._process: JobProcess | None = None
        self._judged: tuple[str, Path | None] = ("", None)  # the version that the policy judges, and its folder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="learning", daemon=True)

    def take(self, event: dict[str, Any]) -> str:
        """Keep an event; return "queued", "duplicate" or "ignored". It is on the disk when this returns.

        Raises:
            StoreError: It cannot be kept.
        """
        kept = read_event(event)
        if kept is None:
            return "ignored"
        try:
            return "queued" if self._store.add_event(kept) else "duplicate"
        except StoreError as error:  # Label Studio shows its users nothing of the answer, and sends no event again
            if self._outbox is not None and isinstance(error, StoreAwayError):
                self._outbox.keep(kept)
                return "queued"
            logger.error("an event of project %d was not kept: %s", kept.project, error)
            raise

    def start(self) -> None:
        """Begin to look for work; a job that was running when the server was killed begins again."""
        self._thread.start()

    def stop(self) -> None:
        """End the running job, which begins again with the next server, and close the store."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            if self._process is not None:
                self._process.end()
                job = self._process.job
                self._store.end_job(job.id, "interrupted", "the server was stopped while it ran", again=True)
            self._turn.release()
        except StoreError as error:  # whoever takes over notes the same
            logger.warning("the end of learning was not noted: %s", error)
        self._process = None
        self._store.close()

    def versions(self) -> list[str]:
        """Return the versions that can be served, the newest first."""
        return [known.version for known in self._store.versions()]

    def status(self) -> dict[str, Any]:
        """Return what waits, runs, was done, is proposed and was promoted, as plain JSON."""
        replica, process = None if self._address is None else self._name, self._process
        try:
            running = None if process is None else (process.job, process.pid)
            found = learning_status(self._store, self._host.version, running, replica)
            if replica is not None:
                found["replica"] = {"name": replica, "trainer": self._turn.holder()}
        except StoreError as error:
            return {"state_folder": str(self._store.state), "replica": {"name": replica}, "problem": str(error)}
        return found | {"policy": self._policy.status(), "problem": self._problem}

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_SECONDS):
            try:
                self._tell(self._look())
            except StoreError as error:
                self._tell(str(error))
            except Exception:  # one bad look must not end learning
                logger.exception("learning from annotations: an unexpected error; it goes on")

    def _look(self) -> str | None:
        """Do what is to be done now; return what stands against a promotion."""
        # a replica that serves nothing leaves the training to one that does
        is_mine = self._host.version is not None and self._turn.look()
        if not is_mine and self._process is not None:
            self._abandon(self._process)
        problem = self._following.look()
        self._announce_version()
        if is_mine:
            self._deliver()
            if self._process is None:
                self._start_due()
            else:
                self._look_after(self._process)
        return problem

    def _tell(self, problem: str | None) -> None:
        """Log what is wrong, once, and have it on `/status` until it is over."""
        if problem is not None and problem != self._problem:
            served = self._host.version
            logger.error("learning from annotations: %s Version %s is served all the same.", problem, served)
        elif problem is None and self._problem is not None:
            logger.info("learning from annotations works again")
        self._problem = problem

    def _deliver(self) -> None:
        """Hand over the events that came while the database was away, to whichever replica."""
        if self._outbox is None or time.monotonic() < self._deliver_at:
            return
        self._deliver_at = time.monotonic() + _DELIVER_EVERY_SECONDS
        if count := self._outbox.deliver(self._store):
            logger.info("%d event(s) that came while the database was away are kept in it now", count)

    def _announce_version(self) -> None:
        version = self._host.version
        if version is None or version == self._announced or self._announce is None:
            return
        self._announced = version
        self._announce(version, self._store.projects())

    def _start_due(self) -> None:
        serving, now = self._host.version, time.time()
        if serving is None:
            return
        if self._store.has_running_job():  # it began, but the database broke before it said so
            self._store.interrupt_jobs("the database was lost as it began", self._turn.term)
        if serving != self._judged[0]:
            known = (each.folder for each in self._store.versions() if each.version == serving)
            self._judged = serving, next(known, None)
        ready = [waiting for waiting in self._store.waiting() if now >= self._not_before(waiting)]
        cut_off = {waiting.project for waiting in ready if _in_vain(self._store.jobs(), waiting.project)}
        due = self._policy.next(ready, *self._judged, now, cut_off)
        if due is not None:
            job = self._store.start_job(due.project, self._turn.term)
            if job is not None:
                self._start(job, serving)

    def _start(self, job: Job, serving: str) -> None:
        logger.info("training job %d begins for project %d", job.id, job.project)
        try:
            folder = known_version(self._store, serving).folder
            self._process = JobProcess(job, self._spec(job, folder), self._address)
        except WinnowError as error:
            self._end(job, "refused", str(error))
        except OSError as error:  # no room for its folder, or for another process
            self._end(job, "interrupted", f"it could not be started: {error}")

    def _spec(self, job: Job, folder: Path) -> JobSpec:
        return JobSpec(
            project=job.project,
            classifier=folder,
            state=self._store.state,
            preset=self._plan.preset,
            group_key=self._plan.group_key,
            held_out_share=self._plan.held_out_share,
            held_out_least=self._plan.held_out_least,
            threads=self._plan.threads,
            niceness=self._plan.niceness,
            job=job.id,
        )

    def _not_before(self, waiting: Waiting) -> float:
        """Return when a project's next job may start: at once, but later each time where jobs end without a result."""
        in_vain = _in_vain(self._store.jobs(), waiting.project)
        if not in_vain or (len(in_vain) == 1 and in_vain[0].state == "interrupted"):
            return 0.0
        pause = min(_RETRY_SECONDS * 2 ** (len(in_vain) - 1), _LONGEST_RETRY_SECONDS)
        return (in_vain[0].ended_at or 0.0) + pause

    def _look_after(self, process: JobProcess) -> None:
        job = process.job
        cancel = any(known.id == job.id and known.cancel for known in self._store.jobs(limit=1))
        if cancel:
            process.end()
        outcome = process.outcome()
        if outcome is None:
            return
        state, detail = outcome["state"], outcome["detail"]
        if cancel and state != "done":
            state, detail = "cancelled", "cancelled by a person"
        earlier = _in_vain([known for known in self._store.jobs() if known.id != job.id], job.project)
        if state == "killed" and [known.state for known in earlier].count("killed") + 1 >= _KILLS_TO_GIVE_UP:
            state, detail = "failed", f"{detail}, {_KILLS_TO_GIVE_UP} times in a row; Start Training tries again"
        version = None if outcome.get("version") is None else str(outcome["version"])
        promote = None if version is None else self._reason_to_promote(version)
        is_ended = self._end(job, state, detail, version, promote)
        self._process = None
        if is_ended and version is not None:
            remove_old_proposals(self._store, keep=(version, str(self._host.version)))

    def _abandon(self, process: JobProcess) -> None:
        """End a job that another replica begins again."""
        logger.warning("training job %d is left to the replica whose turn it is", process.job.id)
        process.end()
        self._process = None

    def _end(self, job: Job, state: str, detail: str, version: str | None = None, promote: str | None = None) -> bool:
        """Note how a job ended; return False where another replica took it over."""
        again, followed = state in _AGAIN, self._following.followed
        if not self._store.end_job(job.id, state, detail, version, again=again, promote=promote, followed=followed):
            logger.warning("training job %d was taken over by another replica; what came of it here is left", job.id)
            return False
        level = logging.INFO if state == "done" else logging.WARNING
        logger.log(level, "training job %d %s: %s", job.id, state, detail)
        return True

    def _reason_to_promote(self, version: str) -> str | None:
        """Return why a new version is served without asking; None = it is only proposed."""
        if self._plan.auto_promote != NO_WORSE or version == self._host.version:
            return None
        report = next((known.report for known in self._store.versions() if known.version == version), None)
        if report is None or report["continued_from"] != self._host.version:
            return None  # somebody promoted another version meanwhile, which this one was not compared with
        margin = self._plan.auto_promote_margin
        if not is_no_worse(report, margin):
            return None
        found = report["comparison"]
        return f"{NO_WORSE}: gain in {found['measure']} at least {found['interval'][0]:+.4f} (95 %), margin {margin}"


def _in_vain(jobs: list[Job], project: int) -> list[Job]:
    """Return a project's last jobs, the newest first, down to one that came to an end of its own."""
    found = []
    for job in jobs:
        if job.project != project:
            continue
        if job.state not in _AGAIN:
            break
        found.append(job)
    return found
