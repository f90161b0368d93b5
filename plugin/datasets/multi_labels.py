"""Reads several labels an image, as `fo.Classifications`."""

from __future__ import annotations

import fiftyone as fo
import numpy as np

from .fields import is_own
from .samples import label_fields
from .views import Collection


def multi_label_fields(view: Collection) -> list[str]:
    """Return the fields of `fo.Classifications` that Winnow did not write, in alphabetical order."""
    return sorted(
        name
        for name, field in view.get_field_schema().items()
        if getattr(field, "document_type", None) is fo.Classifications and not is_own(view, name)
    )


def multi_label_field(view: Collection, asked: str | None) -> str | None:
    """Return the field of several labels an image to read; None where there is one label an image, or none.

    Args:
        view: The collection.
        asked: The label field that is asked for, of whatever kind; None = the only one of the dataset.
    """
    fields = multi_label_fields(view)
    if asked is not None:
        return asked if asked in fields else None
    return fields[0] if len(fields) == 1 and not label_fields(view) else None


def read_multi_labels(view: Collection, ids: np.ndarray, field: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the labels of samples that may have several.

    Args:
        view: The collection.
        ids: (n,) object. Ids of samples of the view, in any order.
        field: A field of `fo.Classifications`.

    Returns:
        (n, k) float32 in {0, 1, NaN}: a sample whose field is empty was not annotated, and all its values are NaN; one
        with an empty list has none of the classes. And the k class names, sorted.
    """
    found, names = view.values(["id", f"{field}.classifications.label"])
    row_of = {sample_id: row for row, sample_id in enumerate(found)}
    classes = tuple(sorted({name for sample in names for name in sample or [] if name}))
    column_of = {name: column for column, name in enumerate(classes)}
    labels = np.zeros((len(ids), len(classes)), np.float32)
    for place, sample_id in enumerate(ids):
        row = row_of[sample_id]
        if names[row] is None:
            labels[place] = np.nan
        labels[place, [column_of[name] for name in names[row] or [] if name]] = 1
    return labels, classes
