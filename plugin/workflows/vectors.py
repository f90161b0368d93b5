"""What every job of curation starts from: a collection's samples with one vector an image."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..cluster.warming import ClusterParams, warm_cache
from ..datasets import runs
from ..datasets.fields import write_values
from ..datasets.samples import Samples, read_samples
from ..datasets.views import Collection
from ..errors import DataError
from ..failures import Failure
from ..membership import is_among
from ..progress import Progress, silent
from ..training.as_backbone import backbone_of, is_classifier
from ..vision.backbones import Backbone
from ..vision.cache import Storage
from ..vision.decoder import NEEDS_RANGE, Decode
from ..vision.embeddings import Embeddings, embed_images
from ..vision.preprocessing import Input, Preprocessing
from ..vision.value_range import detect_value_range

RUN = "winnow_embeddings"
FAILURE_FIELD = "winnow_failure"
_SMALL_SIDE = 96
_HEADERS_READ = 200


@dataclass(frozen=True)
class VectorParams(ClusterParams):
    """How images become vectors.

    Attributes:
        backbone: "lite0" (embedded), a timm name, or the folder of a classifier; see `load_backbone`.
        image_size: Side of the network's input in pixels; None = the backbone's own, smaller for small images.
        batch_size: Images a forward pass.
        storage: How the cache keeps vectors: "float32", or "float16" for half the disk space.
        verify: Read every file again, also those that have not changed since they were last read.
        cluster, store: Which machines compute the vectors, see `ClusterParams`.
    """

    backbone: str = "lite0"
    image_size: int | None = None
    batch_size: int = 32
    storage: Storage = "float32"
    verify: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.storage not in ("float32", "float16"):
            raise DataError(f"storage must be float32 or float16, got '{self.storage}'")
        if self.batch_size < 1:
            raise DataError(f"batch_size must be at least 1, got {self.batch_size}")


@dataclass(frozen=True, eq=False)
class Embedded:
    """The readable samples of a collection with their vectors.

    Attributes:
        samples: The m samples that could be read.
        vectors: (m, d) float32.
        thumbnails: (m, 32, 32) uint8; (0, 32, 32) where they were not asked for.
        digests: (m, 32) uint8. SHA-256 of each file's bytes.
        failures: The samples that could not be read.
        computed: Vectors that were not in the cache.
        backbone: The network.
        preprocessing: How files became its input.
    """

    samples: Samples
    vectors: np.ndarray
    thumbnails: np.ndarray
    digests: np.ndarray
    failures: tuple[Failure, ...]
    computed: int
    backbone: Backbone
    preprocessing: Preprocessing

    @property
    def space(self) -> str:
        """What the vectors depend on beside the files."""
        return f"{self.backbone.weights_hash} {self.preprocessing.hash()}"


def embed_collection(
    view: Collection,
    params: VectorParams,
    *,
    label_field: str | None = None,
    split_field: str | None = None,
    need_labels: bool = False,
    thumbnails: bool = True,
    on_disk: bool | None = False,
    progress: Progress = silent,
) -> Embedded:
    """Read a collection, embed it, mark the samples that could not be read, and remember how it was done.

    `on_disk`: the vectors are memory-mapped, see `embed_images`.

    Raises:
        DataError, FieldError: See `datasets.samples.read_samples`; also where no image can be read.
    """
    samples = read_samples(view, label_field, split_field, need_labels=need_labels)
    made = embed_files(
        view, RUN, samples.ids, samples.paths, params, thumbnails=thumbnails, on_disk=on_disk, progress=progress
    )
    failures = made.found.failures
    mark_failures(view, {failure.id: failure.reason for failure in failures})
    check_any(made.found.ids, failures, "images")
    save_vectors(view, RUN, params, made)
    return Embedded(
        samples=select_samples(samples, is_among(samples.ids, made.found.ids)),
        vectors=made.found.vectors,
        thumbnails=made.found.thumbnails,
        digests=made.found.digests,
        failures=failures,
        computed=made.found.computed,
        backbone=made.backbone,
        preprocessing=made.preprocessing,
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


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of files, or of boxes in them, and how they were made."""

    found: Embeddings
    backbone: Backbone
    preprocessing: Preprocessing


