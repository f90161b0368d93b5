"""How a loop's batches go out for labelling and come back: through Label Studio, the App, or a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from ..datasets.group_views import open_samples, save_open_view
from ..datasets.labeling_batches import (
    BATCH_FIELD,
    STATE_FIELD,
    Batch,
    LabelingState,
    list_batches,
    load_batch,
    mark_samples,
    read_plain_labels,
    save_batch,
)
from ..datasets.loops import find_loop, prediction_field
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..labeling.image_delivery import Way
from ..progress import Progress
from ..vision.file_hashes import file_hashes
from .loop_settings import LabelFile, LoopSettings
from .loop_state import BatchProgress, LoopState, batch_numbers
from .pull import pull_from_label_studio
from .pull_params import PullParams
from .pull_report import PullReport
from .send import send_to_label_studio
from .send_params import SendParams
from .send_report import SendReport
from .wording import counted

if TYPE_CHECKING:
    from ..labeling.client import LabelStudioClient

RANK_FIELD = "selection_rank"
EVALUATION, TRAINING = "evaluation", "training"
_CONTROL = "label"


def need_client(settings: LoopSettings, client: LabelStudioClient | None) -> None:
    """Make sure that Label Studio can be reached where the loop labels there.

    Raises:
        DataError: It can't.
    """
    if settings.label_studio and client is None:
        raise DataError(
            "this loop labels in Label Studio, whose address and token are not set. Set LABEL_STUDIO_URL and "
            "LABEL_STUDIO_API_KEY, or go on without it: label_studio=False (--no-label-studio)."
        )


def send_out(
    view: Collection,
    settings: LoopSettings,
    name: str,
    ids: Sequence[str],
    *,
    purpose: str,
    predictions: str | None = None,
    client: LabelStudioClient | None,
    progress: Progress,
) -> list[str]:
    """Send samples out for labelling as one batch, best first; those that are labelled already are back at once.

    Args:
        view: The collection.
        settings: Of the loop; `label_field` is set.
        name: Of the batch.
        ids: Sample ids, best first.
        purpose: "training", or "evaluation": then nobody is to see a prediction.
        predictions: Field of predictions that annotators get to see.
        client: Of Label Studio, where the loop labels there.
        progress: Told along the way.

    Returns:
        What a user should know of it.
    """
    labels = read_plain_labels(view, ids, str(settings.label_field))
    unlabelled = [key for key, label in zip(ids, labels, strict=True) if label is None]
    if not settings.label_studio or client is None or not unlabelled:
        _put_out(view, settings, name, ids, purpose)
        return []
    params = SendParams(
        project=settings.project,
        label_field=settings.label_field,
        classes=settings.classes,
        multiple=settings.several,
        images=cast(Way, settings.images),
        document_root=settings.document_root,
        annotators=settings.annotators,
        purpose=purpose,
        batch=name,
        prediction_field=predictions,
        blind_share=settings.blind_share if predictions else 0.0,
    )
    return _told(send_to_label_studio(view.select(unlabelled), params, client, progress))


def finish_sending(
    view: Collection, settings: LoopSettings, name: str, client: LabelStudioClient | None, progress: Progress
) -> list[str]:
    """Send the rest of a loop's batches whose sending was cut off; return what a user should know of it."""
    told = []
    own = batch_numbers(view, name)
    for entry in list_batches(view):
        if client is not None and entry.name in own and not entry.is_complete and entry.url == client.base_url:
            predicted = prediction_field(name)
            params = SendParams(
                project=entry.project_id or None,
                purpose=entry.purpose,
                batch=entry.name,
                prediction_field=predicted if settings.pre_annotate and view.has_field(predicted) else None,
                images=cast(Way, settings.images),
                document_root=settings.document_root,
                annotators=entry.annotators,
            )
            told += _told(send_to_label_studio(view, params, client, progress))
    return told


def _told(report: SendReport) -> list[str]:
    where = f"{counted(report.sent, 'image')} of batch `{report.batch}` went to project '{report.title}' ({report.url})"
    failed = [f"{counted(len(report.failures), 'image')} of it could not be sent"] if report.failures else []
    return [where, *report.notes, *failed]


def _put_out(view: Collection, settings: LoopSettings, name: str, ids: Sequence[str], purpose: str) -> None:
    """Put samples out for labelling without Label Studio."""
    field = str(settings.label_field)
    paths = dict(zip(*view.select(list(ids)).values(["id", "filepath"]), strict=True))
    ids = [key for key in ids if key in paths]
    batch = Batch(
        name=name,
        sample_ids=tuple(ids),
        hashes=tuple(found or "" for found in file_hashes([paths[key] for key in ids])),
        labels_before=tuple({field: label} for label in read_plain_labels(view, ids, field)),
        task_ids=(0,) * len(ids),
        blind=(purpose == EVALUATION,) * len(ids),
        fields={_CONTROL: field},
        purpose=purpose,
    )
    save_batch(view, batch)
    mark_batch(view, name, settings)


