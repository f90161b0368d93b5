"""Reads the fields that say what belongs together: the same patient, product, scene or burst."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo
import numpy as np

from ..errors import FieldError
from .views import Collection, dataset_of, describe_field

_GROUP_TYPES = (fo.StringField, fo.IntField, fo.BooleanField, fo.ObjectIdField)
_ONE_A_SAMPLE = ("id", "filepath")  # such "groups" have one member each


def group_fields(view: Collection) -> list[str]:
    """Return the fields of samples that can tell groups, in alphabetical order."""
    schema = view.get_field_schema(flat=False)
    return sorted(
        name for name, field in schema.items() if isinstance(field, _GROUP_TYPES) and name not in _ONE_A_SAMPLE
    )


def read_group_columns(view: Collection, ids: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Read columns of groups.

    Args:
        view: The collection.
        ids: (n,) object. Ids of samples of the view, in any order.
        names: Fields of text, whole numbers, truth values or object ids; also within another field, such as
            `metadata.width`.

    Returns:
        For each name (n,) object: the value as text, None where the sample belongs to no group.

    Raises:
        FieldError: There is no such field, or it holds something else.
    """
    check_group_fields(view, names)
    if not names:
        return ()
    found, *columns = view.values(["id", *names])
    row_of = {sample_id: row for row, sample_id in enumerate(found)}
    rows = [row_of[sample_id] for sample_id in ids]
    return tuple(_texts([column[row] for row in rows]) for column in columns)


def check_group_fields(view: Collection, names: Sequence[str]) -> None:
    """Make sure that fields can tell groups, before long work.

    Raises:
        FieldError: As for `read_group_columns`.
    """
    for name in names:
        _check(view, name)


def _check(view: Collection, name: str) -> None:
    field = view.get_field(name)
    if isinstance(field, _GROUP_TYPES):
        return
    what = "there is no such field" if field is None else f"it holds {describe_field(field)}"
    offered = ", ".join(group_fields(view)) or "none"
    raise FieldError(
        f"field '{name}' of '{dataset_of(view).name}' can't tell which images belong together: {what}. Name a field of "
        f"text, whole numbers, truth values or object ids; there are: {offered}."
    )


def _texts(values: list[object]) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = [None if value is None or value == "" else str(value) for value in values]
    return column
