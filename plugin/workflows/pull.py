"""Bring labels back from Label Studio, from a file that it exported, or from a table of labels."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..datasets.action_log import Done, chunks
from ..datasets.annotated_labels import known_classes
from ..datasets.bringing_back import bring_back, read_back
from ..datasets.labeling_batches import BATCH_FIELD, STATE_FIELD, BatchEntry, LabelingState, list_batches
from ..datasets.multi_labels import multi_label_fields
from ..datasets.samples import label_fields
from ..datasets.views import Collection, dataset_of, every_image
from ..errors import DataError
from ..home import winnow_home
from ..labeling.agreement import agreement_by_annotator, agreement_of
from ..labeling.annotator_names import AnnotatorNames, Naming, pseudonym_key
from ..labeling.asked import Asked
from ..labeling.client import LabelStudioClient
from ..labeling.exported import Task
from ..labeling.reconciling import Conflicts
from ..labeling.task_answers import Ties
from ..labeling.task_identity import identity
from ..progress import Progress, silent
from ..vision.file_hashes import file_hashes
from .pull_batches import SentBatches
from .pull_fields import AskedControls, parse_fields
from .pull_plan import Decided, Plan, Returned, Rules, accept, decide, refuse_changed_file
from .pull_report import AskedAgreement, PullReport, new_classes_note
from .pull_sources import Source, from_file, from_projects
from .review_labels import user_name

_CHUNK = 2_000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_VIEW_MARK = "Made by Winnow: images on which annotators disagree"
GONE = ("keep", "remove")


@dataclass(frozen=True)
class PullParams:
    """Settings of `pull_from_label_studio`.

    Attributes:
        project: Number of the project in Label Studio; 0 = those that the dataset's batches were sent to.
        batch: Name of the one batch to bring back; None = all.
        file: An export of Label Studio (JSON, JSON-MIN, CSV) or a table of labels, in place of a server.
        labeling_config: The project's labeling config (XML), beside an export: says what aliases stand for.
        fields: Where answers go, each as "CONTROL=FIELD", or "FIELD" where there is one control; () = as the batch
            says.
        conflicts: What becomes of labels that were changed here meanwhile: "show" (they stay, and are told), "keep"
            (they stay for good), "theirs" (annotators are right).
        gone: What becomes of what was deleted in Label Studio: "keep" (labels stay), "remove" (labels go back to what
            they were, and the images can be sent again).
        ties: Without a majority, an image stays "open" (for one more person), or the "latest" answer holds.
        partial: Take the answers of images that wait for further annotators.
        annotators: How they are called: by "number", "name" or "pseudonym".
        adjudicate: Name of a saved view for the images on which annotators disagree.
        label_delimiter: What separates several labels in a cell of a table.
    """

    project: int = 0
    batch: str | None = None
    file: Path | str | None = None
    labeling_config: Path | str | None = None
    fields: tuple[str, ...] = ()
    conflicts: str = Conflicts.SHOW
    gone: str = "keep"
    ties: str = Ties.OPEN
    partial: bool = False
    annotators: str = Naming.NUMBER
    adjudicate: str | None = None
    label_delimiter: str | None = None

    def __post_init__(self) -> None:
        choices = {"conflicts": tuple(Conflicts), "gone": GONE, "ties": tuple(Ties), "annotators": tuple(Naming)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                words = ", ".join(map(str, allowed))
                raise DataError(f"{name} must be one of {words}, got '{getattr(self, name)}'")


def pull_from_label_studio(
    view: Collection,
    params: PullParams = PullParams(),
    client: LabelStudioClient | None = None,
    progress: Progress = silent,
) -> PullReport:
    """Bring labels back; only submitted annotations, each to the sample that its task names, and nothing twice.

    Args:
        view: A dataset, or a view: samples outside of it are left alone.
        params: Settings.
        client: Of Label Studio; not needed for a file.
        progress: Told of each hundred tasks.

    Raises:
        DataError: Nothing was sent there, there is no such batch, or the file is no export and no table of labels.
        FieldError: A field can't hold the labels.
        LabelStudioError, LabelingConfigError: See `labeling`.
    """
    entries = _entries(view, params)
    job = _Pull(view, params, SentBatches(view, entries), AskedControls(view, entries, parse_fields(params.fields)))
    names: list[str] = []
    notes: list[str] = []
    rules = _rules(params, client)
    for source in _sources(view, params, entries, job.asked.names(), client, progress):
        names.append(source.name)
        notes += source.notes
        job.take(source, rules, progress)
        if source.is_whole and client is not None:
            job.take_missing(source, client, rules, progress)
    new_classes = list(_new_classes(view, job.plan))
    where = ", ".join(names)
    done = (
        bring_back(view, job.plan.changes, job.asked.several, by=user_name(), source=where) if names else Done(None, 0)
    )
    return PullReport(
        dataset=dataset_of(view).name,
        source=where,
        action=done.key,
        counts=job.plan.counts,
        by_class=sum(job.plan.by_class.values(), Counter()),
        clashes=tuple(job.plan.clashes),
        agreement=_agreement(job.plan, job.asked.all),
        notes=(*notes, *new_classes, *job.asked.notes),
        adjudication=_save_adjudication(view, params) if job.plan.counts.disagreements else None,
    )


class _Pull:
    """Goes through sources, and gathers in a plan what becomes of each sample."""

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
            tasks=own,
            asked=self.asked.of(source, batch),
            before=self._sent.before(batch, key),
            annotators=self._sent.annotators(batch),
            is_sent=batch in self._sent,
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


def _entries(view: Collection, params: PullParams) -> list[BatchEntry]:
    """Return the batches that are brought back.

    Raises:
        DataError: There is none of that name.
    """
    entries = list_batches(view)
    if params.batch is None:
        return entries
    if chosen := [entry for entry in entries if entry.name == params.batch]:
        return chosen
    known = ", ".join(entry.name for entry in entries) or "none"
    raise DataError(f"dataset '{dataset_of(view).name}' has no batch '{params.batch}'; its batches are: {known}.")


def _sources(
    view: Collection,
    params: PullParams,
    entries: Sequence[BatchEntry],
    controls: set[str],
    client: LabelStudioClient | None,
    progress: Progress,
) -> Iterator[Source]:
    if params.file is not None:
        config = Path(params.labeling_config) if params.labeling_config else None
        yield from_file(view, Path(params.file), config, controls, params.label_delimiter)
    elif client is None:
        raise DataError("name a file with labels, or set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.")
    else:
        yield from from_projects(client, entries, params.project, progress)


def _rules(params: PullParams, client: LabelStudioClient | None) -> Rules:
    naming = Naming(params.annotators)
    users = client.users() if naming is Naming.NAME and client is not None and params.file is None else ()
    key = pseudonym_key(winnow_home() / "label-studio" / "pseudonyms.key") if naming is Naming.PSEUDONYM else b""
    names = AnnotatorNames(naming, users=users, key=key)
    return Rules(Conflicts(params.conflicts), Ties(params.ties), params.partial, params.gone == "remove", names)


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


def _new_classes(view: Collection, plan: Plan) -> Iterator[str]:
    """Yield what to know of classes that a field did not have before."""
    for name, counts in plan.by_class.items():
        known = set(known_classes(view, name))
        if known and (new := sorted(set(counts) - known)):
            yield new_classes_note(name, new)


def _agreement(plan: Plan, asked: Mapping[tuple[str, str], Asked]) -> tuple[AskedAgreement, ...]:
    found = []
    for (control, name), votes in plan.votes.items():
        of = asked[(control, name)].control
        overall = agreement_of([list(task.values()) for task in votes], of)
        found.append(AskedAgreement(control, name, overall, agreement_by_annotator(votes, of)))
    return tuple(found)


def _save_adjudication(view: Collection, params: PullParams) -> str | None:
    """Save the images on which annotators disagree as a view, which follows what becomes of them.

    Raises:
        DataError: The user has a saved view of that name.
    """
    name, dataset = params.adjudicate, dataset_of(view)
    if name is None:
        return None
    if dataset.has_saved_view(name) and dataset.get_saved_view_info(name)["description"] != _VIEW_MARK:
        raise DataError(f"dataset '{dataset.name}' has a saved view '{name}' of yours. Name another with --adjudicate.")
    open_ones = every_image(dataset).match({STATE_FIELD: str(LabelingState.DISAGREEMENT)})
    if params.batch is not None:
        open_ones = open_ones.match({BATCH_FIELD: params.batch})
    dataset.save_view(name, open_ones.view(), description=_VIEW_MARK, overwrite=True)
    return name
