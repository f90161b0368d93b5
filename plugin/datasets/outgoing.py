"""Samples that are to go out for labelling: which ones, in what order, and what goes with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo

from ..errors import DataError, FieldError
from .action_log import chunks
from .label_kinds import kind_of
from .labeling_batches import BATCH_FIELD, STATE_FIELD, LabelingState
from .multi_labels import multi_label_field, multi_label_fields
from .samples import DEFAULT_LABEL_FIELD, chosen_label_field, label_fields
from .views import Collection, check_images, dataset_of, describe_field, every_image

RANK_FIELD = "selection_rank"
_LAST = float("inf")
_CHUNK = 20_000
_PLAIN = (fo.StringField, fo.IntField, fo.FloatField, fo.BooleanField, fo.DateField, fo.DateTimeField, fo.ObjectIdField)


@dataclass(frozen=True)
class OutgoingSamples:
    """n samples, best first.

    Attributes:
        ids: n sample ids.
        paths: n file paths.
        elsewhere: Batch -> how many samples of the view are out in it, and left out here.
        notes: What was left out besides, one sentence each.
    """

    ids: list[str]
    paths: list[str]
    elsewhere: dict[str, int]
    notes: tuple[str, ...]


def outgoing_samples(
    view: Collection, label_field: str, *, everything: bool = False, again: bool = False, limit: int | None = None
) -> OutgoingSamples:
    """Choose the samples of a view that go out.

    They go by `selection_rank`, those without a rank last, by id. A view is sent as it was put together. Of a whole
    dataset those go that were selected or, where none was, those without a label.

    Args:
        view: The collection.
        label_field: Where labels come back to.
        everything: Leave out nothing but what is out already.
        again: Leave out nothing but what `everything` is about: also what is out in another batch.
        limit: At most so many, the best ones.

    Raises:
        DataError: The view has no samples, or none is left.
    """
    check_images(view)
    ids, paths, ranks, labelled, states, batches = _read(view, label_field)
    rows = sorted(range(len(ids)), key=lambda row: (_LAST if ranks[row] is None else ranks[row], ids[row]))
    notes: list[str] = []
    if not everything and _is_whole(view):
        rows = _chosen(rows, ranks, labelled, label_field, notes)
    elsewhere: dict[str, int] = {}
    if not again:
        for row in rows:
            if states[row] == LabelingState.OUT:
                name = str(batches[row] or "unknown")
                elsewhere[name] = elsewhere.get(name, 0) + 1
        rows = [row for row in rows if states[row] != LabelingState.OUT]
    if limit is not None and len(rows) > limit:
        notes.append(f"the best {limit:,} of {len(rows):,} samples go out")
        rows = rows[:limit]
    return OutgoingSamples([ids[row] for row in rows], [paths[row] for row in rows], elsewhere, tuple(notes))


def count_outgoing(view: Collection, label_field: str, *, everything: bool, again: bool, limit: int | None) -> int:
    """Return how many samples `outgoing_samples` would choose, without reading them."""
    dataset, going = dataset_of(view), view
    if not everything and _is_whole(view):
        selected = view.match({RANK_FIELD: {"$ne": None}})
        is_selection = dataset.has_field(RANK_FIELD) and selected.limit(1).count()
        going = selected if is_selection else view.match({label_field: None})
    if not again:
        going = going.match({STATE_FIELD: {"$ne": str(LabelingState.OUT)}})
    count: int = going.count()
    return count if limit is None else min(count, limit)


def unsure_samples(view: Collection, label_field: str | None) -> list[str]:
    """Return the samples about whose label somebody is unsure, in whatever review, and that are not out for labelling.

    Args:
        view: The collection.
        label_field: Of one label an image or several; None = the one that is chosen where none is named. Without such a
            field there are none.
    """
    try:
        field = multi_label_field(view, label_field) or chosen_label_field(view, label_field)
    except FieldError:
        return []
    waiting = view.match({STATE_FIELD: {"$ne": str(LabelingState.OUT)}}) if view.has_field(STATE_FIELD) else view
    return kind_of(view, field).unsure(waiting, field)


def living_samples(view: Collection, ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return those of these samples that the dataset still has, in this order, and their paths."""
    paths: dict[str, str] = {}
    for chunk in chunks(ids, _CHUNK):
        paths |= dict(zip(*every_image(view).select(list(chunk)).values(["id", "filepath"]), strict=True))
    living = [key for key in ids if key in paths]
    return living, [paths[key] for key in living]


