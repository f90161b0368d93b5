"""Send samples to Label Studio to be labelled, best first, each exactly once.

Before anything is imported the batch is saved on the dataset; a run that was killed is found again by it, and what
arrived by the marks in the tasks' data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ..datasets.fields import set_own_values
from ..datasets.label_kinds import kind_of
from ..datasets.labeling_batches import (
    Batch,
    LabelingState,
    delete_batch,
    mark_samples,
    new_batch_name,
    read_plain_labels,
    save_batch,
)
from ..datasets.outgoing import (
    check_plain_fields,
    living_samples,
    outgoing_samples,
    read_task_values,
)
from ..datasets.outgoing_predictions import OutgoingPrediction, read_outgoing_predictions
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..failures import Failure
from ..labeling.blind_share import is_withheld, unit_of
from ..labeling.client import LabelStudioClient
from ..labeling.labeling_project import TargetProject, settle_project
from ..labeling.outgoing_images import OutgoingImage
from ..labeling.predictions import Answer, to_prediction
from ..labeling.task_identity import SAMPLE, TaskIdentity
from ..labeling.task_import import TaskImport
from ..machine import available_cores
from ..progress import Progress, silent
from .job_rates import timed
from .send_images import delivery_of, looked
from .send_params import CHUNK, SendParams, field_of
from .send_project import choose_project, give_up_unfinished, unfinished_batch
from .send_report import SendReport
from .vectors import FAILURE_FIELD

# The tasks of one chunk, and how many predictions of theirs were stored.
_OnItsWay = tuple[list[dict[str, Any]], Future[int]]


@timed("send_to_label_studio")
def send_to_label_studio(
    view: Collection, params: SendParams, client: LabelStudioClient, progress: Progress = silent
) -> SendReport:
    """Send the samples of a view to Label Studio.

    A run that did not finish is finished first: then only its samples are sent, whatever the view shows.

    Raises:
        DataError: The view has nothing to send, or a setting does not fit.
        FieldError: A field holds something else than it should.
        LabelingConfigError: The project does not ask for the classes.
        DeliveryError: Images can't be shown in the way that was asked for.
        LabelStudioError: Label Studio refuses something, or does not answer; run it again to go on.
    """
    resumed = unfinished_batch(view, params, client.base_url)
    report = SendReport(dry_run=params.dry_run)
    ids, paths = _samples(view, params, resumed, report)
    if not ids:
        return report
    check_plain_fields(view, data_fields(params))
    project, fields, notes = choose_project(view, params, client, resumed)
    report.notes += notes
    report.project_id, report.title, report.is_new, report.fields = project.id, project.title, project.is_new, fields
    report.url = f"{client.base_url}/projects/{project.id}/data" if project.id else ""
    _check_keys(params, project)
    if params.dry_run:
        _tell_settings(client, project, params, report)
        return report
    batch = resumed or _new_batch(view, params, client, project, fields, ids)
    report.batch = batch.name
    save_batch(view, batch)
    sending = _Sending(view, params, client, project, batch, dict(zip(ids, paths, strict=True)), report)
    sending.run(progress, is_resumed=resumed is not None)
    if params.again:
        give_up_unfinished(view, client.base_url)
    return report


class _Sending:
    """One batch on its way; see `send_to_label_studio`."""

    def __init__(
        self,
        view: Collection,
        params: SendParams,
        client: LabelStudioClient,
        project: TargetProject,
        batch: Batch,
        paths: dict[str, str],
        report: SendReport,
    ) -> None:
        self._view, self._params, self._client, self._project = view, params, client, project
        self._batch, self._paths, self._report = batch, paths, report
        self._import = TaskImport(client, project.id, batch.name)
        self._delivery = delivery_of(params, client, project, view, paths)
        self._written = dict(zip(project.questions[0].classes, project.mappings[0].written, strict=True))
        self._first: tuple[int, dict[str, Any]] | None = None
        self._versions: dict[str, int] = {}
        self._sent_predictions = 0

    def run(self, progress: Progress, *, is_resumed: bool) -> None:
        """Send what is not there yet, and note what became of it."""
        report = self._report
        self._import.look()
        ids = [key for key in self._batch.sample_ids if key in self._paths]
        waiting = [key for key in ids if key not in self._import.present]
        report.present = len(ids) - len(waiting)
        before = self._client.model_versions(self._project.id) if self._params.prediction_field else {}
        try:
            if waiting:
                self._delivery.prepare([self._paths[key] for key in waiting])
            mark_samples(self._view, [key for key in ids if key in self._import.present], LabelingState.OUT, self._name)
            self._send(waiting, len(ids), progress)
            if is_resumed:
                report.doubled = len(self._import.drop_doubles())
        finally:
            self._save()
        self._conclude(before)

    @property
    def _name(self) -> str:
        return self._batch.name

    def _looked_at(self, ids: Sequence[str]) -> Iterator[tuple[list[str], dict[str, OutgoingImage | str]]]:
        """Yield the samples in chunks with their images, or why these can't be used; the next chunk is read ahead."""
        chunks = [list(ids[start : start + CHUNK]) for start in range(0, len(ids), CHUNK)]
        with ThreadPoolExecutor(available_cores(), thread_name_prefix="send") as pool:
            try:
                ahead: deque[list[Future[OutgoingImage | str]]] = deque()
                for number, chunk in enumerate(chunks):
                    for coming in chunks[number + len(ahead) : number + 2]:
                        ahead.append([pool.submit(looked, self._delivery, self._paths[key]) for key in coming])
                    results = [future.result() for future in ahead.popleft()]
                    yield chunk, dict(zip(chunk, results, strict=True))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _send(self, waiting: Sequence[str], total: int, progress: Progress) -> None:
        """Import what waits, chunk by chunk: while Label Studio stores one, the next one is made ready."""
        done = total - len(waiting)
        with ThreadPoolExecutor(1, thread_name_prefix="import") as importer:
            on_its_way: _OnItsWay | None = None
            for chunk, images in self._looked_at(waiting):
                if self._delivery.uploads:  # they would meet a database that the import has locked
                    self._arrived(on_its_way)
                    on_its_way = None
                tasks, before = self._ready(chunk, images), on_its_way
                if before is not None:
                    before[1].result()
                on_its_way = tasks, importer.submit(self._import.send, tasks)
                self._arrived(before)
                done += len(chunk)
                progress("send", done, total)
            self._arrived(on_its_way)

    def _arrived(self, on_its_way: _OnItsWay | None) -> None:
        """Wait until a chunk is stored, and note it on its samples."""
        if on_its_way is None or not on_its_way[0]:
            return
        tasks, stored = on_its_way
        self._report.predictions += stored.result()
        self._report.sent += len(tasks)
        if self._first is None:
            self._first = (self._import.present[tasks[0]["data"][SAMPLE]].task_id, tasks[0]["data"])
        mark_samples(self._view, [task["data"][SAMPLE] for task in tasks], LabelingState.OUT, self._name)

    def _ready(self, ids: Sequence[str], images: dict[str, OutgoingImage | str]) -> list[dict[str, Any]]:
        """Return the tasks of a chunk, their images being where annotators can see them."""
        unreadable = {key: reason for key in ids if isinstance(reason := images[key], str)}
        self._fail(unreadable)
        if unreadable:
            set_own_values(self._view, FAILURE_FIELD, list(unreadable), list(unreadable.values()), kind="str")
        readable = {key: image for key, image in images.items() if isinstance(image, OutgoingImage)}
        delivered = self._delivery.deliver(list(readable.values()))
        shown = {key: data for key, data in zip(readable, delivered, strict=True) if isinstance(data, dict)}
        self._fail({key: reason for key, reason in zip(readable, delivered, strict=True) if isinstance(reason, str)})
        return self._tasks(shown, {key: readable[key].sha256 for key in shown})

    def _tasks(self, shown: dict[str, dict[str, str]], hashes: dict[str, str]) -> list[dict[str, Any]]:
        ids = list(shown)
        values = read_task_values(self._view, ids, data_fields(self._params))
        field = self._params.prediction_field
        predictions = read_outgoing_predictions(self._view, ids, field) if field else [None] * len(ids)
        name = dataset_of(self._view).name
        tasks = []
        for key, extra, prediction in zip(ids, values, predictions, strict=True):
            own = TaskIdentity(key, name, hashes[key], self._name)
            blind = self._is_blind({**extra, **own.data()})
            self._report.blind += blind
            task: dict[str, Any] = {"data": {**extra, **shown[key], **replace(own, blind=blind).data()}}
            if not blind and prediction is not None and (filled := self._filled_in(prediction)) is not None:
                task["predictions"] = [filled]
                self._sent_predictions += 1
            tasks.append(task)
        return tasks

    def _is_blind(self, data: dict[str, Any]) -> bool:
        if self._batch.purpose == "evaluation":
            return True
        share = self._params.blind_share
        return share > 0 and is_withheld(unit_of(None, data, self._params.group_field), share)

    def _filled_in(self, prediction: OutgoingPrediction) -> dict[str, Any] | None:
        """Return a prediction as Label Studio stores it; None where the control has no choice for it."""
        chosen = tuple(self._written.get(name) for name in prediction.names)
        mapping = self._project.mappings[0]
        if None in chosen or (mapping.control.most is not None and len(chosen) > mapping.control.most):
            self._report.unwritable += 1
            return None
        version = prediction.version or self._params.model_version or str(self._params.prediction_field)
        self._versions[version] = self._versions.get(version, 0) + 1
        written = tuple(name for name in chosen if name is not None)
        return to_prediction([Answer(mapping, written, prediction.score)], version)

    def _fail(self, reasons: dict[str, str]) -> None:
        self._report.failures += [Failure(key, self._paths[key], reason) for key, reason in reasons.items()]

    def _save(self) -> None:
        """Note what is there: of the samples that failed, nothing is left in the batch."""
        failed = {failure.id for failure in self._report.failures}
        present = self._import.present
        batch = replace(
            self._batch,
            task_ids=tuple(present[key].task_id if key in present else 0 for key in self._batch.sample_ids),
            hashes=tuple(present[key].sha256 if key in present else "" for key in self._batch.sample_ids),
            blind=tuple(present[key].blind if key in present else False for key in self._batch.sample_ids),
            model_version=self._version or self._batch.model_version,
        )
        gone = failed | (set(batch.sample_ids) - self._paths.keys())
        rows = [row for row, key in enumerate(batch.sample_ids) if key in present or key not in gone]
        if rows:
            save_batch(self._view, batch.only(rows))
        else:
            delete_batch(self._view, self._name)
            self._report.batch = ""

    @property
    def _version(self) -> str:
        """The version of most predictions."""
        return max(self._versions, key=lambda name: (self._versions[name], name), default="")

    def _conclude(self, before: dict[str, int]) -> None:
        report, params = self._report, self._params
        report.ways, report.model_version = dict(self._delivery.ways), self._version
        report.notes += [*self._delivery.notes, *self._delivery.checked(self._first)]
        if len(self._versions) > 1:
            others = ", ".join(sorted(set(self._versions) - {self._version}))
            report.notes.append(
                f"predictions are of several versions; the project goes by {self._version}, not {others}"
            )
        if self._sent_predictions:
            after = self._client.model_versions(self._project.id)
            stored = sum(after.get(name, 0) - before.get(name, 0) for name in self._versions)
            report.predictions, report.dropped = stored, max(0, self._sent_predictions - stored)
        log = settle_project(
            self._client,
            self._project.id,
            annotators=self._batch.annotators,
            model_version=self._version if report.predictions else "",
            force_sampling=params.force_sampling,
        )
        report.changes += log.changes
        report.notes += log.notes


