"""A classifier over any number of images, or of boxes in them: some thousand at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import entr

from ..progress import Progress, silent
from ..vision.boxes import box_faults
from ..vision.embeddings import embed_images
from ..vision.regions import regions_of
from .calibration import decide
from .classifier import Classifier
from .reading import ImageReader

CHUNK = 2_048  # images; with 1,000 classes their logits take 8 MB, and at 200 images a second ten seconds
_CACHED_NUMBERS = 1 << 26  # logits that are looked up together, 256 MB
_PRESENT = 0.5  # of several independent classes, where no thresholds are stored


@dataclass(frozen=True, eq=False)
class ImagePredictions:
    """What a classifier says of some of the images, in order.

    Attributes:
        rows: (m,) int64. Which of the images.
        logits: (m, k) float32, calibrated.
        probabilities: (m, k) float32; each row sums to 1, or holds independent probabilities.
        present: (m, k) bool. The classes that are decided for: of exclusive ones at most one.
        reasons: Row -> why an image between these got no prediction.
    """

    rows: np.ndarray
    logits: np.ndarray
    probabilities: np.ndarray
    present: np.ndarray
    reasons: dict[int, str]


def predict_in_chunks(
    classifier: Classifier,
    paths: Sequence[str] | np.ndarray,
    boxes: np.ndarray | None = None,
    *,
    batch_size: int = 32,
    chunk: int = CHUNK,
    progress: Progress = silent,
) -> Iterator[ImagePredictions]:
    """Yield the predictions of image files, `chunk` images at a time, while threads go on with the next ones.

    Args:
        classifier: Stays unchanged.
        paths: n files. One that cannot be read costs only itself.
        boxes: (n, 4) float64: what to look at in each file, see `vision.boxes`; None = the whole image. A file whose
            boxes follow each other is read about once.
        batch_size: Most images a forward pass; predictions do not depend on it (beyond 1e-4).
        chunk: Images that are yielded together.
        progress: Told after each batch; raising from it ends the work, and the chunks before it stay whole.
    """
    reader = ImageReader(classifier.preprocessing)
    rows: list[int] = []
    logits: list[np.ndarray] = []
    reasons: dict[int, str] = {}
    for row, (prepared, output) in enumerate(
        classifier.run(regions_of(paths, boxes), reader, batch_size, apart=reader.apart)
    ):
        if output is None:
            reasons[row] = prepared.reason
        elif not np.isfinite(output).all():
            reasons[row] = "the classifier gives NaN or infinity for it, though it can be decoded"
        else:
            rows.append(row)
            logits.append(output)
        is_last = row + 1 == len(paths)
        if is_last or (row + 1) % batch_size == 0:
            progress("predictions", row + 1, len(paths))
        if is_last or (row + 1) % chunk == 0:
            yield _predictions(classifier, rows, logits, reasons)
            rows, logits, reasons = [], [], {}


def cached_in_chunks(
    classifier: Classifier,
    paths: Sequence[str] | np.ndarray,
    boxes: np.ndarray | None = None,
    *,
    batch_size: int = 32,
    chunk: int = CHUNK,
    progress: Progress = silent,
) -> Iterator[ImagePredictions]:
    """Yield what `predict_in_chunks` does, from the cache where a cluster has filled it; what is missing is computed.

    Arguments are those of `predict_in_chunks`.
    """
    backbone, n = classifier.as_backbone(), len(paths)
    at_once = max(chunk, _CACHED_NUMBERS // len(classifier.classes) // chunk * chunk)
    for start in range(0, n, at_once):
        rows = np.arange(start, min(start + at_once, n))
        faults = np.full(len(rows), "") if boxes is None else box_faults(boxes[rows])
        asked = rows[faults == ""]

        def show(step: str, done: int, total: int, start: int = start) -> None:
            progress("predictions", start + done, n)

        found = embed_images(
            asked.astype(str),
            np.asarray(paths, object)[asked],
            backbone,
            classifier.preprocessing,
            boxes=None if boxes is None else boxes[asked],
            batch_size=batch_size,
            thumbnails=False,
            progress=show,
        )
        good = found.ids.astype(np.int64)
        reasons = {int(failure.id): failure.reason for failure in found.failures}
        reasons |= {int(row): str(fault) for row, fault in zip(rows, faults, strict=True) if fault}
        for first in range(start, start + len(rows), chunk):
            here = slice(*np.searchsorted(good, (first, first + chunk)))
            told = {row: reasons[row] for row in range(first, first + chunk) if row in reasons}
            yield _predictions(classifier, good[here].tolist(), list(found.vectors[here]), told)


def uncertainty(probabilities: np.ndarray, *, multilabel: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return how unsure a classifier is: the (n,) entropy and the (n,) margin of (n, k) probabilities.

    Exclusive classes: Shannon's entropy divided by log k, 0 = certain and 1 = all classes alike; and the largest
    probability less the second. Independent ones: the mean entropy of the k decisions, each divided by log 2; and the
    margin |2 p - 1| of the least certain of them. (Settles, Active Learning Literature Survey, 2009, section 3.1.)
    """
    p = probabilities.astype(np.float64)
    if multilabel:
        return (entr(p) + entr(1 - p)).mean(axis=1) / np.log(2), np.abs(2 * p - 1).min(axis=1)
    top = np.partition(p, -2, axis=1)[:, -2:]
    return entr(p).sum(axis=1) / np.log(p.shape[1]), top[:, 1] - top[:, 0]


def _predictions(
    classifier: Classifier, rows: list[int], logits: list[np.ndarray], reasons: dict[int, str]
) -> ImagePredictions:
    outputs = np.array(logits, np.float32).reshape(len(rows), len(classifier.classes))
    probabilities = classifier.probabilities(outputs)
    return ImagePredictions(
        np.array(rows, np.int64), outputs, probabilities, _present(classifier, probabilities), reasons
    )


def _present(classifier: Classifier, probabilities: np.ndarray) -> np.ndarray:
    """Return the (m, k) bool of the classes that are decided for."""
    k = len(classifier.classes)
    if classifier.multilabel:
        return decide(probabilities, classifier.thresholds or [_PRESENT] * k, multilabel=True)
    return decide(probabilities, classifier.thresholds or [0.0] * k)[:, None] == np.arange(k)
