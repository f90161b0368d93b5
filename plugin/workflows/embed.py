"""Embed a collection: one vector an image, from the cache where its content is known."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from ..curation.projection import PROJECTIONS, Projection, check_installed, project
from ..datasets import brain, runs
from ..datasets.fields import write_values
from ..datasets.samples import Samples, read_samples
from ..datasets.views import Collection
from ..errors import DataError
from ..failures import Failure
from ..progress import Progress, silent
from ..training.as_backbone import backbone_of, is_classifier
from ..vision.backbones import Backbone
from ..vision.cache import Storage
from ..vision.decoder import NEEDS_RANGE, Decode
from ..vision.embeddings import Embeddings, embed_images
from ..vision.preprocessing import Preprocessing
from ..vision.value_range import detect_value_range
from .wording import failure_lines

RUN = "winnow_embeddings"
FAILURE_FIELD = "winnow_failure"
_SMALL_SIDE = 96
_MOST_SIMILAR = 160_000  # beyond it, the index would keep fewer than 50 numbers an image
_HEADERS_READ = 200


@dataclass(frozen=True)
class EmbedParams:
    """Settings of `compute_embeddings`.

    Attributes:
        backbone: "lite0" (embedded), a timm name, or the folder of a classifier.
        image_size: Side of the network's input in pixels; None = the backbone's own, smaller for small images.
        batch_size: Images a forward pass.
        vector_field: Field to write the vectors to; None = they stay in the cache.
        storage: How the cache keeps vectors: "float32", or "float16" for half the disk space.
        verify: Read every file again, also those that have not changed since they were last read.
        similarity: Let the App sort by similarity with these vectors.
        projection: How the Embeddings panel lays them out: "pca" (at once), "tsne" or "umap" (minutes); "none" = not.
    """

    backbone: str = "lite0"
    image_size: int | None = None
    batch_size: int = 32
    vector_field: str | None = None
    storage: Storage = "float32"
    verify: bool = False
    similarity: bool = True
    projection: str = "pca"

    def __post_init__(self) -> None:
        if self.storage not in ("float32", "float16"):
            raise DataError(f"storage must be float32 or float16, got '{self.storage}'")
        if self.projection not in ("none", *PROJECTIONS):
            raise DataError(
                f"projection must be none, {', '.join(PROJECTIONS[:-1])} or {PROJECTIONS[-1]}, got '{self.projection}'"
            )
        if self.batch_size < 1:
            raise DataError(f"batch_size must be at least 1, got {self.batch_size}")


@dataclass(frozen=True, eq=False)
class Embedded:
    """The readable samples of a collection with their vectors.

    Attributes:
        samples: The m samples that could be read.
        vectors: (m, d) float32.
        thumbnails: (m, 32, 32) uint8; (0, 32, 32) where they were not asked for.
        failures: The samples that could not be read.
        computed: Vectors that were not in the cache.
        backbone: The network.
        preprocessing: How files became its input.
    """

    samples: Samples
    vectors: np.ndarray
    thumbnails: np.ndarray
    failures: tuple[Failure, ...]
    computed: int
    backbone: Backbone
    preprocessing: Preprocessing


@dataclass(frozen=True)
class EmbedReport:
    """What `compute_embeddings` did."""

    images: int
    computed: int
    width: int
    preprocessing: dict[str, Any]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "images": self.images,
            "computed": self.computed,
            "from_cache": self.images - self.computed,
            "width": self.width,
            "preprocessing": self.preprocessing,
            "failures": [asdict(failure) for failure in self.failures],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        lines = [
            f"**{self.images:,} images** have a vector of {self.width} numbers; {self.computed:,} were computed now."
        ]
        lines += failure_lines(self.failures)
        lines += ["", *self.notes] if self.notes else []
        return "\n".join([*lines, "", "Next: find duplicates, leaks or label issues; they start from these vectors."])


def compute_embeddings(
    view: Collection, params: EmbedParams = EmbedParams(), progress: Progress = silent
) -> EmbedReport:
    """Embed a collection.

    Raises:
        DataError: No image can be read, the collection does not hold single images, or a brain key is taken.
        FieldError: The vector field is taken.
        MissingPartError: The projection needs a package that is not installed.
    """
    check_installed(params.projection)
    if params.similarity:
        brain.check_free(view, brain.SIMILARITY_KEY)
    if params.projection != "none":
        brain.check_free(view, brain.POINTS_KEY)
    embedded = embed_collection(view, params, thumbnails=False, progress=progress)
    return EmbedReport(
        images=len(embedded.samples),
        computed=embedded.computed,
        width=embedded.backbone.width,
        preprocessing=embedded.preprocessing.to_dict(),
        failures=embedded.failures,
        notes=tuple(_show_in_app(view, params, embedded, progress)),
    )


def _show_in_app(view: Collection, params: EmbedParams, embedded: Embedded, progress: Progress) -> list[str]:
    """Register the vectors with FiftyOne's brain, and say what the App can do with them now."""
    notes = []
    ids, vectors = embedded.samples.ids, embedded.vectors
    value_range = embedded.preprocessing.decode.value_range
    if value_range is not None:
        low, high = value_range
        notes.append(f"Images of more than 8 bits: values from {low:g} to {high:g} became black to white.")
    if params.similarity:
        notes.append(_register_similarity(view, ids, vectors, progress))
    if params.projection != "none":
        progress("points", 0, 1)
        brain.register_points(view, ids, project(vectors, cast(Projection, params.projection)))
        progress("points", 1, 1)
        notes.append(f"Embeddings panel: choose `{brain.POINTS_KEY}`.")
    return notes


