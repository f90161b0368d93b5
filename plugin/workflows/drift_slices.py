"""Which parts of the checked images drift most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..curation.drift import Drift
from ..datasets.slice_values import read_slice_values
from ..training.slices import slice_rows
from .drift_images import Described
from .drift_sides import Side

PREDICTED = "predicted class"  # no name of a field
_AS_USUAL, _WEIGHT = 0.5, 5  # a score, and as so many images of it a slice is counted beside its own


@dataclass(frozen=True)
class SliceDrift:
    """How far images that share a value drift.

    Attributes:
        field: What was sliced by; `PREDICTED` for the class that the classifier predicts.
        value: The value that they share.
        images: How many.
        novel: How many of them are unlike anything trained on.
        score: Mean of their drift scores, 0..1; 0.5 = as usual among the reference images.
    """

    field: str
    value: str
    images: int
    novel: int
    score: float


def drifting_slices(side: Side, current: Described, drift: Drift, fields: Sequence[str]) -> tuple[SliceDrift, ...]:
    """Return the slices by class and by these fields; of each field those first that drift most.

    A small slice comes before a large one only where its score is clearly higher.

    Raises:
        FieldError: See `datasets.slice_values.read_slice_values`.
    """
    found: list[SliceDrift] = []
    for field, values in [*_by_class(current), *_by_fields(side, current, fields)]:
        slices = [_slice(field, name, drift, rows) for name, rows in slice_rows(values)]
        found += sorted((each for each in slices if each.images), key=_clearly_drifting)
    return tuple(found)


def _by_class(current: Described) -> list[tuple[str, list[Any]]]:
    if current.probabilities is not None:
        names = np.array([*current.classes, None], object)
        known = np.isfinite(current.probabilities).all(axis=1)
        return [(PREDICTED, names[np.where(known, current.probabilities.argmax(axis=1), -1)].tolist())]
    if current.samples.label_field is None:
        return []
    return [(current.samples.label_field, np.array([*current.samples.classes, None])[current.samples.labels].tolist())]


def _by_fields(side: Side, current: Described, fields: Sequence[str]) -> list[tuple[str, list[Any]]]:
    return [(field, read_slice_values(side.collection, current.samples.ids, field)) for field in fields]


def _slice(field: str, value: str, drift: Drift, rows: np.ndarray) -> SliceDrift:
    scores = drift.scores[rows]
    known = scores[np.isfinite(scores)]
    score = round(float(known.mean()), 4) if len(known) else _AS_USUAL
    return SliceDrift(field, value, len(known), int(drift.novel[rows].sum()), score)


def _clearly_drifting(found: SliceDrift) -> tuple[float, str]:
    shrunk = (found.score * found.images + _AS_USUAL * _WEIGHT) / (found.images + _WEIGHT)
    return -round(shrunk, 4), found.value
