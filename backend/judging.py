"""Is a new classifier better than the one that is served? A paired test on images that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..plugin.errors import DataError
from ..plugin.progress import Progress
from ..plugin.training.classifier import Classifier
from ..plugin.training.comparison import compare
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

    Where at least `least_blind` of them were labelled blind, those alone count. With one label an image, `accuracy` is
    the share of right images; with several, that of images of which all known classes are decided for rightly.

    Returns:
        `images`, `judged_on` ("blind labels" or "all labels"), `accuracy` and `macro_f1` (None with several labels) of
        `new` and `serving`, `gain` (new less serving) with its 95 % `interval`, `p_value` (McNemar's exact test),
        `only_new_right`, `only_serving_right`, `unreadable`, and `notes`.

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
        # Each image is right or wrong as a whole: its decisions are not independent of each other.
        found = compare(np.zeros(len(truth), int), _wrong(truth, first).astype(int), _wrong(truth, second).astype(int))
    else:
        found = compare(truth.argmax(axis=1), _numbers(first), _numbers(second))
    return {
        "images": found.images,
        "judged_on": "blind labels" if enough else "all labels",
        "accuracy": _both(found.accuracy),
        "macro_f1": None if images.multilabel else _both(found.macro_f1),
        "gain": round(found.accuracy_gain, 4),
        "interval": [round(bound, 4) for bound in found.accuracy_interval],
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


def _wrong(truth: np.ndarray, decided: np.ndarray) -> np.ndarray:
    known = np.isfinite(truth)
    return (known & (decided[:, :-1] != (truth == 1))).any(axis=1)


def _both(values: tuple[float, float]) -> dict[str, float]:
    return {"new": round(values[0], 4), "serving": round(values[1], 4)}
