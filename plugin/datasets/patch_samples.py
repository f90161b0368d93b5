"""Patches with their class labels as the engine's neutral picture: each one a sample of its own."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from .patches import Patches, shown_patches
from .samples import Samples, encode_labels
from .split_names import read_splits
from .views import Collection, dataset_of, every_image


def samples_of_patches(
    view: Collection, patches: Patches, split_field: str | None = None, *, need_labels: bool = False
) -> Samples:
    """Return the patches as samples, row for row, for whatever works on images with labels.

    Args:
        view: The collection that they were read from, of images or of patches.
        patches: As `read_patches` returns them; n of them.
        split_field: As in `read_samples`; the split of a patch is that of its image.
        need_labels: Make it an error when no patch has a label.

    Returns:
        `ids` are label ids, those of one image after each other, `paths` those of the images, and `label_field` is the
        field of detections.

    Raises:
        DataError: No patch has a label.
        FieldError: See `read_splits`.
    """
    classes, labels = encode_labels(patches.names)
    if need_labels and not classes:
        raise DataError(
            f"no patch has a label in field '{patches.field}' of '{dataset_of(view).name}'. "
            "Give its detections a label first."
        )
    notes = []
    if unlabelled := int(np.sum(labels < 0)):
        notes.append(f"{unlabelled} of {len(patches)} patches have no label in '{patches.field}'")
    # A view of patches knows the files of its images, not their fields.
    images = every_image(view) if shown_patches(view) else view
    splits, split_source, split_notes = read_splits(images, split_field)
    split_of = dict(zip(images.values("id"), splits, strict=True))
    return Samples(
        ids=patches.ids,
        paths=patches.paths,
        labels=labels,
        classes=classes,
        splits=np.array([split_of.get(sample_id, "") for sample_id in patches.sample_ids], dtype=object),
        label_field=patches.field,
        split_source=split_source,
        notes=(*notes, *split_notes),
    )