def mark_batch(view: Collection, name: str, settings: LoopSettings) -> None:
    """Mark the samples of a batch as out, or as back where they are labelled; what is marked otherwise stays so."""
    batch = load_batch(view, name)
    labels = read_plain_labels(view, batch.sample_ids, str(settings.label_field))
    held = _marks(view, batch.sample_ids)
    changed: dict[LabelingState, list[str]] = {LabelingState.OUT: [], LabelingState.BACK: []}
    for key, label in zip(batch.sample_ids, labels, strict=True):
        wanted = LabelingState.OUT if label is None else LabelingState.BACK
        state, owner = held.get(key, (None, ""))  # a sample that is gone has no mark
        if owner in (None, name) and state in (None, *changed) and (state, owner) != (wanted, name):
            changed[wanted].append(key)
    for wanted, keys in changed.items():
        if keys:
            mark_samples(view, keys, wanted, name)


def bring_back(
    view: Collection, state: LoopState, labels: LabelFile | None, client: LabelStudioClient | None, progress: Progress
) -> list[str]:
    """Take notice of what was labelled: in Label Studio, in a file, and in the App.

    Args:
        view: The collection.
        state: Of the loop.
        labels: A file with labels.
        client: Of Label Studio, where the loop labels there.
        progress: Told along the way.

    Returns:
        What a user should know of it.
    """
    told = []
    sent = [batch for batch in state.all_batches if client is not None and batch.url == client.base_url]
    if client is not None and sent and state.settings.label_studio:
        told += _brought(pull_from_label_studio(view, PullParams(), client, progress))
    if labels is not None:
        params = PullParams(
            file=labels.path, fields=(str(state.settings.label_field),), label_delimiter=labels.label_delimiter
        )
        told += _brought(pull_from_label_studio(view, params, None, progress))
    for batch in state.all_batches:
        mark_batch(view, batch.name, state.settings)
    return told


def _brought(report: PullReport) -> list[str]:
    counts = report.counts
    new = counts.labelled + counts.changed
    told = [f"{counted(new, 'label')} came back from {report.source}"] if new else []
    for count, what in (
        (counts.conflicts, "changed here meanwhile: theirs were not written (state `conflict`)"),
        (counts.disagreements, "on which annotators disagree (state `disagreement`)"),
        (counts.changed_files, "whose file changed since it was sent: their labels were not written"),
    ):
        told += [f"{counted(count, 'image')} {what}"] if count else []
    return [*told, *report.notes]


def renew_views(view: Collection, state: LoopState) -> list[str]:
    """Save what is still to be labelled as views of the App; return why one could not be saved."""
    notes = []
    for what, batch in open_batches(state).items():
        shown, field = view_name(state.loop.name, what), str(state.settings.label_field)
        note = save_open_view(view, shown, {BATCH_FIELD: batch.name}, field, RANK_FIELD)
        notes += [note] if note else []
    return notes


def open_batches(state: LoopState) -> dict[str, BatchProgress]:
    """Return the batches that are labelled at the moment: what they are for -> the batch."""
    held = {EVALUATION: state.evaluation, TRAINING: state.batches.get(state.number)}
    return {what: batch for what, batch in held.items() if batch is not None}


def view_name(loop: str, what: str) -> str:
    """Return the name of the App's view of what is to be labelled."""
    return f"{loop}: label to {'measure' if what == EVALUATION else 'train'}"


def view_to_label(view: Collection, name: str, what: str) -> Collection | None:
    """Return what is still to be labelled of a loop, best first; None where nothing of it went out.

    Args:
        view: Any collection of the dataset.
        name: Of the loop.
        what: "evaluation", or "training": of the last round.
    """
    loop = find_loop(view, name)
    numbers = [] if loop is None else sorted(batch_numbers(view, name).items(), key=lambda item: item[1])
    wanted = [batch for batch, number in numbers if (number < 0) == (what == EVALUATION)]
    if loop is None or not wanted:
        return None
    return open_samples(view, {BATCH_FIELD: wanted[-1]}, str(loop.settings["label_field"]), RANK_FIELD)


def _marks(view: Collection, ids: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
    """Return sample id -> state and batch, of those that exist."""
    found = view.select(list(ids))
    if dataset_of(view).get_field(BATCH_FIELD) is None:
        return {key: (None, None) for key in found.values("id")}
    keys, states, batches = found.values(["id", STATE_FIELD, BATCH_FIELD])
    return dict(zip(keys, zip(states, batches, strict=True), strict=True))
