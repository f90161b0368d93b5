"""Which of two sets of predictions of the same images is better, and whether that could be chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from .class_scores import ClassScores, score_classes
from .intervals import Interval, KindScores, exact_interval, percentile_intervals
from .label_outcomes import OutcomeScores, faults_of, outcomes_of
from .multi_label_evaluation import score_label_classes

_LEVEL = 0.05
_Scores = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sets of predictions of the images that have a label and both predictions.

    Attributes:
        images: How many those are; the other figures are NaN, and the p-value 1, where there are none.
        left_out: Labelled images left out because one of the predictions, or both, are missing.
        score: Of the first and of the second: accuracy, or micro F1 where an image may have several labels.
        macro_f1: Of the first and of the second.
        only_first: Images that the first alone has right; of several labels, of which it has more right.
        only_second: Likewise of the second.
        gain: Score of the first minus that of the second, in -1..1.
        interval: 95 % interval of the gain, by the bootstrap over images, both predictions going together.
        f1_gain: The same for macro F1.
        f1_interval: Its interval.
        p_value: That neither is better on more images in the long run: the exact sign test on the images on which
            they differ, which is McNemar's (1947) for one label an image.
        classes: Scores by class of the first and of the second.
    """

    images: int
    left_out: int
    score: tuple[float, float]
    macro_f1: tuple[float, float]
    only_first: int
    only_second: int
    gain: float
    interval: Interval
    f1_gain: float
    f1_interval: Interval
    p_value: float
    classes: tuple[ClassScores, ClassScores]

    @property
    def better(self) -> int:
        """1 or 2: the set that has more images right, to a level of 5 %; 0 = neither is shown to."""
        if not self.p_value < _LEVEL:
            return 0
        return 1 if self.only_first > self.only_second else 2


def compare(labels: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int = 0) -> Comparison:
    """Compare two sets of predictions of one label an image.

    Args:
        labels: (n,) int, -1 = none.
        first: (n,) int, -1 = none.
        second: (n,) int, -1 = none.
        seed: Of the resampling.
    """
    both = (labels >= 0) & (first >= 0) & (second >= 0)
    left_out = int(((labels >= 0) & ~both).sum())
    labels, first, second = labels[both], first[both], second[both]
    classes = score_classes(labels, first), score_classes(labels, second)
    if not len(labels):
        return _nothing(left_out, classes)
    kinds, counts = np.unique(np.stack([labels, first, second]), axis=1, return_counts=True)
    scores = KindScores(kinds[0], kinds[1]), KindScores(kinds[0], kinds[2])
    better = (first == labels).astype(int) - (second == labels)
    return _compared(scores, 0, counts, better, left_out, classes, alike=bool((first == second).all()), seed=seed)


def compare_several(labels: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int = 0) -> Comparison:
    """Compare two sets of predictions of several labels an image.

    Args:
        labels: (n, k) in {0, 1, NaN}; NaN = not annotated.
        first: (n, k) in {0, 1, NaN}; a row with NaN has no prediction.
        second: Likewise.
        seed: Of the resampling.
    """
    annotated = np.isfinite(labels).any(axis=1)
    both = annotated & np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    left_out = int((annotated & ~both).sum())
    labels, claims = labels[both], (first[both] == 1, second[both] == 1)
    nothing = np.full(labels.shape, np.nan)
    classes = score_label_classes(labels, claims[0], nothing), score_label_classes(labels, claims[1], nothing)
    if not len(labels):
        return _nothing(left_out, classes)
    outcomes = [outcomes_of(labels, claimed) for claimed in claims]
    kinds, counts = np.unique(np.concatenate(outcomes, axis=1), axis=0, return_counts=True)
    scores = OutcomeScores(kinds[:, : labels.shape[1]]), OutcomeScores(kinds[:, labels.shape[1] :])
    better = np.sign(faults_of(outcomes[1]) - faults_of(outcomes[0]))
    alike = bool((outcomes[0] == outcomes[1]).all())
    return _compared(scores, 1, counts, better, left_out, classes, alike=alike, seed=seed)


def _nothing(left_out: int, classes: tuple[ClassScores, ClassScores]) -> Comparison:
    nan = float("nan")
    return Comparison(0, left_out, (nan, nan), (nan, nan), 0, 0, nan, (nan, nan), nan, (nan, nan), 1.0, classes)


def _compared(
    scores: tuple[_Scores, _Scores],
    column: int,
    counts: np.ndarray,
    better: np.ndarray,
    left_out: int,
    classes: tuple[ClassScores, ClassScores],
    *,
    alike: bool,
    seed: int,
) -> Comparison:
    """Return the comparison of n images of m kinds.

    Args:
        scores: Of each prediction: (r, m) counts -> (r, 3), the last column being macro F1.
        column: Of the score that is told first.
        counts: (m,) int. How many images there are of each kind.
        better: (n,) int. 1 = the first has more of the image right, -1 = the second, 0 = neither.
        left_out: See `Comparison`.
        classes: See `Comparison`.
        alike: All predictions are the same.
        seed: Of the resampling.
    """
    first, second = (each(counts[None])[0] for each in scores)
    intervals = percentile_intervals(lambda drawn: scores[0](drawn) - scores[1](drawn), counts, seed)
    interval, f1_interval = intervals[column], intervals[2]
    only_first, only_second = int((better > 0).sum()), int((better < 0).sum())
    # Resampling images on which both agree shows no doubt however few they are.
    agreed = exact_interval(len(better), all_right=False)[1]
    if alike or (column == 0 and not only_first + only_second):
        interval = (-agreed, agreed)
    if alike:
        f1_interval = (-agreed, agreed)
    return Comparison(
        len(better),
        left_out,
        score=(float(first[column]), float(second[column])),
        macro_f1=(float(first[2]), float(second[2])),
        only_first=only_first,
        only_second=only_second,
        gain=float(first[column] - second[column]),
        interval=interval,
        f1_gain=float(first[2] - second[2]),
        f1_interval=f1_interval,
        p_value=float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0,
        classes=classes,
    )
