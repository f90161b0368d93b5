"""Embed a collection, or the patches of its detections, and let the App use the vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from ..curation.projection import PROJECTIONS, Projection, check_installed, project
from ..datasets import brain
from ..datasets.fields import check_label_attribute, check_value_field, write_values
from ..datasets.patch_values import write_patch_values
from ..datasets.patches import Patches, label_path, read_patches
from ..datasets.runs import add_fields
from ..datasets.similarity_indexes import KEY, check_backend, register_in_database
from ..datasets.views import Collection
from ..errors import DataError
from ..failures import Failure
from ..membership import is_among
from ..progress import Progress, silent
from ..vision.preprocessing import Preprocessing
from .job_rates import timed
from .patch_vectors import PATCHES_RUN, WHOLE_IMAGES, chosen_patches, embed_boxes
from .vectors import RUN, Embedded, VectorParams, embed_collection
from .wording import counted, failure_lines

_MOST_SIMILAR = 160_000  # beyond it, the index would keep fewer than 50 numbers an image


@dataclass(frozen=True)
class EmbedParams(VectorParams):
    """Settings of `compute_embeddings`.

    Attributes:
        patches_field: Field of detections whose boxes get a vector each; "whole images" = those get one, unless the
            view shows patches.
        vector_field: Field to write the vectors to (for patches: attribute of the detections); None = they stay in
            the cache.
        similarity: Let the App sort by similarity with these vectors.
        index: Vector database that they are put into for that, by FiftyOne's name, such as "lancedb" or "pgvector";
            other jobs can take neighbours from there. None = FiftyOne's own index.
        projection: How the Embeddings panel lays them out: "pca" (at once), "tsne" or "umap" (minutes); "none" = not.
    """

    patches_field: str = WHOLE_IMAGES
    vector_field: str | None = None
    similarity: bool = True
    index: str | None = None
    projection: str = "pca"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.projection not in ("none", *PROJECTIONS):
            raise DataError(
                f"projection must be none, {', '.join(PROJECTIONS[:-1])} or {PROJECTIONS[-1]}, got '{self.projection}'"
            )


@dataclass(frozen=True)
class EmbedReport:
    """What `compute_embeddings` did.

    Attributes:
        images: Images, or patches, that have a vector.
        computed: Of these, those that were not in the cache.
        width: Numbers a vector.
        preprocessing: How files became the network's input, plain JSON.
        failures: Images or patches without a vector; a patch goes by the id of its label.
        notes: Sentences for the user.
        unit: "image" or "patch".
    """

    images: int
    computed: int
    width: int
    preprocessing: dict[str, Any]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()
    unit: str = "image"

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "images": self.images,
            "unit": self.unit,
            "computed": self.computed,
            "from_cache": self.images - self.computed,
            "width": self.width,
            "preprocessing": self.preprocessing,
            "failures": [asdict(failure) for failure in self.failures],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        units = "images" if self.unit == "image" else "patches"
        lines = [
            f"**{counted(self.images, self.unit, units)}** got a vector of {self.width} numbers; {self.computed:,} "
            "were computed now."
        ]
        lines += failure_lines(self.failures, self.unit, units)
        lines += ["", *self.notes] if self.notes else []
        if self.unit == "image":
            lines += ["", "Next: find duplicates, leaks or label issues; they start from these vectors."]
        return "\n".join(lines)


@timed("compute_embeddings")
def compute_embeddings(
    view: Collection, params: EmbedParams = EmbedParams(), progress: Progress = silent
) -> EmbedReport:
    """Embed the images of a collection, or the patches of a field of detections.

    Raises:
        DataError: Nothing can be read, the collection does not hold images, or a brain key is taken.
        FieldError: The vector field is taken, or the patches field holds no detections.
        DataError: The vector database does not answer, or is to take patches.
        MissingPartError: The projection or the database needs a package that is not installed.
    """
    check_installed(params.projection)
    patches_field = chosen_patches(view, params.patches_field)
    keys = brain.BrainKeys(patches_field)
    if params.index is not None:
        if patches_field:
            raise DataError("vectors of patches are not put into a vector database; leave out `index`.")
        check_backend(view, params.index)
    elif params.similarity:
        brain.check_free(view, keys.similarity)
    if params.projection != "none":
        brain.check_free(view, keys.points)
    if patches_field:
        return _embed_patches(view, read_patches(view, patches_field), params, keys, progress)
    return _embed_images(view, params, keys, progress)


def _embed_images(view: Collection, params: EmbedParams, keys: brain.BrainKeys, progress: Progress) -> EmbedReport:
    if params.vector_field:
        check_value_field(view, params.vector_field, kind="vector")
    embedded = embed_collection(view, params, thumbnails=False, on_disk=params.index is not None, progress=progress)
    ids = embedded.samples.ids
    if params.vector_field:
        write_values(view, params.vector_field, ids, embedded.vectors, kind="vector")
        add_fields(view, RUN, [params.vector_field])
    shown = _Shown(view, keys, ids, None, embedded.vectors)
    registered = () if params.index is None else (_put_into_database(view, embedded, params, params.index, progress),)
    return EmbedReport(
        images=len(ids),
        computed=embedded.computed,
        width=embedded.backbone.width,
        preprocessing=embedded.preprocessing.to_dict(),
        failures=embedded.failures,
        notes=(*_range_note(embedded.preprocessing), *registered, *_show_in_app(shown, params, progress)),
    )


def _embed_patches(
    view: Collection, patches: Patches, params: EmbedParams, keys: brain.BrainKeys, progress: Progress
) -> EmbedReport:
    if params.vector_field:
        check_label_attribute(view, label_path(view, patches.field), params.vector_field)
    made, failures = embed_boxes(view, patches, params, progress=progress)
    found = made.found
    if params.vector_field:
        written = write_patch_values(view, patches, params.vector_field, found.ids, found.vectors, kind="vector")
        add_fields(view, PATCHES_RUN, [written])
    sample_ids = patches.sample_ids[is_among(patches.ids, found.ids)]
    shown = _Shown(view, keys, sample_ids, found.ids, found.vectors)
    return EmbedReport(
        images=len(found.ids),
        computed=found.computed,
        width=made.backbone.width,
        preprocessing=made.preprocessing.to_dict(),
        failures=failures,
        notes=(*_range_note(made.preprocessing), *_show_in_app(shown, params, progress)),
        unit="patch",
    )


@dataclass(frozen=True, eq=False)
class _Shown:
    """What the App is to show: vectors of samples, or of labels in them."""

    view: Collection
    keys: brain.BrainKeys
    sample_ids: np.ndarray
    label_ids: np.ndarray | None
    vectors: np.ndarray


def _range_note(preprocessing: Preprocessing) -> Iterator[str]:
    if preprocessing.decode.value_range is not None:
        low, high = preprocessing.decode.value_range
        yield f"Images of more than 8 bits: values from {low:g} to {high:g} became black to white."


def _show_in_app(shown: _Shown, params: EmbedParams, progress: Progress) -> Iterator[str]:
    """Register the vectors with FiftyOne's brain, and say what the App can do with them now."""
    if params.similarity and params.index is None:
        yield _register_similarity(shown, progress)
    if params.projection != "none":
        progress("points", 0, 1)
        points = project(shown.vectors, cast(Projection, params.projection))
        brain.register_points(shown.view, shown.keys, shown.sample_ids, points, shown.label_ids)
        progress("points", 1, 1)
        yield f"Embeddings panel: choose `{shown.keys.points}`."


