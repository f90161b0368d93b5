"""The images, or detections, most like a suspicious one whose labels can be trusted, by vectors in the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import fiftyone as fo
import numpy as np

from ..datasets.documents import Document, read_documents, read_paths
from ..datasets.label_decisions import ABOUT, CONFIRMING, DECISION, UNSURE
from ..datasets.multi_label_decisions import names_of, standing_decisions
from ..datasets.multi_labels import multi_label_fields
from ..datasets.patches import Patches, box_numbers, label_path, read_patches
from ..datasets.runs import SavedRun, list_runs
from ..datasets.views import Collection, dataset_of, every_image
from ..vision.cached_vectors import cached_directions
from ..vision.preprocessing import Preprocessing
from .patch_vectors import PATCHES_RUN
from .vectors import RUN

MOST = 8
_LOOKED_AT = 64  # nearest images, among which those with a good label are looked for
_MOST_IMAGES = 60_000  # that are searched: vectors of 1,280 numbers take 300 MB then


Shown = tuple[str, str, list[float] | None]
"""Path and label of what can be trusted, and the box of a detection."""


@dataclass(frozen=True)
class Neighbour:
    """An image, or a detection, whose label is not flagged, or was confirmed.

    Attributes:
        id: Of the sample, or of the detection.
        image: Path of the file.
        label: Its class.
        similarity: Cosine of the vectors, in [-1, 1].
        box: Of a detection, see `vision.boxes`; None = the whole image.
    """

    id: str
    image: str
    label: str
    similarity: float
    box: list[float] | None = None

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Searched:
    """Unit vectors (m, d) float32 of images or detections.

    Attributes:
        ids: (m,) object. Of the samples or detections.
        samples: (m,) object. Of the samples.
        vectors: See above.
    """

    ids: np.ndarray
    samples: np.ndarray
    vectors: np.ndarray


def nearest_good_labels(
    view: Collection, ids: Sequence[str], label_field: str, issue_field: str | None
) -> dict[str, list[Neighbour]]:
    """Return sample id -> at most 8 images that are most like it and whose labels can be trusted, the nearest first.

    Nothing is computed but similarities: an image that is not in the cache of embeddings has no neighbours, and is
    none. Of more than 60,000 images every second, third, ... is searched.

    Args:
        view: Any collection of the dataset.
        ids: Sample ids.
        label_field: Field of the labels.
        issue_field: Field that is true for flagged labels; None = none are.
    """
    run = _last_run(view, RUN)
    if run is None or not ids:
        return {}
    paths = {str(key): held["filepath"] for key, held in read_documents(view, ids, ["filepath"], {})}
    asked = _looked_up(run, list(paths), list(paths), list(paths.values()))
    searched = _searched(dataset_of(view).name, None, run.made)
    return _nearest_good(
        asked, searched, lambda rows: _good_labels(view, searched.ids[rows].tolist(), label_field, issue_field)
    )


def nearest_good_patches(
    view: Collection, patches: Mapping[str, tuple[str, object]], patches_field: str, issue: str | None
) -> dict[str, list[Neighbour]]:
    """Return the same for detections, by their ids.

    Args:
        view: Any collection of the dataset.
        patches: Detection id -> path of its file, and its box as it is stored.
        patches_field: Field of the detections.
        issue: Attribute that is true for flagged labels; None = none are.
    """
    run = _last_run(view, PATCHES_RUN)
    if run is None or not patches:
        return {}
    paths, boxes = zip(*patches.values(), strict=True)
    asked = _looked_up(run, list(patches), list(patches), paths, np.array([box_numbers(box) for box in boxes]))
    searched = _searched(dataset_of(view).name, patches_field, run.made)
    return _nearest_good(asked, searched, lambda rows: _good_patches(view, searched, rows, patches_field, issue))


def _last_run(view: Collection, key: str) -> SavedRun | None:
    return next((run for run in list_runs(view) if run.key == key), None)


def _nearest_good(
    asked: _Searched, searched: _Searched, good_of: Callable[[np.ndarray], dict[str, Shown]]
) -> dict[str, list[Neighbour]]:
    """Return the neighbours of what is asked for; `good_of` tells which of (k,) rows of the searched can be trusted."""
    if not len(searched.ids) or not len(asked.ids):
        return {}
    similarity = (asked.vectors @ searched.vectors.T).round(4)
    similarity[asked.ids[:, None] == searched.ids[None, :]] = -2  # not its own neighbour
    nearest = _nearest(similarity)
    good = good_of(np.unique(nearest))
    found: dict[str, list[Neighbour]] = {}
    for row, key in enumerate(asked.ids):
        columns = [column for column in nearest[row] if searched.ids[column] in good and similarity[row, column] > -2]
        found[key] = [_neighbour(searched.ids[at], float(similarity[row, at]), good) for at in columns[:MOST]]
    return found


def _neighbour(key: str, similarity: float, good: Mapping[str, Shown]) -> Neighbour:
    path, label, box = good[key]
    return Neighbour(key, path, label, round(similarity, 4), box)


@lru_cache(maxsize=1)
def _searched(name: str, patches_field: str | None, _made: str) -> _Searched:
    """Return the vectors of a dataset's images, or of the patches of a field, at most 60,000.

    Kept for the pages that follow: reading them takes longer than searching them. `_made` tells those of one embedding
    from those of the next.
    """
    dataset = fo.load_dataset(name)
    run = _last_run(dataset, RUN if patches_field is None else PATCHES_RUN)
    assert run is not None  # the caller has looked
    if patches_field is None:
        ids, paths = read_paths(dataset)
        some = slice(None, None, _step(len(ids)))
        return _looked_up(run, ids[some], ids[some], paths[some])
    patches = _some_patches(dataset, patches_field)
    return _looked_up(run, patches.ids, patches.sample_ids, patches.paths, patches.boxes)


def _some_patches(dataset: fo.Dataset, field: str) -> Patches:
    """Read the patches of a field, of at most 60,000 images and at most 60,000 of them."""
    images = every_image(dataset).match({label_path(dataset, field): {"$nin": [None, []]}})
    if (step := _step(images.count())) > 1:
        images = images.select(images.values("id")[::step])
    patches = read_patches(images, field)
    return patches.select(np.arange(len(patches)) % _step(len(patches)) == 0)


def _step(count: int) -> int:
    return max(1, -(-count // _MOST_IMAGES))


def _looked_up(
    run: SavedRun,
    ids: Sequence[str] | np.ndarray,
    samples: Sequence[str] | np.ndarray,
    paths: Sequence[str] | np.ndarray,
    boxes: np.ndarray | None = None,
) -> _Searched:
    preprocessing = Preprocessing.from_dict(run.params["preprocessing"])
    weights, storage = run.params["weights"], run.params["storage"]
    known, vectors = cached_directions(paths, weights, preprocessing, storage, boxes=boxes)
    return _Searched(np.array(ids, object)[known], np.array(samples, object)[known], vectors)


def _nearest(similarity: np.ndarray) -> np.ndarray:
    """Return the columns of the largest values of each row, at most 64, the largest first; ties go by column."""
    most = min(_LOOKED_AT, similarity.shape[1])
    columns = np.sort(np.argpartition(-similarity, most - 1, axis=1)[:, :most], axis=1)
    order = np.argsort(-np.take_along_axis(similarity, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _good_labels(view: Collection, ids: Sequence[str], label_field: str, issue_field: str | None) -> dict[str, Shown]:
    """Return sample id -> what is shown of those whose label is not flagged, or was confirmed."""
    fields = [label_field, "filepath", *([issue_field] if issue_field else [])]
    several = label_field in multi_label_fields(view)
    labelled = {label_field if several else f"{label_field}.label": {"$ne": None}}
    good: dict[str, Shown] = {}
    for key, held in read_documents(view, ids, fields, labelled):
        name, decisions = (_of_several if several else _of_one)(held[label_field])
        if _is_good(decisions, flagged=bool(issue_field and held.get(issue_field))):
            good[str(key)] = (held["filepath"], name, None)
    return good


def _good_patches(
    view: Collection, searched: _Searched, rows: np.ndarray, patches_field: str, issue: str | None
) -> dict[str, Shown]:
    """Return the same of detections, by their ids."""
    wanted, good = set(searched.ids[rows]), dict[str, Shown]()
    samples = sorted(set(searched.samples[rows]))
    for _, held in read_documents(view, samples, [patches_field, "filepath"], {patches_field: {"$ne": None}}):
        labels = held[patches_field].get("detections", [held[patches_field]])
        for label in labels:
            if (key := str(label["_id"])) not in wanted or label.get("label") is None:
                continue
            name, decisions = _of_one(label)
            if _is_good(decisions, flagged=bool(issue and label.get(issue))):
                good[key] = (held["filepath"], name, label["bounding_box"])
    return good


def _is_good(decisions: set[str], *, flagged: bool) -> bool:
    """Tell whether a label can be trusted: a person confirmed it, or nobody doubts it."""
    return decisions <= set(CONFIRMING) if decisions else not flagged


def _of_one(label: Document) -> tuple[str, set[str]]:
    """Return how a label is shown, and what was decided about it as it is now."""
    stands = label.get(DECISION) is not None and label.get(ABOUT) == label["label"]
    return label["label"], {label[DECISION]} if stands else set()


def _of_several(labels: Document) -> tuple[str, set[str]]:
    """Return the same of the labels of an image that may have several: one that is confirmed vouches for no other."""
    decided = {each["decision"] for each in standing_decisions(labels)}
    return ", ".join(sorted(names_of(labels))) or "none", decided & {UNSURE}
