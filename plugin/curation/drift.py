"""Whether new images still look like those that a classifier was made for, how far they moved, and which show it.

Six tests compare two sets of images: what a classifier says of them, class by class, and what it predicts
(`drift_probabilities`); what tells the sets apart (`drift_domain`); how far their means lie apart (`drift_mmd`); where
current images are among themselves (`drift_neighbours`); and how far they lie from anything known (`novelty`). They
share their shuffles (`drift_shuffles`), so that one decision comes from all of them whose false alarms are known.

A decision is based on as many images of one set as of the other, and on 5,000 at most: beyond, it would only become
sensitive to differences that do not matter. How far the sets lie apart is told beside it, and does not depend on their
numbers.

Images count as independent of each other: bursts and near-duplicates in one of the sets look like a kind of their own,
and should be left out first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from ..progress import Progress, silent
from .drift_exemplars import different_ones, most_unlike
from .drift_probabilities import ClassDrift, class_drift
from .drift_sets import DriftSets, read_sets
from .drift_shuffles import SMALLEST_P_VALUE
from .drift_space import blocks
from .drift_statistics import StatisticDrift, compare_statistics
from .drift_tests import MATCHED, DriftTest, Evidence, gather_evidence
from .label_shift import LabelShift, estimate_label_shift


@dataclass(frozen=True, eq=False)
class Drift:
    """How n current images differ from the reference.

    Attributes:
        is_drift: Whether `p_value` is at most alpha.
        p_value: Of the decision: how often sets of one source would look as different to any of the tests.
        effect_size: 0..1. The largest of the tests' effect sizes.
        exemplars: (e,) int64. Rows of current images that show best what is new, one of each kind, the clearest first.
        scores: (n,) float32 in 0..1. Chance that an image like this one is a current one: 0.5 = as usual among the
            reference images, 1 = unlike them. NaN = it has no usable vector or prediction.
        novel: (n,) bool. Farther from the nearest training images than 99 in 100 reference images are.
        novelty: (n,) float32 >= 0. That distance, 1 = at the limit. NaN as in `scores`.
        tests: The tests behind the decision.
        classes: What moved in each class's probabilities; None without probabilities.
        label_shift: How often each class occurs now; None without labels, or where an image may have several.
        statistics: What may explain the drift, what moved furthest first. They do not decide.
        left_out: Reference and current rows without a usable vector or prediction.
    """

    is_drift: bool
    p_value: float
    effect_size: float
    exemplars: np.ndarray
    scores: np.ndarray
    novel: np.ndarray
    novelty: np.ndarray
    tests: tuple[DriftTest, ...]
    classes: ClassDrift | None
    label_shift: LabelShift | None
    statistics: tuple[StatisticDrift, ...]
    left_out: tuple[int, int]

    def __post_init__(self) -> None:
        for name in ("novel", "novelty"):
            if getattr(self, name).shape != self.scores.shape:
                raise ValueError(
                    f"{name} must have shape {self.scores.shape} like scores, got {getattr(self, name).shape}"
                )


def check_drift(
    reference: np.ndarray,
    current: np.ndarray,
    *,
    reference_probs: np.ndarray | None = None,
    current_probs: np.ndarray | None = None,
    alpha: float = 0.05,
    seed: int = 0,
    reference_labels: np.ndarray | None = None,
    reference_statistics: np.ndarray | None = None,
    current_statistics: np.ndarray | None = None,
    statistic_names: Sequence[str] = (),
    trained_on: np.ndarray | None = None,
    multilabel: bool = False,
    progress: Progress = silent,
) -> Drift:
    """Compare two sets of images, in seconds and in memory for some ten thousand of them beside the arrays.

    Args:
        reference: (n, d) float. Vectors of images as they should be, which the classifier was not trained on.
        current: (m, d) float. Vectors of the images that are checked. A row with NaN or infinity, here, there or among
            the probabilities, is left out and counted.
        reference_probs, current_probs: (n, k) and (m, k) in 0..1. What a classifier says of them.
        alpha: False alarms that are accepted, as a share, 0.0025 at least.
        seed: Of the choice of images and of the shuffles: same input and seed, same result.
        reference_labels: (n,) int. True classes in 0..k - 1, -1 = not known: with them the label shift is estimated.
        reference_statistics, current_statistics: (n, s) and (m, s) float, NaN = not measured.
        statistic_names: s names.
        trained_on: (t, d) float. Vectors of images that the classifier was trained on, none of them in `reference`;
            None = novelty is measured from the reference.
        multilabel: An image may have several labels: probabilities are independent per class.
        progress: Told after each step.

    Raises:
        ValueError: Shapes that do not fit, probabilities or statistics of one side only, alpha out of range.
        DataError: Fewer than 20 usable rows on a side, or a reference that is part of `trained_on`.
    """
    sets = read_sets(
        reference,
        current,
        (reference_probs, current_probs),
        (reference_statistics, current_statistics),
        statistic_names,
        reference_labels,
        trained_on,
    )
    if not SMALLEST_P_VALUE <= alpha < 1:
        raise ValueError(f"alpha must lie between {SMALLEST_P_VALUE} and 1, got {alpha}")
    rng = np.random.default_rng(seed)
    with threadpool_limits(1, user_api="blas"):  # sums depend on how many threads share them
        evidence = gather_evidence(sets, multilabel, rng, progress)
        scores, novelty = _scores(sets, evidence, progress)
        exemplars = _exemplars(sets, evidence, scores, rng)
    return Drift(
        is_drift=evidence.p_value <= alpha,
        p_value=evidence.p_value,
        effect_size=max(test.effect_size for test in evidence.tests),
        exemplars=exemplars,
        scores=scores,
        novel=novelty > 1,
        novelty=novelty,
        tests=evidence.tests,
        classes=_classes(sets, evidence),
        label_shift=_label_shift(sets, evidence, rng),
        statistics=()
        if sets.statistics is None
        else compare_statistics(*sets.statistics, sets.statistic_names, MATCHED, rng),
        left_out=(len(sets.reference) - len(sets.reference_rows), len(sets.current) - len(sets.current_rows)),
    )


def _scores(sets: DriftSets, evidence: Evidence, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores and novelties of all current rows, block by block.

    A score is the mean of what the domain classifier says and what a row's neighbours do; or what its novelty alone
    gives, if that is more.
    """
    found = np.full((3, len(sets.current)), np.nan, np.float32)
    domain, around, novelty = found
    seen = len(evidence.around.rows) // 2  # of those matched, so many that the neighbourhoods know
    # What was fitted on is judged as if it had not been.
    domain[evidence.now] = evidence.domain.held_out[len(evidence.now) :]
    around[evidence.now[:seen]] = evidence.around.shares[seen:]
    around[evidence.now[seen:]] = evidence.around.shares_around(evidence.components[seen:])
    novelty[evidence.now] = evidence.novelty.of(sets.current[evidence.now])
    rest = np.setdiff1d(sets.current_rows, evidence.now)
    for part in blocks(len(rest)):
        rows = rest[part]
        vectors = sets.current[rows]
        components = evidence.space.components(vectors)
        domain[rows] = evidence.domain.chance(components)
        around[rows] = evidence.around.shares_around(components)
        novelty[rows] = evidence.novelty.of(vectors)
        progress("drift: each image", part.stop, len(rest))
    return np.maximum((domain + around) / 2, novelty / (1 + novelty)).round(4), novelty


