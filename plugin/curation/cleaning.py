"""What cleaning labels would be worth: the accuracy of a linear probe with and without it, on the true classes.

In each of five folds, the labels of the other four are judged on their own, so that nothing of the held-out rows tells
which of them are wrong; a probe learns from these labels as given, without the flagged ones, and with the flagged ones
replaced by their suggestions; all three predict the held-out rows.

The held-out labels are noisy too. No row is left out for that, as a judge that avoids what the cleaning avoids would
prefer it; instead each row is scored so that the noise averages out. With T[g, t] the probability of the label g for an
image of class t, the score of the prediction p of a row with the label g is the entry (p, g) of the inverse of T, whose
expectation is 1 where p is the true class and 0 elsewhere (Natarajan et al. 2013, Learning with noisy labels; Patrini
et al. 2017, arXiv:1609.03683). That holds for noise that depends on the true class alone; where it depends on the image
too, the accuracies are off, the same way for all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..progress import Progress, silent
from .label_issues import find_label_issues
from .neighbors import unit_rows
from .probe import FOLDS, fit_probe, stratified_folds
from .projection import reduce_width

_RESAMPLES = 2_000
_AT_ONCE = 100
_MOST_ROWS = 20_000
_WIDTH = 256  # principal components that the probes see: fifteen of them are fitted
# Below this probability of the right label in any class, the noise can hardly be told from the classes.
_LEAST_RIGHT = 0.5


@dataclass(frozen=True)
class Cleaned:
    """A probe that was trained on cleaned labels.

    Attributes:
        accuracy: Estimated share of right predictions.
        gain: `accuracy` minus that of a probe trained on the labels as given.
        interval: 95 % interval of the gain, by the percentile bootstrap (Efron 1979) over the rows, or groups of them,
            with both predictions of a row kept together. Two made-up rows, one won and one lost, keep it from claiming
            much of a handful of predictions (after Agresti and Min 2005, who add as much to matched proportions).
    """

    accuracy: float
    gain: float
    interval: tuple[float, float]

    @property
    def is_told_from_chance(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass(frozen=True)
class CleaningWorth:
    """What cleaning would be worth.

    Attributes:
        rows: Labels it was measured with.
        accuracy_given: Estimated accuracy of a probe that was trained on the labels as given.
        dropped: After leaving the flagged labels out.
        relabelled: After replacing them by their suggestions.
    """

    rows: int
    accuracy_given: float
    dropped: Cleaned
    relabelled: Cleaned

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        arms = {"dropped": self.dropped, "relabelled": self.relabelled}
        return {
            "rows": self.rows,
            "accuracy_given": round(self.accuracy_given, 4),
            **{f"accuracy_{name}": round(arm.accuracy, 4) for name, arm in arms.items()},
            **{f"gain_{name}": round(arm.gain, 4) for name, arm in arms.items()},
            **{f"gain_{name}_interval": [round(end, 4) for end in arm.interval] for name, arm in arms.items()},
        }

    def text(self) -> str:
        """Return sentences for a person."""
        told = [
            f"{way} changes that by {100 * arm.gain:+.1f} points ({100 * arm.interval[0]:+.1f} to "
            f"{100 * arm.interval[1]:+.1f}{'' if arm.is_told_from_chance else ', no more than chance'})"
            for way, arm in (("leaving the flagged labels out", self.dropped), ("relabelling them", self.relabelled))
        ]
        return (
            f"A linear probe trained on the labels as given reaches about {self.accuracy_given:.1%} accuracy on the "
            f"true classes (cross-validated, corrected for wrong labels): {'; '.join(told)}."
        )


def price_cleaning(
    embeddings: np.ndarray,
    labels: np.ndarray,
    joint: np.ndarray,
    *,
    thumbnails: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> CleaningWorth:
    """Measure what cleaning would be worth.

    Args:
        embeddings: (n, d) float.
        labels: (n,) int in [0, k), -1 = no label; such rows are left out. Of more than 20,000, so many are drawn.
        joint: (k, k) expected number of labels by given (row) and true class (column), of `find_label_issues`.
        thumbnails: (n, 32, 32) uint8, or None. What the labels are judged by beside the embeddings.
        groups: (n,) int. Duplicates of each other share a number >= 0 and a fold.
        seed: Of the drawing, the folds and the resampling.
        progress: Told after each fold.

    Raises:
        DataError: Too few labels to judge any of them, or so many wrong ones that accuracy cannot be measured.
    """
    score_of = _scores(joint)
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(labels >= 0)
    if len(rows) > _MOST_ROWS:
        rows = np.sort(rng.choice(rows, _MOST_ROWS, replace=False))
    given = labels[rows]
    vectors = reduce_width(unit_rows(embeddings[rows], centered=False), _WIDTH)[0]
    unit = np.full(len(rows), -1) if groups is None else np.asarray(groups)[rows]
    folds = stratified_folds(given, unit, seed)
    predicted = np.zeros((3, len(rows)), np.int64)
    for fold in range(FOLDS):
        held, train = folds == fold, np.flatnonzero(folds != fold)
        issues = find_label_issues(
            given[train],
            embeddings=vectors[train],
            thumbnails=None if thumbnails is None else thumbnails[rows[train]],
            groups=unit[train],
            seed=seed,
        )
        better = np.where(issues.is_issue, issues.suggested, given[train])
        left = train[~issues.is_issue]
        for arm, (own, own_labels) in enumerate(((train, given[train]), (left, given[left]), (train, better))):
            probe = fit_probe(vectors[own], own_labels, len(joint), groups=unit[own], seed=seed)
            predicted[arm, held] = probe.logits(vectors[held]).argmax(axis=1)
        progress("worth of cleaning", fold + 1, FOLDS)
    scores = score_of[predicted, given]
    as_given = float(scores[0].mean())
    dropped, relabelled = (_cleaned(as_given, scores[arm] - scores[0], unit, rng) for arm in (1, 2))
    return CleaningWorth(len(rows), min(as_given, 1.0), dropped, relabelled)


def _scores(joint: np.ndarray) -> np.ndarray:
    """Return the (k, k) score of each prediction (row) for each label (column)."""
    images = np.broadcast_to(joint.sum(axis=0), joint.shape)
    channel = np.divide(joint, images, out=np.eye(len(joint)), where=images > 0)
    if len(joint) and np.diag(channel).min() < _LEAST_RIGHT:
        raise DataError(
            "in one of the classes most labels are probably wrong, so accuracy cannot be measured by these labels. "
            "Correct the most suspicious ones first, then measure again."
        )
    return np.linalg.inv(channel)


def _cleaned(as_given: float, difference: np.ndarray, unit: np.ndarray, rng: np.random.Generator) -> Cleaned:
    gain = float(difference.mean())
    return Cleaned(float(np.clip(as_given + gain, 0, 1)), gain, gain_interval(difference, unit, rng))


def gain_interval(difference: np.ndarray, unit: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % interval of the mean of (n,) differences of scores, as `Cleaned` tells it.

    Args:
        difference: (n,) float64, 0 where two predictions are the same.
        unit: (n,) int. Rows of one number >= 0 are resampled together; -1 = alone.
        rng: Of the resampling.
    """
    grouped = unit >= 0
    _, of_group = np.unique(unit[grouped], return_inverse=True)
    changed = difference[difference != 0]
    made_up = float(np.sqrt(np.mean(changed**2))) if len(changed) else 1.0
    of_groups = np.bincount(of_group, weights=difference[grouped])
    sums = np.concatenate([difference[~grouped], of_groups, [made_up, -made_up]])
    sizes = np.concatenate([np.ones((~grouped).sum()), np.bincount(of_group), [1, 1]])
    kinds, counts = np.unique(np.stack([sums.round(6), sizes]), axis=1, return_counts=True)
    means: list[np.ndarray] = []
    for _ in range(0, _RESAMPLES, _AT_ONCE):
        drawn = rng.multinomial(len(sums), counts / len(sums), _AT_ONCE)
        means.append(drawn @ kinds[0] / (drawn @ kinds[1]))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)
