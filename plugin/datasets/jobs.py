"""The jobs of a dataset: what is queued, what runs and how far it is, and how to stop it.

A delegated job is one document of FiftyOne's own. Open-source FiftyOne can't cancel it and knows nothing of a job that
runs inside the App, so every running job also keeps a record in the dataset's execution store, beside a cancel flag
that its progress callback looks at.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import fiftyone as fo
import psutil
from bson import ObjectId
from fiftyone.factory.repos import DelegatedOperationDocument
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionResult, ExecutionRunState
from fiftyone.operators.store import ExecutionStore

from ..errors import DataError, JobCancelled
from ..progress import Progress, silent

PLUGIN_NAME = "@winnow/curation"

_STORE = "winnow_jobs"
_POLL_SECONDS = 0.3
# A record outlives its last sign of life by this long: a batch may be slow, but no record stays for ever.
_RECORD_SECONDS = 3600
_FLAG_SECONDS = 24 * 3600
_WORKER_GONE = "its worker was stopped in the middle; run it again: what was finished is reused"
_CANCELLED_BEFORE_START = "cancelled before it started; nothing was changed"
_DATABASE_VARIABLES = ("FIFTYONE_DATABASE_URI", "FIFTYONE_DATABASE_DIR", "FIFTYONE_DATABASE_NAME")


@dataclass(frozen=True)
class Job:
    """One Winnow job of a dataset.

    Attributes:
        id: Id of the delegated operation, or a random one for a job inside the App.
        operator: Name of the operator, such as "find_duplicates".
        state: "queued", "running", "completed", "failed" or "cancelled".
        delegated: Whether a worker runs it; otherwise it runs inside the App.
        since: When it was queued or started (UTC).
        note: Where it stands, why it failed, or the first line of what it found; may be empty.
    """

    id: str
    operator: str
    state: str
    delegated: bool
    since: datetime
    note: str

    @property
    def is_active(self) -> bool:
        """Whether there is still something to cancel."""
        return self.state in ("queued", "running")


def list_jobs(dataset: fo.Dataset) -> list[Job]:
    """Return the dataset's jobs, newest first: delegated ones of any state, and those that run inside an App.

    A running job whose process is gone is ended here: nobody else would notice.
    """
    store = _open_store(dataset._doc.id)
    for key in store.list_keys():
        record = store.get(key) if key.startswith("job:") else None
        if record and _is_dead(record):
            store.delete(key)
            if record["delegated"]:
                end_delegated(key.removeprefix("job:"), _WORKER_GONE)

    service = DelegatedOperationService()
    operations = service.list_operations(dataset_id=dataset._doc.id)
    jobs = [_delegated_job(operation) for operation in operations if operation.operator.startswith(PLUGIN_NAME + "/")]
    records = {key.removeprefix("job:"): store.get(key) for key in store.list_keys() if key.startswith("job:")}
    jobs += [_app_job(key, record) for key, record in records.items() if record and not record["delegated"]]
    return sorted(jobs, key=lambda job: job.since, reverse=True)


@contextmanager
def running_job(
    dataset: fo.Dataset, operator: str, job_id: str, *, delegated: bool = False, show: Progress = silent
) -> Iterator[Progress]:
    """Record a job while the block runs, and hand out the progress callback that a cancel request interrupts.

    Args:
        dataset: Whose job it is.
        operator: Name of the operator.
        job_id: Id of the delegated operation, or a new one for a job inside the App or a Python session.
        delegated: Whether a worker runs it.
        show: Told where the job stands, at most a few times a second.

    Yields:
        A callback that raises `JobCancelled` soon after `cancel_job` was called with the job's id.
    """
    store = _open_store(dataset._doc.id)
    record = {
        "operator": operator,
        "started": datetime.now(UTC).isoformat(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "delegated": delegated,
    }

    last_step, last_time = "", 0.0

    def progress(step: str, done: int, total: int) -> None:
        nonlocal last_step, last_time
        if step == last_step and done < total and time.monotonic() - last_time < _POLL_SECONDS:
            return
        last_step, last_time = step, time.monotonic()
        if store.has(f"cancel:{job_id}"):
            raise JobCancelled
        store.set(f"job:{job_id}", {**record, "note": describe(step, done, total)}, ttl=_RECORD_SECONDS)
        show(step, done, total)

    try:
        progress("starting", 0, 0)
        yield progress
    finally:
        store.delete(f"job:{job_id}")
        store.delete(f"cancel:{job_id}")


def new_job_id() -> str:
    """Return an id for a job that is not delegated."""
    return uuid.uuid4().hex[:12]


def cancel_job(dataset: fo.Dataset, job_id: str) -> str:
    """Cancel a queued or running job.

    A queued job ends at once. A running one stops at its next batch; what it had written stays. Asking a second time
    also ends the delegated job of a worker that is gone and will never look.

    Returns:
        One sentence: what happens to the job.

    Raises:
        DataError: No such job is queued or running.
    """
    job = next((job for job in list_jobs(dataset) if job.id == job_id), None)
    if job is None or not job.is_active:
        active = [f"{other.id} ({other.operator})" for other in list_jobs(dataset) if other.is_active]
        reason = f"it is {job.state} already" if job else "there is none of that id"
        known = f"Queued or running: {', '.join(active)}." if active else "No Winnow job is queued or running."
        raise DataError(f"cannot cancel job '{job_id}' of dataset '{dataset.name}': {reason}. {known}")

    if job.state == "queued" and end_delegated(job_id, _CANCELLED_BEFORE_START, state=ExecutionRunState.QUEUED):
        return f"{job.operator} was cancelled before it started."

    is_first = _open_store(dataset._doc.id).set_if_absent(f"cancel:{job_id}", True, ttl=_FLAG_SECONDS)
    if job.delegated and not is_first and end_delegated(job_id, str(JobCancelled())):
        return f"{job.operator} was ended: its worker had not answered the first request."
    return f"{job.operator} was asked to stop; it does so after the batch that it is working on."


def end_delegated(job_id: str | ObjectId, error: str, *, state: str = ExecutionRunState.RUNNING) -> bool:
    """Mark a delegated operation as ended with a message for the user, if it is in `state`.

    An exception would end it too, but FiftyOne would store its traceback instead of the message.
    """
    result = ExecutionResult(error=error, error_message=error)
    service = DelegatedOperationService()
    return service.set_failed(doc_id=ObjectId(job_id), result=result, required_state=state) is not None


def describe(step: str, done: int, total: int) -> str:
    """Return where a job stands as a short text, such as "embedding: 320 of 3,000"."""
    return f"{step}: {done:,} of {total:,}" if total else step


def worker_alive() -> bool:
    """Whether something executes delegated jobs: a worker on this machine with our database, or a job in progress.

    A job in progress counts while it still reports progress, so that a worker on another machine is noticed too.
    """
    recently = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=2)  # FiftyOne stores naive UTC
    running = DelegatedOperationService().list_operations(run_state=ExecutionRunState.RUNNING)
    if any(operation.updated_at and operation.updated_at > recently for operation in running):
        return True
    return any(_is_our_worker(process) for process in psutil.process_iter(["cmdline"]))


def can_schedule() -> bool:
    """Whether a job that is scheduled in the App of this process will be taken up.

    Open-source FiftyOne offers scheduling only where its setting `allow_legacy_orchestrators` is on.
    """
    return fo.config.allow_legacy_orchestrators and worker_alive()


def _is_our_worker(process: psutil.Process) -> bool:
    words = process.info["cmdline"] or []
    if not {"delegated", "launch"} <= set(words):
        return False
    try:
        environment = process.environ()
    except psutil.Error:
        return False
    return all(environment.get(name) == os.environ.get(name) for name in _DATABASE_VARIABLES)


def _open_store(dataset_id: ObjectId) -> ExecutionStore:
    return ExecutionStore.create(_STORE, dataset_id)


def _delegated_job(operation: DelegatedOperationDocument) -> Job:
    error = (operation.result and operation.result.error) or ""
    found = (operation.result and operation.result.result) or {}
    state = operation.run_state
    if state == ExecutionRunState.FAILED and error.startswith("cancelled"):
        state = "cancelled"
    if error:
        note = error.strip().splitlines()[-1]
    elif state == ExecutionRunState.RUNNING:
        note = (operation.status and operation.status.label) or ""
    else:
        note = found.get("text", "").split("\n", 1)[0]
    since = operation.started_at or operation.queued_at or operation.scheduled_at
    return Job(
        id=str(operation.id),
        operator=operation.operator.split("/")[-1],
        state=state,
        delegated=True,
        since=since.replace(tzinfo=UTC),
        note=note,
    )


def _app_job(job_id: str, record: dict) -> Job:
    since = datetime.fromisoformat(record["started"])
    return Job(job_id, record["operator"], "running", False, since, record.get("note", ""))


def _is_dead(record: dict) -> bool:
    return record["host"] == socket.gethostname() and not psutil.pid_exists(record["pid"])
