"""Jobs run through FiftyOne's queue, and can be cancelled there."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from bson import ObjectId
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionError

from winnow.plugin.datasets import jobs
from winnow.plugin.datasets.jobs import Job, cancel_job, list_jobs
from winnow.plugin.progress import Progress
from winnow.plugin.workflows import duplicates


def schedule(name: str, dataset: fo.Dataset, **params: Any) -> str:
    """Queue an operator and return the id of its delegated operation."""
    queued = foo.execute_operator(f"@winnow/curation/{name}", dataset=dataset, params=params, request_delegation=True)
    return str(queued.result["id"])


def work_off(dataset: fo.Dataset) -> None:
    """Do what a delegated worker does, once."""
    DelegatedOperationService().execute_queued_operations(dataset_name=dataset.name)


def only_job(dataset: fo.Dataset) -> Job:
    (job,) = list_jobs(dataset)
    return job


def test_scheduled_job_is_queued_then_completed(colours: fo.Dataset) -> None:
    schedule("find_duplicates", colours)
    before = only_job(colours)

    work_off(colours)

    assert before.state == "queued"
    assert only_job(colours).state == "completed"
    assert colours.exists("duplicate_score").count() >= 2


def test_completed_job_keeps_its_report(colours: fo.Dataset) -> None:
    job_id = schedule("find_duplicates", colours)

    work_off(colours)

    stored = DelegatedOperationService().get(ObjectId(job_id))
    assert stored.result.result["text"]
    assert stored.metadata["outputs_schema"]


def test_error_of_a_scheduled_job_is_stored_as_its_message(colours: fo.Dataset) -> None:
    schedule("find_duplicates", colours, group_field="ground_truth")

    work_off(colours)

    job = only_job(colours)
    assert job.state == "failed"
    assert "ground_truth" in job.note


def test_queued_job_is_cancelled_at_once(colours: fo.Dataset) -> None:
    job_id = schedule("find_duplicates", colours)

    foo.execute_operator("@winnow/curation/cancel_job", dataset=colours, params={"job": job_id})
    work_off(colours)

    assert only_job(colours).state == "cancelled"
    assert not colours.has_field("duplicate_score")


def test_running_job_is_cancelled_in_its_middle(colours: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = schedule("find_duplicates", colours)
    real = duplicates.find_duplicates
    seen = []

    def cancelled_from_outside(view: fo.DatasetView, params: Any, progress: Progress) -> Any:
        seen.append(only_job(colours).state)
        cancel_job(colours, job_id)
        return real(view, params, progress)

    monkeypatch.setattr(duplicates, "find_duplicates", cancelled_from_outside)
    work_off(colours)

    assert seen == ["running"]
    assert only_job(colours).state == "cancelled"
    assert not colours.has_field("duplicate_score")


def test_finished_job_cannot_be_cancelled(colours: fo.Dataset) -> None:
    job_id = schedule("find_duplicates", colours)
    work_off(colours)

    with pytest.raises(ExecutionError, match="it is completed already"):
        foo.execute_operator("@winnow/curation/cancel_job", dataset=colours, params={"job": job_id})


def test_job_whose_worker_died_is_ended_with_a_word(colours: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = schedule("find_duplicates", colours)
    DelegatedOperationService().set_running(ObjectId(job_id))

    with jobs.running_job(colours, "find_duplicates", job_id, delegated=True):
        monkeypatch.setattr(jobs.psutil, "pid_exists", lambda pid: False)
        job = only_job(colours)

    assert job.state == "failed"
    assert "its worker was stopped" in job.note
