"""Writes results into attributes of detections, in bulk and by label id; the rules are those of `fields`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import fiftyone as fo
import numpy as np

from .action_log import chunks
from .fields import FIELD_TYPES, Kind, add_label_attributes, chunk_of, converter
from .patches import Patches, label_path
from .views import Collection, dataset_of, every_image


def write_patch_values(
    view: Collection,
    patches: Patches,
    name: str,
    ids: Sequence[str] | np.ndarray,
    values: Sequence[Any] | np.ndarray,
    *,
    kind: Kind,
) -> str:
    """Make the attribute `name` of detections hold these values, and nothing of an earlier run.

    Args:
        view: Any collection of the dataset.
        patches: What the job looked at: those without a value lose theirs, and other detections keep what they have.
        name: Name of the attribute, which is made, and indexed, when it does not exist.
        ids: m label ids, of `patches`.
        values: m values (arrays are fine); None and NaN are stored as None, "no value".
        kind: What the attribute holds.

    Returns:
        The attribute's whole path.

    Raises:
        FieldError: As for `fields.write_values`.
    """
    path = label_path(view, patches.field)
    attribute, convert = f"{path}.{name}", converter(kind)
    if add_label_attributes(view, path, {name: (FIELD_TYPES[kind], None)}) and kind != "vector":
        dataset_of(view).create_index(attribute)

    images = every_image(view)
    of_label = dict(zip(patches.ids, patches.sample_ids, strict=True))
    # Of the dataset, not of the view: a view of patches is a copy, and may be older than the attribute.
    held = images.filter_labels(patches.field, fo.ViewField(name).exists()).values(f"{path}.id", unwind=True)
    stale = sorted((set(held) & of_label.keys()).difference(ids))

    def changes() -> Iterator[dict[str, Any]]:
        for key, value in zip(ids, values, strict=True):
            yield {"sample_id": of_label[key], "label_id": str(key), "value": convert(value)}
        for key in stale:
            yield {"sample_id": of_label[key], "label_id": key, "value": None}

    for chunk in chunks(changes(), chunk_of(kind)):
        images.set_label_values(attribute, list(chunk))
    return attribute
