"""What the operator decides about training from annotations."""

from __future__ import annotations

from dataclasses import dataclass

NO_WORSE = "no-worse"


@dataclass(frozen=True)
class LearningPlan:
    """When training begins, and how.

    Attributes:
        least_annotations: New or changed annotations that start a job; Start Training starts one at once.
        quiet_seconds: Time without an event before it starts, or ten times as long after the first one.
        preset: Of the recipe.
        group_key: See `job_files.JobSpec`.
        held_out_share: See `job_files.JobSpec`.
        held_out_least: See `job_files.JobSpec`.
        threads: See `job_files.JobSpec`.
        niceness: See `job_files.JobSpec`.
        auto_promote: "no-worse" = a version that is shown to be no worse is served without asking; None = never.
        auto_promote_margin: See `promotion.is_no_worse`.
    """

    least_annotations: int = 50
    quiet_seconds: float = 60.0
    preset: str = "quick"
    group_key: str | None = None
    held_out_share: float = 0.2
    held_out_least: int = 100
    threads: int = 1
    niceness: int = 10
    auto_promote: str | None = None
    auto_promote_margin: float = 0.01
