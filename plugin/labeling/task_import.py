"""Tasks into a project, each exactly once, whatever happens on the way.

A call that failed, or whose answer was lost, may still have been carried out: Label Studio stores tasks before it
counts them, and a proxy may give up before it is done. So nothing is sent twice without a look at what the project
holds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .client import LabelStudioClient, LabelStudioError
from .task_identity import SAMPLE, identity

# Half a minute, for Label Studio to finish what it was sent.
_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# Label Studio itself has answered, so that it is done with the call; others may come from a proxy in front of it.
_FINAL = frozenset({429, 500, 503})


@dataclass(frozen=True, slots=True)
class Present:
    """A task of the batch that the project holds.

    Attributes:
        task_id: Its number.
        sha256: Of the file that was sent.
        blind: Whether annotators are not to see a prediction.
    """

    task_id: int
    sha256: str
    blind: bool


@dataclass
class TaskImport:
    """Imports the tasks of one batch into a project.

    Attributes:
        client: Of the Label Studio.
        project_id: The project.
        batch: Name of the batch, which its tasks' data holds.
        waits: Seconds between two looks after a call that failed.
        present: Sample id -> its task; filled by `look`, and by each import.
        doubled: Second tasks of a sample, as (task id, task id of the first one).
    """

    client: LabelStudioClient
    project_id: int
    batch: str
    waits: Sequence[float] = _WAITS_SECONDS
    present: dict[str, Present] = field(default_factory=dict)
    doubled: list[tuple[int, int]] = field(default_factory=list)

    def look(self) -> None:
        """Find out which tasks of the batch the project holds."""
        self.present, self.doubled = {}, []
        for task in self.client.tasks_of_batch(self.project_id, self.batch):
            found = identity(task["data"])
            if found is None:
                continue
            first = self.present.setdefault(found.sample_id, Present(int(task["id"]), found.sha256, found.blind))
            if first.task_id != int(task["id"]):
                self.doubled.append((int(task["id"]), first.task_id))

    def send(self, tasks: Sequence[dict[str, Any]]) -> int:
        """Import those of these tasks that the project does not hold yet.

        Args:
            tasks: Each with `data` that holds its identity, and perhaps `predictions`; one a sample.

        Returns:
            How many predictions Label Studio says that it stored.

        Raises:
            LabelStudioError: It refuses the tasks, or it stays unknown what became of them.
        """
        waits = list(self.waits)
        while waiting := [task for task in tasks if task["data"][SAMPLE] not in self.present]:
            try:
                return self._import(waiting)
            except LabelStudioError as error:
                if error.status is not None and error.status < 500 and error.status != 429:
                    raise
                if not self._settled(error, waiting, waits):
                    raise
        return sum(len(task.get("predictions", ())) for task in tasks)

    def drop_doubles(self) -> list[int]:
        """Delete second tasks of a sample that nobody has annotated, and return their numbers.

        They come about where a sender was killed, and the next one was faster than Label Studio.
        """
        self.look()
        dropped: list[int] = []
        for later, first in self.doubled:
            unlabelled = next((each for each in (later, first) if not self._is_annotated(each)), None)
            if unlabelled is not None:
                self.client.delete_task(unlabelled)
                dropped.append(unlabelled)
        if dropped:
            self.look()
        return dropped

    def _import(self, tasks: Sequence[dict[str, Any]]) -> int:
        answer = self.client.import_tasks(self.project_id, tasks)
        numbers = answer.get("task_ids")
        if numbers is None:  # an edition that imports later
            for wait in self.waits:
                self.look()
                if all(task["data"][SAMPLE] in self.present for task in tasks):
                    break
                time.sleep(wait)
            return sum(len(task.get("predictions", ())) for task in tasks)
        for task, number in zip(tasks, numbers, strict=True):
            if (sent := identity(task["data"])) is not None:
                self.present[sent.sample_id] = Present(int(number), sent.sha256, sent.blind)
        return int(answer.get("prediction_count") or 0)

    def _settled(self, error: LabelStudioError, tasks: Sequence[dict[str, Any]], waits: list[float]) -> bool:
        """Wait until it is known what became of a call: it was carried out, or it never will be."""
        while waits:
            time.sleep(waits.pop(0))
            self.look()
            if error.status in _FINAL or any(task["data"][SAMPLE] in self.present for task in tasks):
                return True
        return False

    def _is_annotated(self, task_id: int) -> bool:
        task = self.client.call("GET", f"/api/tasks/{task_id}/")
        return bool(task.get("total_annotations") or task.get("cancelled_annotations") or task.get("drafts"))
