"""Goes through what came back, and gathers what becomes of each sample."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..datasets.action_log import chunks
from ..datasets.bringing_back import read_back
from ..datasets.labeling_batches import BATCH_FIELD, STATE_FIELD
from ..datasets.multi_labels import multi_label_fields
from ..datasets.samples import label_fields
from ..datasets.views import Collection, dataset_of, every_image
from ..labeling.client import LabelStudioClient
from ..labeling.exported import Task
from ..labeling.reconciling import Conflicts
from ..labeling.task_identity import identity
from ..progress import Progress
from ..vision.file_hashes import file_hashes
from .pull_batches import SentBatches
from .pull_fields import AskedControls
from .pull_params import PullParams
from .pull_plan import Decided, Plan, Returned, Rules, accept, decide, refuse_changed_file
from .pull_sources import Source

_CHUNK = 2_000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Gathering:
    """Goes through sources.

    Args:
        view: A dataset, or a view: samples outside of it are left alone.
        params: Settings.
        sent: The batches that are brought back.
        asked: Finds out which answers go where.

    Attributes:
        plan: What becomes of the samples.
    """

    def __init__(self, view: Collection, params: PullParams, sent: SentBatches, asked: AskedControls) -> None:
        self._view, self._params, self._sent = view, params, sent
        self.asked, self.plan = asked, Plan()
        self._images = every_image(view)
        # Which of them answers go to is another thing for each batch.
        self._label_fields = [*label_fields(dataset_of(view)), *multi_label_fields(dataset_of(view))]

    def take(self, source: Source, rules: Rules, progress: Progress) -> None:
        """Plan what becomes of the samples that tasks name."""
        tasks: defaultdict[str, list[Task]] = defaultdict(list)
        for task in source.tasks:
            found = identity(task["data"])
            if found is None:
                self.plan.counts.foreign += 1
            else:
                tasks[found.sample_id].append(task)
        seen = 0
        for chunk in chunks(read_back(self._view, list(tasks), self._label_fields), _CHUNK):
            decided = [
                decide(returned, rules, self.plan)
                for key, held in chunk
                if (returned := self._returned(source, key, held, tasks[key])) is not None
            ]
            self._check_files(decided, tasks, rules)
            for each in decided:
                accept(each, self.plan)
            for key, _ in chunk:
                tasks.pop(key)
            seen += len(chunk)
            progress("comparing labels", seen, seen + len(tasks))
        self._count_absent(tasks)

    def take_missing(self, source: Source, client: LabelStudioClient, rules: Rules, progress: Progress) -> None:
        """Plan what becomes of the samples whose task was deleted in Label Studio."""
        there = _samples_of(source.tasks)
        gone = {key: batch for batch, key in self._sent.imported(source.project, client.base_url) if key not in there}
        if gone and rules.remove:
            # Somebody who deletes tasks while pages are read makes one of them skip some.
            there = _samples_of(client.tasks(source.project))
            gone = {key: batch for key, batch in gone.items() if key not in there}
        for key, held in read_back(self._view, list(gone), self._label_fields):
            if (
                held.get(BATCH_FIELD) == gone[key]
                and held.get(STATE_FIELD) is not None
                and key not in self.plan.changes
            ):
                returned = self._returned(source, key, held, [])
                if returned is not None:
                    accept(decide(returned, rules, self.plan), self.plan)
        self.plan.counts.deleted_samples += len(gone) - len(self._existing(list(gone)))

    def _returned(self, source: Source, key: str, held: dict[str, Any], tasks: list[Task]) -> Returned | None:
        """Return a sample with the tasks of its batch; None where only an earlier batch, or another one, has some."""
        batch = held.get(BATCH_FIELD)
        if self._params.batch is not None and batch != self._params.batch:
            return None
        own = [task for task in tasks if _belongs(task, batch)]
        if tasks and not own:
            self.plan.counts.superseded += 1
            return None
        if key in self.plan.changes:
            return None
        return Returned(
            id=key,
            held=held,
            batch=batch,
            tasks=own,
            asked=self.asked.of(source, batch),
            before=self._sent.before(batch, key),
            annotators=self._sent.annotators(batch),
            is_sent=batch in self._sent,
            is_latest=source.is_whole,
        )

    def _check_files(self, decided: Sequence[Decided], tasks: Mapping[str, list[Task]], rules: Rules) -> None:
        """Compare the files of samples that would get labels with the files that were annotated."""
        checked = [(each, sha) for each in decided if each.labels and (sha := _sha256(each.sample.tasks))]
        hashes = file_hashes([str(each.sample.held["filepath"]) for each, _ in checked])
        for (each, sha), found in zip(checked, hashes, strict=True):
            if found is None:
                self.plan.counts.unchecked_files += 1
            elif found != sha and rules.conflicts is not Conflicts.THEIRS:
                refuse_changed_file(each, rules, self.plan)

    def _existing(self, ids: Sequence[str]) -> set[str]:
        """Return those samples that the dataset has."""
        return {key for chunk in chunks(ids, _CHUNK) for key in self._images.select(chunk).values("id")}

    def _count_absent(self, tasks: Mapping[str, list[Task]]) -> None:
        """Count what names samples that are deleted, outside of the view, or another dataset's."""
        there = self._existing(list(tasks))
        for key in tasks:
            if key in there:
                self.plan.counts.outside += 1
            elif self._sent.holds(key):
                self.plan.counts.deleted_samples += 1
            else:
                self.plan.counts.foreign += len(tasks[key])


def _belongs(task: Task, batch: str | None) -> bool:
    """Tell whether a task is one of a batch; a row of a table is of any."""
    found = identity(task["data"])
    return batch is None or found is None or found.batch in ("", batch)


def _samples_of(tasks: Iterable[Task]) -> set[str]:
    return {found.sample_id for task in tasks if (found := identity(task["data"])) is not None}


def _sha256(tasks: Sequence[Task]) -> str | None:
    """Return the hash of the file that was annotated; None where no task names one."""
    found = (identity(task["data"]) for task in tasks)
    return next((each.sha256.lower() for each in found if each is not None and _SHA256.fullmatch(each.sha256)), None)
