"""The images most like a suspicious one whose labels can be trusted, found by vectors that are in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import fiftyone as fo
import numpy as np

from ..datasets.documents import Document, read_documents, read_paths
from ..datasets.label_decisions import ABOUT, CONFIRMING, DECISION, UNSURE
from ..datasets.multi_label_decisions import names_of, standing_decisions
from ..datasets.multi_labels import multi_label_fields
from ..datasets.runs import SavedRun, list_runs
from ..datasets.views import Collection, dataset_of
from ..vision.cached_vectors import cached_directions
from ..vision.preprocessing import Preprocessing
from .vectors import RUN

MOST = 8
_LOOKED_AT = 64  # nearest images, among which those with a good label are looked for
_MOST_IMAGES = 60_000  # that are searched: vectors of 1,280 numbers take 300 MB then


@dataclass(frozen=True)
class Neighbour:
    """An image whose label is not flagged, or was confirmed.

    Attributes:
        id: Of the sample.
        image: Path of the file.
        label: Its class.
        similarity: Cosine of the vectors, in [-1, 1].
    """

    id: str
    image: str
    label: str
    similarity: float

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"id": self.id, "image": self.image, "label": self.label, "similarity": self.similarity}


@dataclass(frozen=True, eq=False)
class _Searched:
    """Unit vectors (m, d) float32 of the samples `ids` (m,) object, in ascending order."""

    ids: np.ndarray
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
    run = next((run for run in list_runs(view) if run.key == RUN), None)
    if run is None or not ids:
        return {}
    searched = _searched(dataset_of(view).name, run.made)
    asked = _vectors_of(view, run, ids)
    if not len(searched.ids) or not len(asked.ids):
        return {}
    similarity = (asked.vectors @ searched.vectors.T).round(4)
    similarity[asked.ids[:, None] == searched.ids[None, :]] = -2  # not its own neighbour
    nearest = _nearest(similarity)
    good = _good_labels(view, np.unique(searched.ids[nearest]).tolist(), label_field, issue_field)
    found: dict[str, list[Neighbour]] = {}
    for row, key in enumerate(asked.ids):
        columns = [column for column in nearest[row] if searched.ids[column] in good and similarity[row, column] > -2]
        found[key] = [
            Neighbour(searched.ids[column], *good[searched.ids[column]], round(float(similarity[row, column]), 4))
            for column in columns[:MOST]
        ]
    return found


@lru_cache(maxsize=1)
def _searched(name: str, _made: str) -> _Searched:
    """Return the vectors of a dataset, at most 60,000; `_made` tells those of one embedding from those of the next.

    Kept for the pages that follow: reading them takes longer than searching them.
    """
    dataset = fo.load_dataset(name)
    run = next(run for run in list_runs(dataset) if run.key == RUN)
    ids, paths = read_paths(dataset)
    step = max(1, -(-len(ids) // _MOST_IMAGES))
    return _looked_up(run, ids[::step], paths[::step])


def _vectors_of(view: Collection, run: SavedRun, ids: Sequence[str]) -> _Searched:
    found = {str(key): held["filepath"] for key, held in read_documents(view, ids, ["filepath"], {})}
    return _looked_up(run, list(found), list(found.values()))


def _looked_up(run: SavedRun, ids: Sequence[str], paths: Sequence[str]) -> _Searched:
    preprocessing = Preprocessing.from_dict(run.params["preprocessing"])
    known, vectors = cached_directions(paths, run.params["weights"], preprocessing, run.params["storage"])
    return _Searched(np.array(ids, object)[known], vectors)


def _nearest(similarity: np.ndarray) -> np.ndarray:
    """Return the columns of the largest values of each row, at most 64, the largest first; ties go by column."""
    most = min(_LOOKED_AT, similarity.shape[1])
    columns = np.sort(np.argpartition(-similarity, most - 1, axis=1)[:, :most], axis=1)
    order = np.argsort(-np.take_along_axis(similarity, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _good_labels(
    view: Collection, ids: Sequence[str], label_field: str, issue_field: str | None
) -> dict[str, tuple[str, str]]:
    """Return sample id -> path and label of those whose label is not flagged, or was confirmed."""
    fields = [label_field, "filepath", *([issue_field] if issue_field else [])]
    several = label_field in multi_label_fields(view)
    labelled = {label_field if several else f"{label_field}.label": {"$ne": None}}
    good: dict[str, tuple[str, str]] = {}
    for key, held in read_documents(view, ids, fields, labelled):
        name, decisions = (_of_several if several else _of_one)(held[label_field])
        confirmed = bool(decisions) and decisions <= set(CONFIRMING)
        if confirmed or not (decisions or (issue_field and held.get(issue_field))):
            good[str(key)] = (held["filepath"], name)
    return good


def _of_one(label: Document) -> tuple[str, set[str]]:
    """Return how a label is shown, and what was decided about it as it is now."""
    stands = label.get(DECISION) is not None and label.get(ABOUT) == label["label"]
    return label["label"], {label[DECISION]} if stands else set()


def _of_several(labels: Document) -> tuple[str, set[str]]:
    """Return the same of the labels of an image that may have several: one that is confirmed vouches for no other."""
    decided = {each["decision"] for each in standing_decisions(labels)}
    return ", ".join(sorted(names_of(labels))) or "none", decided & {UNSURE}
