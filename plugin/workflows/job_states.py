"""What is known of the jobs of a dataset: which were run, which are going on, and which tell of what it was before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import fiftyone as fo

from ..datasets import (
    bringing_back,
    group_marks,
    jobs,
    label_reviews,
    label_sets,
    labeling_batches,
    moving,
    patch_relabelling,
    relabelling,
    runs,
    tagging,
)
from ..datasets.runs import SavedRun

# Jobs whose runs are saved under another name than theirs.
_OPERATORS = {
    labeling_batches.METHOD: "send_to_label_studio",
    bringing_back.METHOD: "pull_from_label_studio",
    "label_loop": "loop_status",
    "label_loop_round": "loop_status",
    tagging.METHOD: "tag_findings",
    moving.METHOD: "move_to_split",
    **dict.fromkeys((relabelling.METHOD, label_sets.METHOD, patch_relabelling.METHOD), "review_label_issues"),
    **dict.fromkeys((label_reviews.METHOD, group_marks.METHOD), "review"),
}
# Those whose result holds for the whole dataset, and gets old when samples come and go.
_FINDINGS = (
    "compute_embeddings", "find_duplicates", "find_leaks", "find_label_issues", "split_dataset", "apply_classifier",
    "evaluate_predictions", "compare_predictions",
)  # fmt: skip


@dataclass(frozen=True)
class JobState:
    """What is known of one job of a dataset.

    Attributes:
        last: When it was last run (UTC), None where it never was.
        stale: Why that no longer tells about the whole dataset, None while it does.
        active: How far the job is that goes on now, or that it is queued; None where there is none.
    """

    last: datetime | None = None
    stale: str | None = None
    active: str | None = None

    def text(self) -> str:
        """Return a few words for a person, "" where it was never run."""
        if self.active is not None:
            return self.active
        if self.last is None:
            return ""
        if self.stale is not None:
            return f"out of date: {self.stale}"
        return f"last run {self.last:%d %b %H:%M} UTC"


def job_states(dataset: fo.Dataset) -> dict[str, JobState]:
    """Return the state of each job that was run on a dataset or is going on, by the operator's name."""
    newest = {_OPERATORS.get(run.method, run.method): run for run in runs.list_runs(dataset)}
    active = dict(_active(dataset))
    return {name: _state(dataset, newest.get(name), name, active.get(name)) for name in {**newest, **active}}


def _state(dataset: fo.Dataset, run: SavedRun | None, name: str, active: str | None) -> JobState:
    if run is None:
        return JobState(active=active)
    return JobState(run.time, runs.is_stale(dataset, run.key) if name in _FINDINGS else None, active)


def _active(dataset: fo.Dataset) -> Iterator[tuple[str, str]]:
    for job in jobs.list_jobs(dataset):
        if job.is_active:
            yield job.operator, f"{job.state}: {job.note}" if job.note else job.state
