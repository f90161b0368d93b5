"""Is a new classifier better than the one that is served? A paired test on images that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..plugin.errors import DataError
from ..plugin.progress import Progress
from ..plugin.training.classifier import Classifier
from ..plugin.training.comparison import compare, compare_several
from ..plugin.training.inference import predict_in_chunks

LEANS = (
    "the labels that both are judged by were given, at least in part, with the serving classifier's predictions in "
    "sight, so they lean towards it"
)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Images to judge by.

    Attributes:
        paths: (n,) object.
        present: (n, k) float in {0, 1, NaN}: absent, present, not known; with one label an image one 1 a row.
        classes: k names.
        blind: (n,) bool. Labelled without a prediction in sight.
        multilabel: Whether an image may have several labels.
    """

    paths: np.ndarray
    present: np.ndarray
    classes: tuple[str, ...]
    blind: np.ndarray
    multilabel: bool


def judge(
    new: Classifier, serving: Classifier, images: HeldOut, least_blind: int, progress: Progress
) -> dict[str, Any]:
    """Compare two classifiers on held-out images, as plain JSON.

    Where at least `least_blind` of them were labelled blind, those alone count.

    Returns:
        `images`, `labelled_blind` (of all that are held out), `judged_on` ("blind labels" or "all labels"), `measure`
        ("accuracy", or "micro F1" where an image may have several labels), that `score` and `macro_f1` of `new` and
        `serving`, the `gain` in score (new less serving) with its 95 % `interval`, `p_value` (see
        `comparison.Comparison`), `only_new_right`, `only_serving_right`, `unreadable`, and `notes`.

    Raises:
        DataError: None of the images can be read any more.
    """
    enough = int(images.blind.sum()) >= least_blind
    rows = images.blind if enough else np.ones(len(images.blind), bool)
    truth, paths = images.present[rows], images.paths[rows]
    decided = [_decisions(each, paths, images.classes, progress) for each in (new, serving)]
    readable = decided[0][1] & decided[1][1]
    if not readable.any():
        raise DataError(f"none of {len(paths)} held-out images can be read any more. Check where they are kept.")
    truth, first, second = truth[readable], decided[0][0][readable], decided[1][0][readable]
    if images.multilabel:
        found = compare_several(truth, first[:, :-1].astype(float), second[:, :-1].astype(float))
    else:
        found = compare(truth.argmax(axis=1), _numbers(first), _numbers(second))
    return {
        "images": found.images,
        "labelled_blind": int(images.blind.sum()),
        "judged_on": "blind labels" if enough else "all labels",
        "measure": "micro F1" if images.multilabel else "accuracy",
        "score": _both(found.score),
        "macro_f1": _both(found.macro_f1),
        "gain": round(found.gain, 4),
        "interval": [round(bound, 4) for bound in found.interval],
        "p_value": round(found.p_value, 4),
        "only_new_right": found.only_first,
        "only_serving_right": found.only_second,
        "unreadable": int((~readable).sum()),
        "notes": [] if enough else [LEANS],
    }


def _decisions(
    classifier: Classifier, paths: np.ndarray, classes: Sequence[str], progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, k + 1) bool, the last column being classes that are not among the k, and (n,) bool: what was read."""
    column = {name: number for number, name in enumerate(classes)}
    columns = [column.get(name, len(classes)) for name in classifier.classes]
    decided = np.zeros((len(paths), len(classes) + 1), bool)
    readable = np.zeros(len(paths), bool)
    for found in predict_in_chunks(classifier, paths, progress=progress):
        readable[found.rows] = True
        for number, to in enumerate(columns):
            decided[found.rows, to] |= found.present[:, number]
    return decided, readable


def _numbers(decided: np.ndarray) -> np.ndarray:
    """Return the class that was decided for; the number behind the last one for none or another."""
    return np.where(decided.any(axis=1), decided.argmax(axis=1), decided.shape[1] - 1)


def _both(values: tuple[float, float]) -> dict[str, float]:
    return {"new": round(values[0], 4), "serving": round(values[1], 4)}
