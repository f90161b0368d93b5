"""Jobs are listed while they live, and stop when they are asked to."""

from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import pytest

from winnow.plugin.datasets import jobs
from winnow.plugin.datasets.jobs import cancel_job, list_jobs, running_job, worker_alive
from winnow.plugin.errors import DataError, JobCancelled

Make = Callable[..., fo.Dataset]


def test_running_job_is_listed_with_where_it_stands(dataset: Make) -> None:
    images = dataset()
    with running_job(images, "find_leaks", "a1") as progress:
        progress("embedding", 320, 3000)
        (job,) = list_jobs(images)

    assert (job.id, job.operator, job.state, job.note) == ("a1", "find_leaks", "running", "embedding: 320 of 3,000")


def test_finished_job_is_listed_no_more(dataset: Make) -> None:
    images = dataset()
    with running_job(images, "find_leaks", "a1"):
        pass

    assert list_jobs(images) == []


def test_jobs_of_another_dataset_are_not_listed(dataset: Make) -> None:
    with running_job(dataset(), "find_leaks", "a1"):
        listed = list_jobs(dataset())

    assert listed == []


def test_cancelled_job_is_interrupted_at_its_next_step(dataset: Make) -> None:
    images = dataset()
    with pytest.raises(JobCancelled), running_job(images, "find_leaks", "a1") as progress:
        cancel_job(images, "a1")
        progress("searching", 1, 10)


def test_cancel_request_does_not_reach_the_next_job_of_that_id(dataset: Make) -> None:
    images = dataset()
    with running_job(images, "find_leaks", "a1"):
        cancel_job(images, "a1")

    with running_job(images, "find_leaks", "a1") as progress:
        progress("searching", 10, 10)


def test_job_of_a_dead_process_is_forgotten(dataset: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    images = dataset()
    with running_job(images, "find_leaks", "a1"):
        monkeypatch.setattr(jobs.psutil, "pid_exists", lambda pid: False)
        listed = list_jobs(images)

    assert listed == []


def test_cancelling_an_unknown_job_names_those_that_there_are(dataset: Make) -> None:
    images = dataset()
    with running_job(images, "find_leaks", "a1"), pytest.raises(DataError, match=r"job 'b2'.*a1 \(find_leaks\)"):
        cancel_job(images, "b2")


def test_progress_is_shown_on_every_new_step_but_not_on_every_call(dataset: Make) -> None:
    shown = []
    with running_job(dataset(), "find_leaks", "a1", show=lambda *step: shown.append(step)) as progress:
        for done in range(1001):
            progress("embedding", done, 1000)
        progress("searching", 0, 5)

    assert [shown[0], shown[1], shown[-2], shown[-1]] == [
        ("starting", 0, 0),
        ("embedding", 0, 1000),
        ("embedding", 1000, 1000),
        ("searching", 0, 5),
    ]
    assert len(shown) < 500


def test_no_worker_is_alive_where_none_was_started() -> None:
    assert not worker_alive()
