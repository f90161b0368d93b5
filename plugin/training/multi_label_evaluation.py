"""How good predictions are where an image may have several labels; what nobody annotated counts neither way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .calibration import expected_calibration_error
from .class_scores import ClassScores, rank_score
from .intervals import Interval, exact_interval, percentile_intervals

_NAN = math.nan
_NO_INTERVAL = (_NAN, _NAN)


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """Metrics over the images that have both annotations and a prediction; NaN where a metric is not defined.

    Attributes:
        images: How many those are.
        without_label: Images left out because no class of theirs is annotated.
        without_prediction: Images left out because they are annotated but have no prediction.
        coverage: Share of the annotated images that have a prediction.
        annotated: Pairs of image and class that are annotated, among `images`.
        exact_match: Share of the images all of whose annotated classes are predicted rightly.
        interval: 95 % interval of the exact matches, by the bootstrap over images.
        micro_precision: Over all pairs of image and class.
        micro_recall: Likewise.
        micro_f1: Likewise.
        micro_f1_interval: 95 % interval.
        macro_precision: Mean over the classes that are present or predicted in an image, 0 for one never predicted.
        macro_recall: Mean over the same classes, 0 for one that is never present.
        macro_f1: Mean over the same classes.
        f1_interval: 95 % interval of the macro F1.
        roc_auc: Mean over the classes that are present in some images and absent in others. NaN without
            probabilities, as the two that follow.
        average_precision: Mean over the same classes, known as mAP.
        calibration_error: Expected calibration error of the probabilities of all pairs.
    """

    images: int
    without_label: int
    without_prediction: int
    coverage: float = _NAN
    annotated: int = 0
    exact_match: float = _NAN
    interval: Interval = _NO_INTERVAL
    micro_precision: float = _NAN
    micro_recall: float = _NAN
    micro_f1: float = _NAN
    micro_f1_interval: Interval = _NO_INTERVAL
    macro_precision: float = _NAN
    macro_recall: float = _NAN
    macro_f1: float = _NAN
    f1_interval: Interval = _NO_INTERVAL
    roc_auc: float = _NAN
    average_precision: float = _NAN
    calibration_error: float = _NAN


def evaluate_multi_label(
    labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray | None = None, seed: int = 0
) -> tuple[MultiLabelEvaluation, ClassScores]:
    """Compare several labels an image with predictions.

    Args:
        labels: (n, k) in {0, 1, NaN}; NaN = not annotated, which is not absent.
        predicted: (n, k) in {0, 1, NaN}; a row with NaN has no prediction.
        probabilities: (n, k) in 0..1, independent of each other, NaN where there are none.
        seed: Of the resampling.

    Returns:
        The metrics of all classes, and those of each of the k classes.

    Raises:
        ValueError: The shapes differ.
    """
    for name, given in (("predicted", predicted), ("probabilities", probabilities)):
        if given is not None and given.shape != labels.shape:
            raise ValueError(f"{name} must have shape {labels.shape} like labels, got {given.shape}")
    annotated, decided = np.isfinite(labels).any(axis=1), np.isfinite(predicted).all(axis=1)
    both = annotated & decided
    counts = (int(both.sum()), int((~annotated).sum()), int((annotated & ~decided).sum()))
    probabilities = np.full(labels.shape, np.nan) if probabilities is None else probabilities
    truth, claimed, probabilities = labels[both], predicted[both] == 1, probabilities[both]
    by_class = _score_classes(truth, claimed, probabilities)
    if not both.any():
        return MultiLabelEvaluation(*counts, coverage=0.0 if counts[2] else _NAN), by_class
    outcomes = _Outcomes(truth, claimed)
    micro, macro = (tuple(float(mean) for mean in means) for means in outcomes.means())
    exact, micro_f1, macro_f1 = outcomes.intervals(seed)
    stated = np.isfinite(truth) & np.isfinite(probabilities)
    evaluation = MultiLabelEvaluation(
        *counts,
        coverage=counts[0] / (counts[0] + counts[2]),
        annotated=int(np.isfinite(truth).sum()),
        exact_match=float(((truth == claimed) | np.isnan(truth)).all(axis=1).mean()),
        interval=exact,
        micro_precision=micro[0],
        micro_recall=micro[1],
        micro_f1=micro[2],
        micro_f1_interval=micro_f1,
        macro_precision=macro[0],
        macro_recall=macro[1],
        macro_f1=macro[2],
        f1_interval=macro_f1,
        roc_auc=_mean(by_class.roc_auc),
        average_precision=_mean(by_class.average_precision),
        calibration_error=expected_calibration_error(probabilities[stated], truth[stated] == 1),
    )
    return evaluation, by_class


class _Outcomes:
    """Which classes of which images are found, claimed wrongly or missed; images that are alike are one kind."""

    def __init__(self, labels: np.ndarray, claimed: np.ndarray) -> None:
        found, extra, missed = (labels == 1) & claimed, (labels == 0) & claimed, (labels == 1) & ~claimed
        codes = (found + 2 * extra + 3 * missed).astype(np.int8)
        kinds, self._counts = np.unique(codes, axis=0, return_counts=True)
        self._kinds = [(kinds == code).astype(np.float64) for code in (1, 2, 3)]
        self._faultless = (kinds <= 1).all(axis=1)

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (3,) precision, recall and F1 over all pairs of image and class, and their (3,) means over classes."""
        sums = self._sums(self._counts[None])
        over_pairs = _ratios(*(each.sum(axis=1, keepdims=True) for each in sums))
        return over_pairs[:, 0, 0], _over_classes(*sums)[:, 0]

    def intervals(self, seed: int) -> list[Interval]:
        """Return the 95 % intervals of exact matches, micro F1 and macro F1."""
        if self._faultless.all():
            return [exact_interval(self._counts.sum(), all_right=True)] * 3
        exact, *others = percentile_intervals(self._scores, self._counts, seed)
        if not self._faultless.any():
            exact = exact_interval(self._counts.sum(), all_right=False)
        return [exact, *others]

    def _sums(self, counts: np.ndarray) -> list[np.ndarray]:
        """Return how often each class is found, claimed wrongly and missed, (r, k) each, for (r, kinds) counts."""
        return [counts @ kinds for kinds in self._kinds]

    def _scores(self, counts: np.ndarray) -> np.ndarray:
        """Return (r, 3) share of exact matches, micro F1 and macro F1."""
        sums = self._sums(counts)
        micro = _ratios(*(each.sum(axis=1, keepdims=True) for each in sums))[2, :, 0]
        exact = counts @ self._faultless / counts.sum(axis=1)
        return np.stack([exact, micro, _over_classes(*sums)[2]], axis=1)


