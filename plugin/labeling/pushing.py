"""Push mode: predictions are written into Label Studio over its API, so that Label Studio itself calls nobody.

A pass goes through all tasks in order and predicts those without a prediction of the served version. What it needs to
know it reads from Label Studio, so that a pass that was killed is simply run again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..progress import Progress
from .attachment import set_fields, wanted_sampling
from .attachment_report import ChangeLog
from .client import LabelStudioClient
from .predictions import is_importable

# A chunk is one request; Label Studio on SQLite stores a thousand predictions in 2 s, and is locked meanwhile.
CHUNK = 200
# What `Classifier.version` looks like: predictions of other models are never deleted.
_OWN_VERSION = re.compile(r"[0-9a-f]{12}")

# n tasks -> n entries: a prediction, or an empty list for a task without one
Predict = Callable[[Sequence[dict[str, Any]]], Sequence[dict[str, Any] | list[Any]]]


@dataclass
class PushReport:
    """What one pass through a project did.

    Attributes:
        project_id: The project.
        version: Of the predictions.
        tasks: Tasks in the project.
        pushed: Predictions that were stored.
        present: Tasks that had a prediction of the version before.
        unpredicted: Tasks that could not be predicted.
        dropped: Predictions that Label Studio did not store, for which it gives no reason.
        doubled: Second predictions of a task by the same version, left by a pass that was killed, and deleted now.
        changes: What was set in the project, one sentence each.
        notes: What was left as it is, and why; of images that could not be used the first ones.
    """

    project_id: int
    version: str
    tasks: int = 0
    pushed: int = 0
    present: int = 0
    unpredicted: int = 0
    dropped: int = 0
    doubled: int = 0
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return the outcome as plain JSON."""
        return {
            "project": self.project_id,
            "model_version": self.version,
            "tasks": self.tasks,
            "pushed": self.pushed,
            "present": self.present,
            "unpredicted": self.unpredicted,
            "dropped": self.dropped,
            "doubled": self.doubled,
            "changes": list(self.changes),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return the outcome as a few lines of markdown."""
        lines = [
            f"Project {self.project_id}, version {self.version}: {self.pushed} of {self.tasks} task(s) predicted now, "
            f"{self.present} before, {self.unpredicted} not at all"
        ]
        if self.dropped:
            lines.append(
                f"Label Studio did not store {self.dropped} prediction(s); its labeling config may have changed"
            )
        if self.doubled:
            lines.append(f"{self.doubled} doubled prediction(s) deleted")
        return "\n".join(
            [*lines, *(f"- {change}" for change in self.changes), *(f"Note: {note}" for note in self.notes)]
        )


def push_predictions(
    client: LabelStudioClient,
    project_id: int,
    version: str,
    predict: Predict,
    *,
    on_task: Callable[[dict[str, Any]], None] = lambda task: None,
    progress: Progress | None = None,
    force_sampling: bool = False,
    delete_old: bool = False,
    chunk: int = CHUNK,
) -> PushReport:
    """Go through a project once, and make the version the one that it goes by.

    Args:
        client: Of the Label Studio.
        project_id: The project.
        version: Of what `predict` returns.
        predict: Predicts some tasks; called with at most `chunk`.
        on_task: Told each task, with its annotations, before it is predicted.
        progress: Told how many tasks are done.
        force_sampling: See `attachment.attach`.
        delete_old: Delete the predictions of Winnow's earlier versions at the end.
        chunk: Tasks that are predicted and stored together.

    Raises:
        LabelStudioError: Label Studio refuses something, or does not answer; what was pushed stays.
    """
    report = PushReport(project_id, version)
    project = client.project(project_id)
    total = int(project.get("task_number") or 0)
    coming = client.tasks(project_id)
    while tasks := list(islice(coming, chunk)):
        for task in tasks:
            on_task(task)
        waiting = [task for task in tasks if not _is_present(client, task, version, report)]
        report.tasks += len(tasks)
        report.present += len(tasks) - len(waiting)
        _push(client, project_id, waiting, predict, report)
        if progress is not None:
            progress("predict", report.tasks, max(total, report.tasks))
    _make_current(client, project, version, report, force_sampling)
    if delete_old:
        for old in client.model_versions(project_id):
            if old != version and _OWN_VERSION.fullmatch(old):
                client.delete_predictions(project_id, old)
                report.changes.append(f"predictions of version {old}: deleted")
    return report


class AnnotationWatch:
    """Turns what is read of a project into the events that a webhook would have sent, so that learning is told alike.

    Args:
        project_id: The project.
        take: Keeps an event, and knows those that it has kept before.
    """

    def __init__(self, project_id: int, take: Callable[[dict[str, Any]], object]) -> None:
        self._project = project_id
        self._take = take
        self._before: set[int] = set()
        self._now: set[int] = set()

    def see(self, task: Mapping[str, Any]) -> None:
        """Look at the annotations of one task."""
        for annotation in task.get("annotations") or []:
            self._now.add(int(annotation["id"]))
            # Only what changes when the annotation does: the event is known again by its content.
            kept = {name: annotation.get(name) for name in ("id", "updated_at", "was_cancelled")}
            self._take({"action": "ANNOTATION_CREATED", "project": {"id": self._project}, "annotation": kept})

    def end_pass(self) -> None:
        """Tell which annotations of the pass before are gone."""
        gone = sorted(self._before - self._now)
        if gone:
            annotations = [{"id": each} for each in gone]
            self._take({"action": "ANNOTATIONS_DELETED", "project": {"id": self._project}, "annotations": annotations})
        self._before, self._now = self._now, set()


def _is_present(client: LabelStudioClient, task: dict[str, Any], version: str, report: PushReport) -> bool:
    """Tell whether a task has its prediction, and delete all but one of them.

    A pass that is killed while Label Studio stores a chunk can't know, and the next one may come before it is stored.
    """
    own = sorted(each["id"] for each in task.get("predictions") or [] if each.get("model_version") == version)
    for doubled in own[1:]:
        client.delete_prediction(doubled)
        report.doubled += 1
    return bool(own)


def _push(
    client: LabelStudioClient, project_id: int, tasks: Sequence[dict[str, Any]], predict: Predict, report: PushReport
) -> None:
    if not tasks:
        return
    entries = predict(tasks)
    found = [
        {"task": task["id"], **entry} for task, entry in zip(tasks, entries, strict=True) if isinstance(entry, dict)
    ]
    report.unpredicted += len(tasks) - len(found)
    stored = store_predictions(client, project_id, found)
    report.pushed += stored
    report.dropped += len(found) - stored


def store_predictions(client: LabelStudioClient, project_id: int, predictions: Sequence[dict[str, Any]]) -> int:
    """Store predictions, each with its `task`, and return how many Label Studio kept: it drops bad ones silently.

    Its bulk import knows no nested Choices (1.23), so that these go one by one, some four a second.
    """
    importable = [each for each in predictions if is_importable(each)]
    stored = client.import_predictions(project_id, importable) if importable else 0
    for prediction in predictions:
        if not is_importable(prediction):
            client.create_prediction(prediction)
            stored += 1
    return stored


def _make_current(
    client: LabelStudioClient, project: dict[str, Any], version: str, report: PushReport, force_sampling: bool
) -> None:
    """Have the project go by the version, which Label Studio takes once there is a prediction of it."""
    if not report.pushed + report.present:
        return
    log = ChangeLog(dry_run=False)
    wanted = {
        "show_collab_predictions": True,
        "model_version": version,
        **wanted_sampling(project, force_sampling, log),
    }
    set_fields(client, client.project(project["id"]), wanted, log, None)
    report.changes += log.changes
    report.notes += log.notes
