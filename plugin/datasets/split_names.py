"""Finds out where a collection keeps its splits, and reads them under their standard names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

import fiftyone as fo
import numpy as np

from ..curation.splits import precedence, standard_split
from ..errors import FieldError
from .views import Collection, dataset_of, describe_field

TAGS = "tags"
FOLDERS = "folders"
SAVED_VIEWS = "saved views"
DEFAULT_FIELD = "split"
NEVER_ASSUMED = (FOLDERS, SAVED_VIEWS)  # only taken where somebody says so: many things are called `test`

# Enough to tell a field of split names from other text without reading a whole column.
_LOOK_AT = 1_000
_NOT_SPLITS = ("id", "filepath")


def split_sources(view: Collection) -> list[str]:
    """Return what could hold the splits, the most likely first: text fields, "tags", "saved views", "folders"."""
    fields = [
        name
        for name, field in view.get_field_schema(flat=False).items()
        if name not in _NOT_SPLITS and isinstance(field, fo.StringField) and _has_split_names(view, name)
    ]
    if any(standard_split(tag) for tag in view.distinct(TAGS)):
        fields.append(TAGS)
    fields.sort(key=lambda name: (name != DEFAULT_FIELD, name != TAGS))
    if _split_views(view):
        fields.append(SAVED_VIEWS)
    if _has_split_folders(view):
        fields.append(FOLDERS)
    return fields


def read_splits(view: Collection, source: str | None) -> tuple[np.ndarray, str | None, list[str]]:
    """Read the split of each sample.

    Args:
        view: n samples.
        source: "tags", the name of a text field, "folders" (the nearest folder above the file that is named like a
            split), "saved views" (those of the dataset that are), or None to look for a field `split` and then for
            tags.

    Returns:
        splits (n,) object in the view's order ("" = no split), the source that was read (None where there is none),
        and sentences about what was mapped or counted.

    Raises:
        FieldError: `source` is no text field, or no sample has a split there.
    """
    source = source or detect_split_source(view)
    if source is None:
        return np.full(view.count(), "", dtype=object), None, []
    names = _names(view, source)
    splits = np.empty(len(names), dtype=object)
    spelled: dict[str, Counter[str]] = defaultdict(Counter)
    ambiguous = 0
    for row, candidates in enumerate(names):
        by_split = {standard_split(name) or name: name for name in candidates}
        ambiguous += len(by_split) > 1
        splits[row] = min(by_split, key=precedence, default="")
        if candidates:
            spelled[splits[row]][by_split[splits[row]]] += 1
    if not spelled:
        raise FieldError(_nothing_there(view, source))
    return splits, source, list(_notes(source, splits, spelled, ambiguous))


def detect_split_source(view: Collection) -> str | None:
    """Return where the splits are when nobody says so: a field `split` with a value, else "tags", else None."""
    field = view.get_field(DEFAULT_FIELD)
    if isinstance(field, fo.StringField) and view.exists(DEFAULT_FIELD).limit(1).count():
        return DEFAULT_FIELD
    return TAGS if any(standard_split(tag) for tag in view.distinct(TAGS)) else None


def _has_split_names(view: Collection, field: str) -> bool:
    return any(name and standard_split(name) for name in view.limit(_LOOK_AT).values(field))


def _has_split_folders(view: Collection) -> bool:
    """Whether the folders tell two splits apart, by a look at both ends: one folder `dev` may lie above everything."""
    ends = (view.limit(_LOOK_AT), view.sort_by("id", reverse=True).limit(_LOOK_AT))
    folders = {_split_of_folder(path) for end in ends for path in end.values("filepath")}
    return len({standard_split(name) for name in folders if name}) > 1


def _split_views(view: Collection) -> list[str]:
    """Return the saved views of the dataset that are named like a split."""
    return [name for name in dataset_of(view).list_saved_views() if standard_split(name)]


def _split_of_folder(path: str) -> str | None:
    return next((part for part in reversed(PurePath(path).parts[:-1]) if standard_split(part)), None)


def _names_of_views(view: Collection) -> list[list[str]]:
    ids = view.values("id")
    found: dict[str, list[str]] = {sample_id: [] for sample_id in ids}
    for name in _split_views(view):
        for sample_id in dataset_of(view).load_saved_view(name).values("id"):
            if sample_id in found:
                found[sample_id].append(name)
    return [found[sample_id] for sample_id in ids]


def _names(view: Collection, source: str) -> list[list[str]]:
    """Return each sample's names of splits as they are spelled. A tag counts only when it names a split."""
    if source == SAVED_VIEWS:
        return _names_of_views(view)
    if source == FOLDERS:
        return [[name] if (name := _split_of_folder(path)) else [] for path in view.values("filepath")]
    field = view.get_field(source)
    if field is None:
        raise FieldError(f"there is no field '{source}' for the splits in '{dataset_of(view).name}'. {_choices(view)}")
    if isinstance(field, fo.StringField) and source not in _NOT_SPLITS:
        return [[name] if name and name.strip() else [] for name in view.values(source)]
    if isinstance(field, fo.ListField) and isinstance(field.field, fo.StringField):
        return [[name for name in names or [] if standard_split(name)] for names in view.values(source)]
    raise FieldError(
        f"field '{source}' of '{dataset_of(view).name}' holds {describe_field(field)}, not the names of splits. "
        f"{_choices(view)}"
    )


def _notes(source: str, splits: np.ndarray, spelled: dict[str, Counter[str]], ambiguous: int) -> Iterator[str]:
    for split in sorted(spelled, key=precedence):
        names = spelled[split]
        if set(names) != {split}:
            yield f"{split}: {names.total()} samples from {', '.join(repr(name) for name in sorted(names))}"
    if ambiguous:
        yield f"{ambiguous} samples name more than one split in '{source}'; test goes before validation before train"
    if pool := int(np.sum(splits == "")):
        yield f"{pool} samples name no split in '{source}' and are treated as a pool"


def _nothing_there(view: Collection, source: str) -> str:
    if source == TAGS:
        found: Sequence[Any] = view.distinct(TAGS)[:10]
        tags = f"the tags are {', '.join(repr(tag) for tag in found)}" if found else "there are no tags"
        return (
            f"no tag in '{dataset_of(view).name}' names a split ({tags}). Tag samples 'train', 'validation' or 'test'."
        )
    if source in (SAVED_VIEWS, FOLDERS):
        return f"no {source[:-1]} of '{dataset_of(view).name}' is named like a split. {_choices(view)}"
    return f"field '{source}' of '{dataset_of(view).name}' is empty, so it gives no splits. {_choices(view)}"


def _choices(view: Collection) -> str:
    sources = split_sources(view)
    if sources:
        return f"Splits were found in: {', '.join(sources)}."
    return "Give each sample its split in a text field `split`, or as a tag 'train', 'validation' or 'test'."
