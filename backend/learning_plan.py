"""What the operator decides about training from annotations."""

from __future__ import annotations

from dataclasses import dataclass

from ..plugin.labeling.blind_share import is_withheld, unit_of
from ..plugin.labeling.task_identity import is_marked_blind
from .contract import Task

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
        blind_share: Of the units, in 0..1: they get no prediction, so that they are labelled blind; they are held out.
        auto_promote: "no-worse" = a version that is shown to be no worse is served without asking; None = never.
        auto_promote_margin: See `promotion.is_no_worse`.
        below_accuracy: Training begins, where there is something new to learn from, once annotators' answers show that
            the accuracy is below this, in 0..1; 0 = that is no reason.
        on_drift: The same once the images differ from those that the classifier was made with.
        dry_run: What the policy decides is told, and starts nothing; Start Training still does.
    """

    least_annotations: int = 50
    quiet_seconds: float = 60.0
    preset: str = "quick"
    group_key: str | None = None
    held_out_share: float = 0.2
    held_out_least: int = 100
    threads: int = 1
    niceness: int = 10
    blind_share: float = 0.0
    auto_promote: str | None = None
    auto_promote_margin: float = 0.01
    below_accuracy: float = 0.0
    on_drift: bool = False
    dry_run: bool = False

    def withholds(self, task: Task) -> bool:
        """Tell whether a task gets no prediction: its data says so, or it is in the share."""
        if is_marked_blind(task.data):
            return True
        return self.blind_share > 0 and is_withheld(unit_of(task.id, task.data, self.group_key), self.blind_share)
