"""Moves samples to another split, where the dataset keeps its splits, and back again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import fiftyone as fo
from bson import ObjectId

from ..curation.splits import standard_split
from ..errors import DataError, FieldError
from .action_log import Done, chunks, mark_undone, read_records, record_action
from .runs import SavedRun
from .split_names import FOLDERS, SAVED_VIEWS, read_splits, split_sources
from .views import Collection, dataset_of, describe_field, every_image

METHOD = "move_samples"
_CHUNK = 20_000
_NOT_SPLITS = ("id", "filepath")

# What a sample's value in the field becomes.
_Change = Callable[[Any], Any]


def change_split(
    view: Collection, ids: Sequence[str], split: str, source: str | None = None, *, by: str = "", what: str = ""
) -> Done:
    """Move samples to a split; those that are there already, or gone, are passed over.

    Args:
        view: Any collection of the dataset.
        ids: Sample ids.
        split: Name of the split, written as the dataset spells it; "" = out of every split.
        source: "tags", or the field that holds the splits; None = detected.
        by: Name of the person, for the log.
        what: What kind of images they are, such as "leak", for the log.

    Raises:
        FieldError: The dataset has no splits, or the field holds something else.
        DataError: Tags can't name such a split.
    """
    images = every_image(view)
    source = source or read_splits(images, None)[1]
    change = _change_to(images, source, split)
    moved: dict[str, Any] = {}
    for chunk in chunks(sorted(set(ids)), _CHUNK):
        found, values = images.select(chunk).values(["id", source])
        moved |= {key: was for key, was in zip(found, values, strict=True) if not _same(was, change(was))}
    if not moved:
        return Done(None, 0)

    records = ({"_id": ObjectId(key), "was": was} for key, was in moved.items())
    params = {"split": split, "split_field": source, "by": by, "what": what}
    key = record_action(view, METHOD, params, len(moved), records)
    for chunk in chunks(moved, _CHUNK):
        images.set_values(source, {key: change(moved[key]) for key in chunk}, key_field="id")
    return Done(key, len(moved))


def undo_move(view: Collection, run: SavedRun) -> Done:
    """Move the samples back that are still in the split to which the action moved them."""
    images, source = every_image(view), run.params["split_field"]
    change = _change_to(images, source, run.params["split"])
    back, missing = 0, 0
    for chunk in chunks(read_records(view, run.key), _CHUNK):
        before = {str(record["_id"]): record["was"] for record in chunk}
        found, values = images.select(list(before)).values(["id", source])
        still = {key: value for key, value in zip(found, values, strict=True) if _same(value, change(value))}
        images.set_values(source, {key: _back(value, before[key]) for key, value in still.items()}, key_field="id")
        back += len(still)
        missing += len(before) - len(still)
    mark_undone(view, run.key)
    return Done(run.key, back, (f"{missing} samples are gone or were moved to another split since",) * (missing > 0))


def _change_to(images: Collection, source: str | None, split: str) -> _Change:
    """Return what moves a value of the field to the split."""
    name = dataset_of(images).name
    if source is None:
        raise FieldError(
            f"'{name}' has no splits, so nothing can be moved between them. Name a text field as split field, or tag "
            "some samples train, validation or test first."
        )
    if source in (FOLDERS, SAVED_VIEWS):
        raise FieldError(
            f"the splits of '{name}' are read from {source}, which stay as they are. Split the dataset first: that "
            "writes them into a field, between whose values samples can be moved."
        )
    field = images.get_field(source)
    if field is None or source in _NOT_SPLITS:
        found = ", ".join(split_sources(images)) or "none"
        raise FieldError(f"'{name}' has no field '{source}' for splits. Splits were found in: {found}.")
    is_text = isinstance(field, fo.StringField)
    if not is_text and not (isinstance(field, fo.ListField) and isinstance(field.field, fo.StringField)):
        raise FieldError(f"field '{source}' of '{name}' holds {describe_field(field)}, not the names of splits.")
    spelled = _spelling(images, source, split)
    if is_text:
        return lambda was: spelled or None
    if split and not standard_split(split):
        raise DataError(f"among {source} only train, validation and test are known as splits, not '{split}'.")
    return lambda was: [held for held in was or [] if not standard_split(held)] + [spelled] * bool(spelled)


def _spelling(images: Collection, source: str, split: str) -> str:
    """Return how the dataset spells the split: the most frequent spelling, ties by name."""
    wanted, counts = standard_split(split), images.count_values(source)
    same = [name for name in counts if name and wanted is not None and standard_split(name) == wanted]
    return min(same, key=lambda name: (-counts[name], name), default=split)


def _same(value: Any, other: Any) -> bool:
    return _splits_in(value) == _splits_in(other)


def _splits_in(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for held in value if (name := standard_split(held))}
    return {standard_split(value) or value} if value else set()


def _back(value: Any, was: Any) -> Any:
    """Return the value before, with the tags that came meanwhile."""
    if not isinstance(value, list):
        return was
    since = [held for held in value if not standard_split(held) and held not in (was or [])]
    stayed = [held for held in was or [] if standard_split(held) or held in value]
    return stayed + since
