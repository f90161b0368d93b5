"""What `/status` tells of learning from annotations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .job_process import progress_of
from .learning_records import Job
from .learning_store import LearningStore


def learning_status(
    store: LearningStore, serving: str | None, running: tuple[Job, int] | None, replica: str | None
) -> dict[str, Any]:
    """Return what waits, runs, was done, is proposed and was promoted, as plain JSON.

    Args:
        store: Of the server.
        serving: The version that is served.
        running: The job that this server runs, and the number of its process.
        replica: Name of this replica; None = there is but one server.

    Raises:
        StoreError: The store can't be read.
    """
    jobs, promotions = store.jobs(limit=1), store.promotions(limit=1)
    last = jobs[0] if jobs else None
    job = None if running is None else _job(store, *running)
    if job is None and replica is not None and last is not None and last.state == "running":
        job = _job(store, last, None)  # another replica's
    return {
        "state_folder": str(store.state),
        "waiting": [
            {"project": each.project, "annotations": each.annotations, "start_training": each.asked_for}
            for each in store.waiting()
        ],
        "job": job,
        "last_job": None if last is None or last.state == "running" else _told(last),
        "proposal": _proposal(store, serving),
        "promoted": None
        if not promotions
        else {
            "version": promotions[0].version,
            "who": promotions[0].who,
            "why": promotions[0].why,
            "at": datetime.fromtimestamp(promotions[0].at, UTC).isoformat(timespec="seconds"),
        },
        "versions": [known.version for known in store.versions()],
    }


def _job(store: LearningStore, job: Job, pid: int | None) -> dict[str, Any]:
    return {"id": job.id, "project": job.project, "pid": pid, "progress": progress_of(store.state, job.id)}


def _proposal(store: LearningStore, serving: str | None) -> dict[str, Any] | None:
    """Return the newest version that a job made since the last promotion, and how to have it served."""
    promotions = store.promotions(limit=1)
    made = next((known for known in store.versions() if known.report is not None), None)
    if made is None or made.version == serving or (promotions and promotions[0].at > made.made_at):
        return None
    return {
        "version": made.version,
        "report": made.report,
        "promote": f"winnow labelstudio promote {made.version} --state '{store.state}' --why 'REASON'",
    }


def _told(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "project": job.project,
        "state": job.state,
        "detail": job.detail,
        "version": job.version,
        "seconds": round((job.ended_at or job.started_at) - job.started_at, 1),
    }