def returning_field(
    view: Collection, asked: str | None, prediction_field: str | None = None
) -> tuple[str, bool | None]:
    """Return the field that labels come back to, and whether it holds several an image; None where it is yet to be.

    Args:
        view: Any collection of the dataset.
        asked: The field that is asked for; None = the only one with labels, or `ground_truth`.
        prediction_field: A field that holds no labels but predictions.

    Raises:
        FieldError: It holds something else, or it is open which one is meant.
    """
    if asked is None:
        held = [name for name in label_fields(view) if name != prediction_field]
        several = [name for name in multi_label_fields(view) if name != prediction_field]
        if len(held) > 1 and DEFAULT_LABEL_FIELD not in held:
            raise FieldError(
                f"'{dataset_of(view).name}' has several label fields ({', '.join(held)}). Name the one that labels "
                "come back to as label field."
            )
        asked = held[0] if held else several[0] if len(several) == 1 else DEFAULT_LABEL_FIELD
    found = dataset_of(view).get_field(asked)
    if found is None:
        return asked, None
    kind = getattr(found, "document_type", None)
    if kind not in (fo.Classification, fo.Classifications):
        raise FieldError(
            f"field '{asked}' of '{dataset_of(view).name}' holds {describe_field(found)}, but labels come back as "
            "Classification or Classifications. Name another field, which is made when they do."
        )
    return asked, kind is fo.Classifications


def known_classes(view: Collection, field: str) -> tuple[str, ...]:
    """Return the classes of a label field: those that the dataset lists for it, or all that occur, sorted."""
    dataset = dataset_of(view)
    if listed := dataset.classes.get(field):
        return tuple(dict.fromkeys(str(name) for name in listed))
    found = dataset.get_field(field)
    if found is None:
        return ()
    several = getattr(found, "document_type", None) is fo.Classifications
    names = every_image(view).distinct(f"{field}.classifications.label" if several else f"{field}.label")
    return tuple(sorted(name for name in names if name))


def read_task_values(view: Collection, ids: Sequence[str], fields: Sequence[str]) -> list[dict[str, Any]]:
    """Return plain values of samples for their tasks' data, nothing where a sample has none.

    Args:
        view: Any collection of the dataset.
        ids: n sample ids.
        fields: Fields of plain values.

    Raises:
        FieldError: A field does not exist, or holds no plain value.
    """
    if not fields:
        return [{} for _ in ids]
    check_plain_fields(view, fields)
    found = every_image(view).select(list(ids)).values(["id", *fields])
    values = {
        key: {name: _json(value) for name, value in zip(fields, row, strict=True) if value is not None}
        for key, *row in zip(*found, strict=True)
    }
    return [values.get(key, {}) for key in ids]


def check_plain_fields(view: Collection, fields: Sequence[str]) -> None:
    """Make sure that fields hold plain values.

    Raises:
        FieldError: One does not exist, or holds something else.
    """
    for name in fields:
        found = dataset_of(view).get_field(name)
        if not isinstance(found, _PLAIN):
            what = "does not exist" if found is None else f"holds {describe_field(found)}"
            raise FieldError(f"field '{name}' {what}, so it can't go into tasks. Name fields of texts or numbers.")


def _read(view: Collection, label_field: str) -> list[list[Any]]:
    """Return ids, paths, ranks, whether there is a label, states and batches, of all samples of the view."""
    dataset = dataset_of(view)
    wanted = ["id", "filepath", RANK_FIELD, STATE_FIELD, BATCH_FIELD]
    held = [name for name in wanted if dataset.has_field(name) or name == "id"]
    values = dict(zip(held, view.values(held), strict=True))
    count = len(values["id"])
    known = set(view.exists(label_field).values("id")) if dataset.has_field(label_field) else set()
    ids, paths, ranks, states, batches = (values.get(name) or [None] * count for name in wanted)
    return [ids, paths, ranks, [key in known for key in ids], states, batches]


def _chosen(rows: list[int], ranks: list[Any], labelled: list[Any], label_field: str, notes: list[str]) -> list[int]:
    selected = [row for row in rows if ranks[row] is not None]
    if selected:
        if len(selected) < len(rows):
            notes.append(f"of {len(rows):,} samples the {len(selected):,} that were selected go out")
        return selected
    open_rows = [row for row in rows if not labelled[row]]
    if len(open_rows) < len(rows):
        notes.append(f"{len(rows) - len(open_rows):,} samples have a label in '{label_field}' already, and stay here")
    if not open_rows:
        raise DataError(
            f"all samples have a label in '{label_field}', and none was selected. Choose samples to be labelled again "
            "in a view, or with 'winnow select', or send everything."
        )
    return open_rows


def _is_whole(view: Collection) -> bool:
    return isinstance(view, fo.Dataset) or not view._serialize(include_uuids=False)


def _json(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) else str(value)
