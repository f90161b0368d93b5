"""Which of two sets of predictions of the same images is better, and whether that could be chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from .class_scores import ClassScores, score_classes
from .intervals import Interval, KindScores, exact_interval, percentile_intervals

_LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sets of predictions of the images that have a label and both predictions.

    Attributes:
        images: How many those are; the other figures are NaN, and the p-value 1, where there are none.
        left_out: Labelled images left out because one of the predictions, or both, are missing.
        accuracy: Of the first and of the second.
        macro_f1: Of the first and of the second.
        only_first: Images that the first alone has right.
        only_second: Images that the second alone has right.
        accuracy_gain: Accuracy of the first minus that of the second, in -1..1.
        accuracy_interval: 95 % interval of the gain, by the bootstrap over images, both predictions going together.
        f1_gain: The same for macro F1.
        f1_interval: Its interval.
        p_value: That both have as many images right in the long run: McNemar 1947, the exact test on the images that
            one alone has right.
        classes: Scores by class of the first and of the second.
    """

    images: int
    left_out: int
    accuracy: tuple[float, float]
    macro_f1: tuple[float, float]
    only_first: int
    only_second: int
    accuracy_gain: float
    accuracy_interval: Interval
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
    """Compare two sets of predictions.

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
        nan = float("nan")
        return Comparison(0, left_out, (nan, nan), (nan, nan), 0, 0, nan, (nan, nan), nan, (nan, nan), 1.0, classes)
    only_first = int(((first == labels) & (second != labels)).sum())
    only_second = int(((first != labels) & (second == labels)).sum())
    kinds, counts = np.unique(np.stack([labels, first, second]), axis=1, return_counts=True)
    of_first, of_second = KindScores(kinds[0], kinds[1]), KindScores(kinds[0], kinds[2])
    (accuracy_a, _, f1_a), (accuracy_b, _, f1_b) = of_first(counts[None])[0], of_second(counts[None])[0]
    accuracy_interval, _, f1_interval = percentile_intervals(
        lambda drawn: of_first(drawn) - of_second(drawn), counts, seed
    )
    # Resampling images on which both agree shows no doubt however few they are.
    agreed = exact_interval(len(labels), all_right=False)[1]
    if not only_first + only_second:
        accuracy_interval = (-agreed, agreed)
    if (first == second).all():
        f1_interval = (-agreed, agreed)
    return Comparison(
        len(labels),
        left_out,
        accuracy=(float(accuracy_a), float(accuracy_b)),
        macro_f1=(float(f1_a), float(f1_b)),
        only_first=only_first,
        only_second=only_second,
        accuracy_gain=(only_first - only_second) / len(labels),
        accuracy_interval=accuracy_interval,
        f1_gain=float(f1_a - f1_b),
        f1_interval=f1_interval,
        p_value=float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0,
        classes=classes,
    )
