"""How a loop's batches go out for labelling and come back: through Label Studio, the App, or a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..datasets.group_views import open_samples, save_open_view
from ..datasets.labeling_batches import (
    BATCH_FIELD,
    STATE_FIELD,
    Batch,
    LabelingState,
    load_batch,
    mark_samples,
    read_plain_labels,
    save_batch,
)
from ..datasets.loops import find_loop
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..progress import Progress
from .loop_members import file_hashes
from .loop_settings import LoopSettings
from .loop_state import BatchProgress, LoopState, batch_numbers

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
    client: LabelStudioClient | None,
    progress: Progress,
) -> None:
    """Send samples out for labelling as one batch, best first; those that are labelled already are back at once.

    Args:
        view: The collection.
        settings: Of the loop; `label_field` is set.
        name: Of the batch.
        ids: Sample ids, best first.
        purpose: "training", or "evaluation": then nobody is to see a prediction.
        client: Of Label Studio, where the loop labels there.
        progress: Told along the way.
    """
    field = str(settings.label_field)
    paths = dict(zip(*view.select(list(ids)).values(["id", "filepath"]), strict=True))
    ids = [key for key in ids if key in paths]
    labels = read_plain_labels(view, ids, field)
    batch = Batch(
        name=name,
        sample_ids=tuple(ids),
        hashes=tuple(file_hashes([paths[key] for key in ids])),
        labels_before=tuple({field: label} for label in labels),
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


def bring_back(view: Collection, state: LoopState, progress: Progress) -> None:
    """Take notice of what was labelled in the App: such samples are back."""
    for name in batch_numbers(view, state.loop.name):
        mark_batch(view, name, state.settings)


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
