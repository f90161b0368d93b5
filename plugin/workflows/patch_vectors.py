"""Vectors of the boxes of detections: what every job on patches starts from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ..datasets.patch_samples import samples_of_patches
from ..datasets.patches import Patches, read_patches, shown_patches
from ..datasets.views import Collection, every_image
from ..errors import DataError
from ..failures import Failure
from ..membership import is_among
from ..progress import Progress, silent
from ..vision.boxes import box_faults
from .vectors import (
    FAILURE_FIELD,
    Embedded,
    VectorParams,
    Vectors,
    check_any,
    embed_files,
    mark_failures,
    save_vectors,
    select_samples,
)

PATCHES_RUN = "winnow_patch_embeddings"
WHOLE_IMAGES = "whole images"  # no name of a field


@dataclass(frozen=True, eq=False)
class EmbeddedPatches:
    """The readable patches of a collection with their vectors.

    Attributes:
        patches: The m patches that could be read.
        embedded: The same, row for row, as samples whose ids are label ids; `failures` go by label ids too.
        looked_at: All patches of the collection, readable or not.
    """

    patches: Patches
    embedded: Embedded
    looked_at: Patches


def chosen_patches(view: Collection, asked: str) -> str | None:
    """Return the field whose patches a job is to look at, None where it is to look at whole images.

    Args:
        view: The collection.
        asked: A field of detections, or `WHOLE_IMAGES`; a view of patches is looked at as such.

    Raises:
        DataError: The view shows patches of another field.
    """
    shown = shown_patches(view)
    if shown and asked not in (WHOLE_IMAGES, shown):
        raise DataError(
            f"the view shows patches of '{shown}', not of '{asked}'. Use a view of images, or those patches."
        )
    return shown or (None if asked == WHOLE_IMAGES else asked)


def embed_patches(
    view: Collection,
    field: str,
    params: VectorParams,
    *,
    split_field: str | None = None,
    need_labels: bool = False,
    thumbnails: bool = False,
    progress: Progress = silent,
) -> EmbeddedPatches:
    """Read the patches of a field of detections with their labels, and embed them, as `embed_collection` does images.

    Raises:
        DataError, FieldError: See `datasets.patches.read_patches` and `datasets.patch_samples.samples_of_patches`; also
            where no patch can be read.
    """
    patches = read_patches(view, field)
    samples = samples_of_patches(view, patches, split_field, need_labels=need_labels)
    made, failures = embed_boxes(view, patches, params, thumbnails=thumbnails, progress=progress)
    readable = is_among(patches.ids, made.found.ids)
    embedded = Embedded(
        samples=select_samples(samples, readable),
        vectors=made.found.vectors,
        thumbnails=made.found.thumbnails,
        digests=made.found.digests,
        failures=failures,
        computed=made.found.computed,
        backbone=made.backbone,
        preprocessing=made.preprocessing,
    )
    return EmbeddedPatches(patches.select(readable), embedded, patches)


def embed_boxes(
    view: Collection,
    patches: Patches,
    params: VectorParams,
    *,
    thumbnails: bool = False,
    progress: Progress = silent,
) -> tuple[Vectors, tuple[Failure, ...]]:
    """Embed patches, mark the images of those that can't be used, and remember how it was done.

    Returns:
        The vectors by label id, and the patches without one: their file can't be read, or their box shows nothing.

    Raises:
        DataError: No patch can be read.
    """
    faults = box_faults(patches.boxes)
    usable = patches.select(faults == "")
    made = embed_files(
        view,
        PATCHES_RUN,
        usable.ids,
        usable.paths,
        params,
        boxes=usable.boxes,
        thumbnails=thumbnails,
        progress=progress,
    )
    failures = (
        *(Failure(patches.ids[row], patches.paths[row], faults[row]) for row in np.flatnonzero(faults != "")),
        *made.found.failures,
    )
    mark_patches(view, patches, failures)
    check_any(made.found.ids, failures, "patches")
    save_vectors(view, PATCHES_RUN, params, made)
    return made, failures


def mark_patches(view: Collection, patches: Patches, failures: tuple[Failure, ...]) -> None:
    """Write what is wrong with the patches of a sample, where failures of images are looked for.

    Args:
        view: The collection that the job ran on.
        patches: What was looked at; their samples lose an earlier mark.
        failures: By label id.
    """
    of_label = dict(zip(patches.ids, patches.sample_ids, strict=True))
    reasons: dict[str, list[str]] = defaultdict(list)
    for failure in failures:
        reasons[of_label[failure.id]].append(f"{patches.field} {failure.id}: {failure.reason}")
    images, looked_at = every_image(view), set(of_label.values())
    marked = images.exists(FAILURE_FIELD).values("id") if images.has_field(FAILURE_FIELD) else []
    ours = [*reasons, *(sample for sample in marked if sample in looked_at)]
    mark_failures(images.select(ours), {sample: "; ".join(why) for sample, why in reasons.items()})
