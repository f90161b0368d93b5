"""What a review asks for: what waits, a page at a time, and decisions that are saved, taken back and applied.

All that goes in and comes out is plain JSON, as a page in a browser has it. Kinds of queue are "labels" (flagged ones),
"duplicates", "leaks", "predictions" (labels that a model disagrees with), and "patches" (flagged ones of detections).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ..datasets.label_kinds import kind_of, known_classes
from ..datasets.outgoing import unsure_samples
from ..datasets.patches import patch_fields
from ..datasets.samples import chosen_label_field
from ..datasets.views import Collection, check_whole_images, dataset_of
from ..errors import DataError, FieldError
from .review_applying import Application, ApplicationPlan, carry_out, plan_groups, plan_labels
from .review_group_queue import GroupQueue, copies_queue, leaks_queue
from .review_groups import GroupFields
from .review_label_queue import (
    LabelQueue,
    confusion_cells,
    disputed_labels,
    flagged_labels,
    prediction_fields_of,
)
from .review_label_set_queue import LabelSetQueue
from .review_patch_queue import flagged_patches
from .review_plan import issue_fields
from .review_queue import Json, QueueState, checked_count, known_splits, read_steps
from .reviewer import user_name

LABELS, DUPLICATES, LEAKS, PREDICTIONS, PATCHES = "labels", "duplicates", "leaks", "predictions", "patches"
_TITLES = {
    LABELS: "Label issues",
    DUPLICATES: "Near-duplicates",
    LEAKS: "Leaks",
    PREDICTIONS: "Predictions",
    PATCHES: "Label issues of detections",
}
PAGE = 20

Queue: TypeAlias = LabelQueue | LabelSetQueue | GroupQueue


def start(view: Collection, prediction_field: str | None = None) -> Json:
    """Say what waits for a decision.

    Args:
        view: The collection; only what is in it is reviewed.
        prediction_field: Field of the predictions whose cells are meant; None = the first one that there is.

    Returns:
        `dataset`, `reviewer` (the user of the operating system), `queues`, `classes`, `splits`, `cells` (of the
        confusion matrix off its diagonal, the largest first), `prediction_fields`, and `unsure`, the number of labels
        that somebody is unsure about, in whatever review, and that are not out for labelling. Of each queue `kind`,
        `title`, the numbers `waiting` and `decided`, and, where there is one, `stale` (why its findings are older than
        the dataset), `run` (the operator that has to run first) and `note`; `several` says that its items are images
        that may have several labels, and `classes` what those labels may be changed to, where not to the `classes`.

    Raises:
        DataError: The view shows patches, frames or clips.
    """
    check_whole_images(view)
    fields = prediction_fields_of(view)
    field = prediction_field or next(iter(fields), None)
    kinds = [kind for kind in _TITLES if kind != PATCHES or patch_fields(view)]
    queues = [{"kind": kind, "title": _TITLES[kind], **_state(view, kind, field)} for kind in kinds]
    return {
        "dataset": dataset_of(view).name,
        "reviewer": user_name(),
        "queues": queues,
        "classes": _classes(view),
        "splits": known_splits(view, None),
        "cells": _cells(view, field),
        "prediction_fields": fields,
        "unsure": len(unsure_samples(view, issue_fields(view).labels)),
    }


def page(
    view: Collection,
    kind: str,
    *,
    after: str | None = None,
    count: int = PAGE,
    cell: Mapping[str, str] | None = None,
    prediction_field: str | None = None,
    again: bool = False,
) -> Json:
    """Return the next items of a queue: `items`, the place `next` after which to go on (None = the end), `waiting`.

    An item's `seen` says what it looked like; given back with a step, it keeps what others decided meanwhile.

    Args:
        view: The collection.
        kind: The queue.
        after: The place that the page before it gave; None = the start.
        count: Most items, up to 100.
        cell: `given` and `predicted` class, for "predictions"; None = all that disagree.
        prediction_field: As in `start`.
        again: Show those too that were decided.

    Raises:
        DataError: There is nothing to review of this kind, or no such kind or place.
    """
    return _queue(view, kind, prediction_field, cell).page(after, checked_count(count), again=again)


def save(
    view: Collection,
    kind: str,
    steps: Sequence[Mapping[str, Any]],
    *,
    session: str | None = None,
    reviewer: str | None = None,
    prediction_field: str | None = None,
) -> Json:
    """Put decisions into effect; all of a session are one action of the log, which can be undone as a whole.

    What somebody else decided is kept, unless the step's `seen` shows that the reviewer has seen it.

    Args:
        view: The collection.
        kind: The queue.
        steps: Each with the item's `key` and the `decision`: of labels "accept", "keep", "label" (with `label`, the
            class) or "unsure"; of images that may have several labels "accept", "keep" and "unsure" about all suggested
            changes, or "mark" (with `marks`, class -> one of these); of groups "mark" (with `marks`, sample id ->
            "keep" or "remove", of all its images), "apart" (no duplicates of each other), "keep all" or "unsure".
            Optional: `seen`, as the item had it.
        session: As an earlier call of the same review returned it; None = a new one begins.
        reviewer: Who decides; None = the user of the operating system.
        prediction_field: As in `start`.

    Returns:
        `session`, `saved` (number of items), and `skipped`, each with `key` and `reason`.

    Raises:
        DataError: A step is not one.
        FieldError: The labels can't be changed.
    """
    queue = _queue(view, kind, prediction_field, None)
    by = (reviewer or "").strip() or user_name()
    return queue.save(read_steps(steps, queue.WORDS), session, by).summary()


def back(
    view: Collection, kind: str, session: str, keys: Sequence[str], *, prediction_field: str | None = None
) -> Json:
    """Take back what a session decided about items, and return these as they are now.

    Raises:
        DataError: There is no such session, or it was undone as a whole.
    """
    return {"items": _queue(view, kind, prediction_field, None).back(session, keys)}


def plan(view: Collection, kind: str, way: str, *, tag: str = "", split: str = "", delete_files: bool = False) -> Json:
    """Say what `apply` would do with the same arguments, without doing it.

    Returns:
        `count` (of images), `sentence`, `notes`, and `refused`: why it can't be done, or None.
    """
    return _plan(view, kind, Application(way, tag, split, delete_files))[0].summary()


def apply(
    view: Collection,
    kind: str,
    way: str,
    *,
    tag: str = "",
    split: str = "",
    delete_files: bool = False,
    reviewer: str | None = None,
) -> Json:
    """Do something with the images of the view that are marked for removal, or whose label is unsure; it can be undone.

    Args:
        view: The collection.
        kind: The queue.
        way: "tag", "split" (move to another one) or "delete"; unsure labels can only be tagged.
        tag: The tag.
        split: The split; "" = out of every split.
        delete_files: Move the files of deleted samples into the trash below Winnow's home too.
        reviewer: Who asks for it; None = the user of the operating system.

    Returns:
        `text`, a line each for what was done, spared and failed, and `action`, the key in the log; None where nothing
        was changed.

    Raises:
        DataError: There is nothing to do, or it is refused.
        FieldError: Splits are kept where nothing can be moved.
    """
    planned, fields = _plan(view, kind, Application(way, tag, split, delete_files))
    report = carry_out(view, planned, fields, (reviewer or "").strip() or user_name())
    failed = (f"{each.path}: {each.reason}" for each in report.failures)
    return {"text": "\n".join([report.sentence, *report.notes, *failed]), "action": report.action}


def samples_of(view: Collection, kind: str, keys: Sequence[str]) -> list[str]:
    """Return the ids of the samples behind the keys of items."""
    return _queue(view, kind, None, None).samples(keys)


def _plan(view: Collection, kind: str, application: Application) -> tuple[ApplicationPlan, GroupFields | None]:
    queue = _queue(view, kind, None, None)
    if isinstance(queue, GroupQueue):
        return plan_groups(view, queue.fields, application), queue.fields
    unsure = kind_of(view, queue.label_field).unsure(view, queue.label_field)
    return plan_labels(view, queue.samples(unsure), application), None


def _state(view: Collection, kind: str, prediction_field: str | None) -> Json:
    try:
        found = _find(view, kind, prediction_field, None)
        state = found if isinstance(found, QueueState) else found.state()
    except FieldError as error:
        state = QueueState(note=str(error))
    return {
        "waiting": state.waiting,
        "decided": state.decided,
        "stale": state.stale,
        "run": state.run,
        "note": state.note,
        "several": state.several,
        "classes": None if state.classes is None else list(state.classes),
    }


def _queue(view: Collection, kind: str, prediction_field: str | None, cell: Mapping[str, str] | None) -> Queue:
    check_whole_images(view)
    found = _find(view, kind, prediction_field, cell)
    if isinstance(found, QueueState):
        raise DataError(f"there is nothing to review in '{dataset_of(view).name}': {found.note}.")
    return found


def _find(
    view: Collection, kind: str, prediction_field: str | None, cell: Mapping[str, str] | None
) -> Queue | QueueState:
    if kind == LABELS:
        return flagged_labels(view)
    if kind == PATCHES:
        return flagged_patches(view)
    if kind == DUPLICATES:
        return copies_queue(view)
    if kind == LEAKS:
        return leaks_queue(view)
    if kind == PREDICTIONS:
        return disputed_labels(view, prediction_field, cell)
    raise DataError(f"there is no review of '{kind}'. Choose from: {', '.join(_TITLES)}.")


def _classes(view: Collection) -> list[str]:
    try:
        return known_classes(view, issue_fields(view).labels or chosen_label_field(view, None))
    except FieldError:
        return []


def _cells(view: Collection, prediction_field: str | None) -> list[Json]:
    try:
        return confusion_cells(view, prediction_field) if prediction_field else []
    except FieldError:  # it is open which field holds the labels: the queue's note says so
        return []