def _exemplars(sets: DriftSets, evidence: Evidence, scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    best = most_unlike(scores, sets.current_rows)
    return best[different_ones(evidence.space.components(sets.current[best]), rng)]


def _classes(sets: DriftSets, evidence: Evidence) -> ClassDrift | None:
    if sets.probs is None or evidence.class_distances is None:
        return None
    then, now = (
        sum(probs[rows[part]].sum(axis=0, dtype=np.float64) for part in blocks(len(rows))) / len(rows)
        for probs, rows in zip(sets.probs, (sets.reference_rows, sets.current_rows), strict=True)
    )
    return class_drift(evidence.class_distances, then, now)


def _label_shift(sets: DriftSets, evidence: Evidence, rng: np.random.Generator) -> LabelShift | None:
    if sets.probs is None or sets.labels is None or evidence.predicted_p_value is None:
        return None
    labelled = sets.reference_rows[sets.labels[sets.reference_rows] >= 0]
    if not len(labelled):
        return None
    then, now = (
        np.concatenate([probs[rows[part]].argmax(axis=1) for part in blocks(len(rows))])
        for probs, rows in zip(sets.probs, (labelled, sets.current_rows), strict=True)
    )
    classes, p_value = sets.probs[0].shape[1], evidence.predicted_p_value
    return estimate_label_shift(sets.labels[labelled], then, now, classes, p_value, rng)