def _ratios(found: np.ndarray, extra: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return (3, r, k) precision, recall and F1 of (r, k) sums; 0 where there is nothing to divide by."""
    parts = np.stack([found, found, 2 * found])
    wholes = np.stack([found + extra, found + missed, 2 * found + extra + missed])
    return np.divide(parts, wholes, out=np.zeros_like(parts), where=wholes > 0)


def _over_classes(found: np.ndarray, extra: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return (3, r) means of precision, recall and F1 over the classes that are present or claimed; 0 without any."""
    occurs = (found + extra + missed > 0).sum(axis=1)
    return _ratios(found, extra, missed).sum(axis=2) / np.maximum(occurs, 1)


def _score_classes(labels: np.ndarray, claimed: np.ndarray, probabilities: np.ndarray) -> ClassScores:
    """Score each of the k classes on the images where it is annotated."""
    known, columns = np.isfinite(labels), range(labels.shape[1])
    found, extra, missed = (
        (((labels == present) & (claimed == predicted)).sum(axis=0)[None]).astype(float)
        for present, predicted in ((1, True), (0, True), (1, False))
    )
    precision, recall, f1 = _ratios(found, extra, missed)[:, 0]
    support, times = (found + missed)[0], (found + extra)[0]
    stated = known & np.isfinite(probabilities)
    ranks = np.array([rank_score(labels[stated[:, k], k] == 1, probabilities[stated[:, k], k]) for k in columns])
    return ClassScores(
        classes=np.arange(labels.shape[1]),
        support=support.astype(np.int64),
        predicted=times.astype(np.int64),
        precision=np.where(times > 0, precision, np.nan),
        recall=np.where(support > 0, recall, np.nan),
        f1=np.where(support + times > 0, f1, np.nan),
        roc_auc=ranks.reshape(-1, 2)[:, 0],
        average_precision=ranks.reshape(-1, 2)[:, 1],
    )


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else _NAN