def embed_files(
    view: Collection,
    key: str,
    ids: np.ndarray,
    paths: np.ndarray,
    params: VectorParams,
    *,
    boxes: np.ndarray | None = None,
    thumbnails: bool = False,
    on_disk: bool | None = False,
    progress: Progress = silent,
) -> Vectors:
    """Embed files, or boxes in them.

    Args:
        view: Whose files they are.
        key: Run that remembers how it was done: a grown dataset is prepared as it was, so that it keeps its cache.
        ids, paths, boxes, thumbnails, on_disk, progress: See `vision.embeddings.embed_images`.
        params: How images become vectors.
    """
    backbone = backbone_of(params.backbone)
    earlier = _earlier_preprocessing(view, key, backbone)
    value_range = earlier.decode.value_range if earlier else None
    decoding = Decode(value_range or detect_value_range([str(path) for path in _evenly(paths)]))
    preprocessing = Preprocessing(decoding, _input(backbone, params, earlier, paths, boxes))

    def embed(preprocessing: Preprocessing) -> Embeddings:
        if params.cluster:
            warm_cache(
                paths,
                backbone,
                preprocessing,
                params,
                boxes=boxes,
                batch_size=params.batch_size,
                storage=params.storage,
                verify=params.verify,
                progress=progress,
            )
        return embed_images(
            ids,
            paths,
            backbone,
            preprocessing,
            boxes=boxes,
            batch_size=params.batch_size,
            thumbnails=thumbnails,
            storage=params.storage,
            verify=params.verify and not params.cluster,  # workers have read every file
            on_disk=on_disk,
            progress=progress,
        )

    found = embed(preprocessing)
    if value_range := _range_still_needed(preprocessing, found.failures):
        preprocessing = replace(preprocessing, decode=replace(preprocessing.decode, value_range=value_range))
        found = embed(preprocessing)
    return Vectors(found, backbone, preprocessing)


def mark_failures(view: Collection, reasons: dict[str, str]) -> None:
    """Write why samples could not be used, by sample id; the others of the view lose their mark."""
    write_values(view, FAILURE_FIELD, list(reasons), list(reasons.values()), kind="str")


def check_any(ids: np.ndarray, failures: tuple[Failure, ...], units: str) -> None:
    """Make sure that there is something to go on with.

    Raises:
        DataError: There is not.
    """
    if not len(ids):
        first = failures[0]
        raise DataError(f"none of the {len(failures)} {units} can be read; the first, '{first.path}': {first.reason}.")


def save_vectors(view: Collection, key: str, params: VectorParams, made: Vectors) -> None:
    """Remember how vectors were made as the run `key`."""
    runs.save_run(
        view,
        key,
        method="compute_embeddings",
        params={
            **asdict(params),
            "preprocessing": made.preprocessing.to_dict(),
            "weights": made.backbone.weights_hash,
        },
        fields=[FAILURE_FIELD],
        summary={"images": len(made.found.ids), "failures": len(made.found.failures)},
    )


def _input(
    backbone: Backbone, params: VectorParams, earlier: Preprocessing | None, paths: np.ndarray, boxes: np.ndarray | None
) -> Input:
    fitted = backbone.input
    if params.image_size is not None:
        fitted = backbone.input_at(params.image_size)
        return replace(fitted, mode="squash") if _are_small(paths, boxes) else fitted
    if earlier is not None:
        return earlier.input
    if _are_small(paths, boxes) and not is_classifier(params.backbone):
        # Nothing is gained by blowing 28 pixels up to 224, and a centre crop would cut off an eighth of them.
        size = backbone.size_at_most(max(32, fitted.size * 5 // 7 // 32 * 32))
        return replace(fitted, mode="squash", size=size)
    return fitted


def _range_still_needed(preprocessing: Preprocessing, failures: tuple[Failure, ...]) -> tuple[float, float] | None:
    """Return the value range of images of more than 8 bits that a look at some of the headers had missed."""
    if preprocessing.decode.value_range is not None:
        return None
    return detect_value_range([failure.path for failure in failures if NEEDS_RANGE in failure.reason])


def _evenly(items: np.ndarray) -> np.ndarray:
    """Return some 200 of the items: so many headers are read for a first look."""
    return items[:: max(1, len(items) // _HEADERS_READ)]


def _earlier_preprocessing(view: Collection, key: str, backbone: Backbone) -> Preprocessing | None:
    for run in runs.list_runs(view):
        same = run.key == key and run.params.get("weights") == backbone.weights_hash
        if same and run.params.get("image_size") is None:
            return Preprocessing.from_dict(run.params["preprocessing"])
    return None


def _are_small(paths: np.ndarray, boxes: np.ndarray | None) -> bool:
    """Tell whether the median of the longer sides, over some evenly spaced, is at most 96 pixels."""
    sides = []
    for row in _evenly(np.arange(len(paths))):
        try:
            with Image.open(Path(paths[row])) as image:
                width, height = image.size
        except (OSError, SyntaxError, ValueError):
            continue
        share_x, share_y = (1.0, 1.0) if boxes is None else boxes[row, 2:]
        sides.append(max(width * share_x, height * share_y))
    return bool(sides) and float(np.median(sides)) <= _SMALL_SIDE
