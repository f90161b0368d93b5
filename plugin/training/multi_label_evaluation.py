"""How good predictions are where an image may have several labels; what nobody annotated counts neither way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .calibration import expected_calibration_error
from .class_scores import ClassScores, rank_score
from .intervals import Interval, exact_interval, percentile_intervals
from .label_outcomes import OutcomeScores, faults_of, outcomes_of, ratios

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
    by_class = score_label_classes(truth, claimed, probabilities)
    if not both.any():
        return MultiLabelEvaluation(*counts, coverage=0.0 if counts[2] else _NAN), by_class
    kinds, numbers = np.unique(outcomes_of(truth, claimed), axis=0, return_counts=True)
    scores = OutcomeScores(kinds)
    micro, macro = (tuple(float(mean) for mean in means) for means in scores.means(numbers))
    exact, micro_f1, macro_f1 = _intervals(scores, faults_of(kinds), numbers, seed)
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


def _intervals(scores: OutcomeScores, faults: np.ndarray, counts: np.ndarray, seed: int) -> list[Interval]:
    """Return the 95 % intervals of exact matches, micro F1 and macro F1; (m,) faults and counts of m kinds."""
    if not faults.any():
        return [exact_interval(counts.sum(), all_right=True)] * 3
    exact, *others = percentile_intervals(scores, counts, seed)
    if faults.all():
        exact = exact_interval(counts.sum(), all_right=False)
    return [exact, *others]


def score_label_classes(labels: np.ndarray, claimed: np.ndarray, probabilities: np.ndarray) -> ClassScores:
    """Score each of the k classes on the images where it is annotated.

    Args:
        labels: (n, k) in {0, 1, NaN}.
        claimed: (n, k) bool. What is predicted.
        probabilities: (n, k), NaN where there are none.
    """
    known, columns = np.isfinite(labels), range(labels.shape[1])
    found, extra, missed = (
        (((labels == present) & (claimed == predicted)).sum(axis=0)[None]).astype(float)
        for present, predicted in ((1, True), (0, True), (1, False))
    )
    precision, recall, f1 = ratios(found, extra, missed)[:, 0]
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