def _register_similarity(view: Collection, ids: np.ndarray, vectors: np.ndarray, progress: Progress) -> str:
    """Register the vectors, or leave it out where FiftyOne's index could hold too little of them; say which."""
    if len(ids) > _MOST_SIMILAR:
        brain.forget(view, brain.SIMILARITY_KEY)
        return (
            f"Sort by similarity is left out: FiftyOne's index is fit for {_MOST_SIMILAR:,} images, these are "
            f"{len(ids):,}. Run this job on a view to sort within it."
        )
    progress("similarity", 0, 1)
    kept = brain.register_similarity(view, ids, vectors)
    progress("similarity", 1, 1)
    share = "" if kept == 1 else f" (of many images, the index keeps {kept:.0%} of the variance)"
    return f"Sort by similarity: choose `{brain.SIMILARITY_KEY}`{share}."


def embed_collection(
    view: Collection,
    params: EmbedParams,
    *,
    label_field: str | None = None,
    split_field: str | None = None,
    need_labels: bool = False,
    thumbnails: bool = True,
    progress: Progress = silent,
) -> Embedded:
    """Read a collection, embed it, mark the samples that could not be read, and remember how it was done.

    Raises:
        DataError, FieldError: See `datasets.samples.read_samples`; also where no image can be read.
    """
    samples = read_samples(view, label_field, split_field, need_labels=need_labels)
    backbone = backbone_of(params.backbone)
    preprocessing = _preprocessing(view, params, backbone, samples.paths)

    def embed(preprocessing: Preprocessing) -> Embeddings:
        return embed_images(
            samples.ids,
            samples.paths,
            backbone,
            preprocessing,
            batch_size=params.batch_size,
            thumbnails=thumbnails,
            storage=params.storage,
            verify=params.verify,
            progress=progress,
        )

    found = embed(preprocessing)
    if value_range := _range_still_needed(preprocessing, found.failures):
        preprocessing = replace(preprocessing, decode=replace(preprocessing.decode, value_range=value_range))
        found = embed(preprocessing)
    write_values(
        view,
        FAILURE_FIELD,
        [failure.id for failure in found.failures],
        [failure.reason for failure in found.failures],
        kind="str",
    )
    if not len(found.ids):
        first = found.failures[0]
        raise DataError(f"none of the {len(samples)} images can be read; the first, '{first.path}': {first.reason}.")
    fields = [FAILURE_FIELD]
    if params.vector_field:
        write_values(view, params.vector_field, found.ids, found.vectors, kind="vector")
        fields.append(params.vector_field)
    runs.save_run(
        view,
        RUN,
        method="compute_embeddings",
        params={**asdict(params), "preprocessing": preprocessing.to_dict(), "weights": backbone.weights_hash},
        fields=fields,
        summary={"images": len(found.ids), "failures": len(found.failures)},
    )
    readable = np.isin(samples.ids, found.ids)
    return Embedded(
        samples=select_samples(samples, readable),
        vectors=found.vectors,
        thumbnails=found.thumbnails,
        failures=found.failures,
        computed=found.computed,
        backbone=backbone,
        preprocessing=preprocessing,
    )


def select_samples(samples: Samples, keep: np.ndarray) -> Samples:
    """Return the samples where (n,) `keep` is true; the classes stay as they are."""
    return replace(
        samples,
        ids=samples.ids[keep],
        paths=samples.paths[keep],
        labels=samples.labels[keep],
        splits=samples.splits[keep],
    )


def _preprocessing(view: Collection, params: EmbedParams, backbone: Backbone, paths: np.ndarray) -> Preprocessing:
    """Choose the input: as asked, else as in the dataset's last run (so that a grown dataset keeps its cache)."""
    fitted = backbone.input
    earlier = _earlier_preprocessing(view, backbone)
    value_range = earlier.decode.value_range if earlier else None
    decoding = Decode(value_range or detect_value_range(_evenly(paths, _HEADERS_READ)))
    if params.image_size is not None:
        fitted = backbone.input_at(params.image_size)
        return Preprocessing(decoding, replace(fitted, mode="squash") if _are_small(paths) else fitted)
    if earlier is not None:
        return Preprocessing(decoding, earlier.input)
    if _are_small(paths) and not is_classifier(params.backbone):
        # Nothing is gained by blowing 28 pixels up to 224, and a centre crop would cut off an eighth of them.
        size = backbone.size_at_most(max(32, fitted.size * 5 // 7 // 32 * 32))
        fitted = replace(fitted, mode="squash", size=size)
    return Preprocessing(decoding, fitted)


def _range_still_needed(preprocessing: Preprocessing, failures: tuple[Failure, ...]) -> tuple[float, float] | None:
    """Return the value range of images of more than 8 bits that a look at some of the headers had missed."""
    if preprocessing.decode.value_range is not None:
        return None
    return detect_value_range([failure.path for failure in failures if NEEDS_RANGE in failure.reason])


def _evenly(paths: np.ndarray, count: int) -> list[str]:
    return [str(path) for path in paths[:: max(1, len(paths) // count)]]


def _earlier_preprocessing(view: Collection, backbone: Backbone) -> Preprocessing | None:
    for run in runs.list_runs(view):
        same = run.key == RUN and run.params.get("weights") == backbone.weights_hash
        if same and run.params.get("image_size") is None:
            return Preprocessing.from_dict(run.params["preprocessing"])
    return None


def _are_small(paths: np.ndarray) -> bool:
    """Tell whether the median of the longer sides, over some files evenly spaced, is at most 96 pixels."""
    sides = []
    for path in _evenly(paths, _HEADERS_READ):
        try:
            with Image.open(Path(path)) as image:
                sides.append(max(image.size))
        except (OSError, SyntaxError, ValueError):
            continue
    return bool(sides) and float(np.median(sides)) <= _SMALL_SIDE
