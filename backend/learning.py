"""Learning from annotations while the server runs: events in, training jobs started, promotions followed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..plugin.errors import WinnowError
from ..plugin.training.versions import version_in
from .events import read_event
from .hosting import HostedClassifier, ModelHost
from .job_files import JobSpec
from .job_process import JobProcess
from .learning_plan import NO_WORSE, LearningPlan
from .learning_store import Job, LearningStore, StoreError, Version, Waiting
from .promotion import is_no_worse, known_version, remove_old_proposals
from .remembering import Memory
from .retraining_policy import RetrainingPolicy

logger = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 0.5
_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 60.0, 3600.0
_KILLS_TO_GIVE_UP = 3
_AGAIN = ("interrupted", "killed", "unreachable")


class Learning:
    """Keeps events, runs one training job at a time in its own process, and serves what is promoted.

    Nothing that happens here touches the serving classifier, but for a promotion.

    Args:
        directory: The Classifier folder that the server was given.
        state: The state folder; one server at a time.
        host: Of the serving classifier.
        load: Loads a classifier folder, ready to answer.
        plan: When and how.
        announce: Told each version that is newly served, and the projects that events came from; must not wait.
        memory: Of predictions and answers, which the retraining policy goes by; started and stopped by the caller.

    Raises:
        StoreError: The state folder cannot be used, or another server uses it.
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
    ) -> None:
        self._host, self._load, self._plan, self._announce = host, load, plan, announce
        self._policy = RetrainingPolicy(plan, memory)
        self._store = LearningStore(state)
        self._only = FileLock(self._store.state / "server.lock")
        try:
            self._only.acquire(blocking=False)
        except Timeout:
            raise StoreError(
                f"another server learns in '{state}'. Stop it, or give this one another --state."
            ) from None
        if (given := version_in(directory)) is not None:
            self._store.add_version(given, directory)
        promotions = self._store.promotions(limit=1)
        self._followed = promotions[0].id if promotions else 0
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
        except StoreError as error:  # Label Studio shows its users nothing of the answer
            logger.error("an event of project %d was not kept: %s", kept.project, error)
            raise

    def start(self) -> None:
        """Begin to look for work; a job that was running when the server was killed begins again."""
        for job in self._store.jobs():
            if job.state == "running":
                self._store.end_job(job.id, "interrupted", "the server was killed while it ran", again=True)
        self._thread.start()

    def stop(self) -> None:
        """End the running job, which begins again with the next server, and close the store."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._process is not None:
            self._process.end()
            self._store.end_job(self._process.job.id, "interrupted", "the server was stopped while it ran", again=True)
            self._process = None
        self._store.close()
        self._only.release()

    def versions(self) -> list[str]:
        """Return the versions that can be served, the newest first."""
        return [known.version for known in self._store.versions()]

    def status(self) -> dict[str, Any]:
        """Return what waits, runs, was done, is proposed and was promoted, as plain JSON."""
        process, jobs, promotions = self._process, self._store.jobs(limit=1), self._store.promotions(limit=1)
        last = jobs[0] if jobs else None
        return {
            "state_folder": str(self._store.state),
            "waiting": [
                {"project": each.project, "annotations": each.annotations, "start_training": each.asked_for}
                for each in self._store.waiting()
            ],
            "job": None
            if process is None
            else {
                "id": process.job.id,
                "project": process.job.project,
                "pid": process.pid,
                "progress": process.progress(),
            },
            "last_job": None if last is None or last.state == "running" else _told(last),
            "proposal": self._proposal(),
            "promoted": None
            if not promotions
            else {
                "version": promotions[0].version,
                "who": promotions[0].who,
                "why": promotions[0].why,
                "at": datetime.fromtimestamp(promotions[0].at, UTC).isoformat(timespec="seconds"),
            },
            "versions": self.versions(),
            "policy": self._policy.status(),
        }

    def _proposal(self) -> dict[str, Any] | None:
        """Return the newest version that a job made since the last promotion, and how to have it served."""
        promotions = self._store.promotions(limit=1)
        made = next((known for known in self._store.versions() if known.report is not None), None)
        if made is None or made.version == self._host.version or (promotions and promotions[0].at > made.made_at):
            return None
        return {
            "version": made.version,
            "report": made.report,
            "promote": f"winnow labelstudio promote {made.version} --state '{self._store.state}' --why 'REASON'",
        }

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_SECONDS):
            try:
                self._follow_promotions()
                self._announce_version()
                if self._process is None:
                    self._start_due()
                else:
                    self._look_after(self._process)
            except Exception:  # one bad look must not end learning
                logger.exception("learning from annotations: an unexpected error; it goes on")

    def _follow_promotions(self) -> None:
        promotions = self._store.promotions(limit=1)
        if not promotions or promotions[0].id <= self._followed:
            return
        promotion = promotions[0]
        self._followed = promotion.id
        if promotion.version == self._host.version:
            return
        try:
            folder = known_version(self._store, promotion.version).folder
        except WinnowError as error:
            logger.error("promotion of %s: %s", promotion.version, error)
            return
        logger.info("version %s was promoted by %s: %s", promotion.version, promotion.who, promotion.why)
        self._host.swap(lambda: self._load(folder), promotion.version)

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
        if serving != self._judged[0]:
            known = (each.folder for each in self._store.versions() if each.version == serving)
            self._judged = serving, next(known, None)
        ready = [waiting for waiting in self._store.waiting() if now >= self._not_before(waiting)]
        cut_off = {waiting.project for waiting in ready if _in_vain(self._store.jobs(), waiting.project)}
        due = self._policy.next(ready, *self._judged, now, cut_off)
        if due is not None:
            self._start(self._store.start_job(due.project), serving)

    def _start(self, job: Job, serving: str) -> None:
        logger.info("training job %d begins for project %d", job.id, job.project)
        try:
            folder = known_version(self._store, serving).folder
            self._process = JobProcess(job, self._spec(job, folder))
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
        self._end(job, state, detail, outcome.get("version"))
        self._process = None
        if state == "done":
            self._promote_by_rule(known_version(self._store, outcome["version"]))
            remove_old_proposals(self._store, keep=(outcome["version"], str(self._host.version)))

    def _end(self, job: Job, state: str, detail: str, version: str | None = None) -> None:
        self._store.end_job(job.id, state, detail, version, again=state in _AGAIN)
        level = logging.INFO if state == "done" else logging.WARNING
        logger.log(level, "training job %d %s: %s", job.id, state, detail)

    def _promote_by_rule(self, made: Version) -> None:
        if self._plan.auto_promote != NO_WORSE or made.report is None or made.version == self._host.version:
            return
        if made.report["continued_from"] != self._host.version:
            return  # somebody promoted another version meanwhile, which this one was not compared with
        if is_no_worse(made.report, self._plan.auto_promote_margin):
            found, margin = made.report["comparison"], self._plan.auto_promote_margin
            why = f"{NO_WORSE}: gain in {found['measure']} at least {found['interval'][0]:+.4f} (95 %), margin {margin}"
            self._store.promote(made.version, "automatic", why)


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


def _told(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "project": job.project,
        "state": job.state,
        "detail": job.detail,
        "version": job.version,
        "seconds": round((job.ended_at or job.started_at) - job.started_at, 1),
    }