def _samples(
    view: Collection, params: SendParams, resumed: Batch | None, report: SendReport
) -> tuple[list[str], list[str]]:
    """Return ids and paths of what is to go out, best first."""
    if resumed is not None:
        ids, paths = living_samples(view, resumed.sample_ids)
        report.notes.append(
            f"batch '{resumed.name}' was not finished by an earlier run, and is finished first; run this again to send "
            "other samples"
        )
        if len(ids) < len(resumed):
            report.notes.append(f"{len(resumed) - len(ids)} of its samples were deleted meanwhile")
    else:
        field = field_of(view, params)
        if params.unsure:
            view = _unsure(view, field)
        found = outgoing_samples(view, field, everything=params.everything, again=params.again, limit=params.limit)
        ids, paths, report.elsewhere = found.ids, found.paths, found.elsewhere
        report.notes += found.notes
    report.samples = len(ids)
    return ids, paths


def _unsure(view: Collection, label_field: str) -> Collection:
    if not (ids := kind_of(view, label_field).unsure(view, label_field)):
        raise DataError(f"nobody is unsure about a label in '{label_field}' of the view.")
    return view.select(ids)


def _new_batch(
    view: Collection,
    params: SendParams,
    client: LabelStudioClient,
    project: TargetProject,
    fields: dict[str, str],
    ids: Sequence[str],
) -> Batch:
    before = [read_plain_labels(view, ids, field) for field in fields.values()]
    return Batch(
        name=params.batch or new_batch_name(view),
        sample_ids=tuple(ids),
        hashes=("",) * len(ids),
        labels_before=tuple(dict(zip(fields.values(), labels, strict=True)) for labels in zip(*before, strict=True)),
        task_ids=(0,) * len(ids),
        blind=(False,) * len(ids),
        fields=fields,
        url=client.base_url,
        project_id=project.id,
        purpose=params.purpose,
        annotators=params.annotators,
        time=datetime.now(UTC).isoformat(),
    )


def data_fields(params: SendParams) -> list[str]:
    group = [] if params.group_field is None else [params.group_field]
    return list(dict.fromkeys([*params.data_fields, *group]))


def _check_keys(params: SendParams, project: TargetProject) -> None:
    for name in data_fields(params):
        if name == project.key or name.startswith("winnow_"):
            raise DataError(f"field '{name}' can't go into tasks: its name stands for something else there. Rename it.")


def _tell_settings(client: LabelStudioClient, project: TargetProject, params: SendParams, report: SendReport) -> None:
    """Say what would be set in a project that is there."""
    if not project.id:
        return
    log = settle_project(
        client,
        project.id,
        annotators=params.annotators,
        model_version="",
        force_sampling=params.force_sampling,
        dry_run=True,
    )
    report.changes += log.changes
    report.notes += log.notes
