"""Reads the values by which a collection is cut into slices."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import numpy as np

from ..errors import FieldError
from .views import Collection, dataset_of, describe_field

_PLAIN = (fo.StringField, fo.BooleanField, fo.IntField, fo.FloatField)
_NOT_OFFERED = ("id", "filepath")


def slice_fields(view: Collection) -> list[str]:
    """Return what can be sliced by: fields of text, yes or no, numbers, lists of text, and the labels."""
    return [
        name
        for name, field in view.get_field_schema().items()
        if name not in _NOT_OFFERED and (_is_plain(field) or getattr(field, "document_type", None) is fo.Classification)
    ]


def read_slice_values(view: Collection, ids: np.ndarray, path: str) -> list[Any]:
    """Return the value of each sample: of a field, of a part of one (`metadata.width`), or a label's name.

    Args:
        view: The collection.
        ids: (n,) object. Samples.
        path: A field, or a part of one with dots.

    Raises:
        FieldError: There is no such field, or it holds nothing to slice by.
    """
    field = view.get_field(path)
    if field is None:
        offered = ", ".join(slice_fields(view))
        raise FieldError(f"there is no field '{path}' to slice by in '{dataset_of(view).name}'; there are: {offered}.")
    if getattr(field, "document_type", None) is fo.Classification:
        path = f"{path}.label"
    elif not _is_plain(field):
        raise FieldError(
            f"field '{path}' of '{dataset_of(view).name}' holds {describe_field(field)}; slices need text, yes or no, "
            "numbers, lists of text, or one label an image."
        )
    by_id = dict(zip(*view.values(["id", path]), strict=True))
    return [by_id.get(sample_id) for sample_id in ids]


def _is_plain(field: fo.Field) -> bool:
    if isinstance(field, fo.ListField) and not isinstance(field, fo.VectorField):
        return isinstance(field.field, fo.StringField)
    return isinstance(field, _PLAIN)
