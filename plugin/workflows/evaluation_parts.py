"""What evaluations of one and of several labels an image share: rows, slices, and how figures are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..datasets.samples import Samples
from ..datasets.slice_values import read_slice_values
from ..datasets.views import Collection
from ..training.class_scores import ClassScores
from ..training.intervals import Interval
from ..training.slices import slice_rows
from .wording import rounded

RUN = "winnow_evaluation"
_MOST_TOLD = 5
_OPTIMISTIC = (
    "there is no test split, so images that the classifier was trained on are among these: an optimistic figure"
)


@dataclass(frozen=True)
class SliceScore:
    """How good the predictions for a part of the images are.

    Attributes:
        field: What was sliced by.
        value: The value that the images share.
        images: How many have a label and a prediction.
        score: Accuracy, or micro F1 where an image may have several labels.
        interval: Its 95 % interval.
    """

    field: str
    value: str
    images: int
    score: float
    interval: Interval


def judged_rows(samples: Samples, labelled: np.ndarray) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Return the (n,) bool rows to measure on, what they are, and what a reader should know of that.

    Args:
        samples: n samples.
        labelled: (n,) bool. Those with a label.
    """
    for name in ("test", "validation"):
        rows = samples.splits == name
        if (rows & labelled).any():
            return rows, name, ()
    return np.ones(len(samples), bool), "all labelled images", (_OPTIMISTIC,)


def score_slices(
    view: Collection,
    ids: np.ndarray,
    fields: Sequence[str],
    rows: np.ndarray,
    score: Callable[[np.ndarray], tuple[int, float, Interval]],
) -> tuple[SliceScore, ...]:
    """Score each slice, the worst first: by the upper end of the interval, so that a few unlucky images don't lead.

    Args:
        view: The collection.
        ids: (n,) object. Samples.
        fields: What to slice by.
        rows: (n,) bool. The samples that are judged at all.
        score: (n,) bool rows -> images, score and interval.

    Raises:
        FieldError: See `datasets.slice_values.read_slice_values`.
    """
    found = []
    for field in dict.fromkeys(fields):
        values = read_slice_values(view, ids[rows], field)
        for value, members in slice_rows(values):
            inside = rows.copy()
            inside[rows] = members
            images, reached, interval = score(inside)
            if images:
                found.append(SliceScore(field, value, images, reached, interval))
    return tuple(sorted(found, key=lambda each: (each.interval[1], each.score, each.field, each.value)))


def slice_lines(slices: Sequence[SliceScore], metric: str) -> list[str]:
    """Return a table, the worst slice first."""
    if not slices:
        return []
    rows = [
        f"| {each.field} | {each.value} | {each.images:,} | {each.score:.1%} | {interval_text(each.interval)} |"
        for each in slices
    ]
    return ["", f"| slice by | value | images | {metric} | 95 % interval |", "|---|---|---|---|---|", *rows, ""]


def class_rows(scores: ClassScores, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the metrics of each class by its name, plain JSON."""
    return {
        names[number]: {
            "support": int(scores.support[row]),
            "predicted": int(scores.predicted[row]),
            **{
                metric: rounded(float(getattr(scores, metric)[row]))
                for metric in ("precision", "recall", "f1", "roc_auc", "average_precision")
            },
        }
        for row, number in enumerate(scores.classes)
    }


def weakest_classes(scores: ClassScores, names: Sequence[str]) -> str:
    """Return the classes of the lowest F1 that have labels, as in "cat (F1 61.2% of 40)"."""
    labelled = [row for row in range(len(scores.classes)) if scores.support[row]]
    worst = sorted(labelled, key=lambda row: (scores.f1[row], row))[:_MOST_TOLD]
    return ", ".join(
        f"{names[scores.classes[row]]} (F1 {scores.f1[row]:.1%} of {scores.support[row]:,})" for row in worst
    )


def probability_metrics(measured: Any) -> Iterator[str]:
    """Yield the metrics of probabilities that are known, each as a few words."""
    if not np.isnan(measured.roc_auc):
        yield f"ROC-AUC {measured.roc_auc:.3f}"
        yield f"average precision {measured.average_precision:.3f}"
    if getattr(measured, "k", 0):
        yield f"top-{measured.k} {measured.top_k:.1%}"
    if not np.isnan(measured.calibration_error):
        yield f"expected calibration error {measured.calibration_error:.3f}"


def metrics_of(measured: Any) -> dict[str, Any]:
    """Return a dataclass of metrics as plain JSON; NaN becomes null."""
    return {name: rounded(value) for name, value in asdict(measured).items()}


def interval_text(interval: Interval) -> str:
    """Return the ends in percent."""
    return f"{interval[0]:.1%} to {interval[1]:.1%}"