def _put_into_database(
    view: Collection, embedded: Embedded, params: EmbedParams, backend: str, progress: Progress
) -> str:
    """Put the vectors into a vector database, and say what can be done with them there."""
    added, gone = register_in_database(
        view,
        backend,
        embedded.samples.ids,
        embedded.vectors,
        embedded.space,
        anew=params.verify,
        progress=progress,
    )
    removed = f", {gone:,} of samples that are gone were removed" if gone else ""
    return (
        f"{counted(added, 'vector')} put into {backend}{removed}: choose `{KEY}` to sort by similarity; "
        f"`--neighbors {KEY}` finds duplicates, leaks and label issues with it."
    )


def _register_similarity(shown: _Shown, progress: Progress) -> str:
    """Register the vectors, or leave it out where FiftyOne's index could hold too little of them; say which."""
    keys, count = shown.keys, len(shown.vectors)
    if count > _MOST_SIMILAR:
        brain.forget(shown.view, keys.similarity)
        return (
            f"Sort by similarity is left out: FiftyOne's index is fit for {_MOST_SIMILAR:,} vectors, these are "
            f"{count:,}. Run this job on a view to sort within it, or put them into a vector database: `winnow embed "
            "TARGET --index lancedb` (or pgvector, ...)."
        )
    progress("similarity", 0, 1)
    kept = brain.register_similarity(shown.view, keys, shown.sample_ids, shown.vectors, shown.label_ids)
    progress("similarity", 1, 1)
    share = "" if kept == 1 else f" (of so many, the index keeps {kept:.0%} of the variance)"
    return f"Sort by similarity: choose `{keys.similarity}`{share}."
