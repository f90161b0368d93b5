"""The report on classes: which are mislabelled how often, and as what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

LEVEL = 0.9
# The plain form of a thousand classes would have a million counts, nearly all of them next to nothing.
_LEAST_EXPECTED = 0.05
_MOST_CELLS = 20_000


@dataclass(frozen=True)
class ClassErrors:
    """One class.

    Attributes:
        name: Of the class.
        labels: Labels of the class that were judged.
        wrong: Expected number of wrong ones among them.
        rate: `wrong` as a share of `labels`; NaN without labels.
        interval: 90 % interval of the rate (see `LabelReport`).
    """

    name: str
    labels: int
    wrong: float
    rate: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class ConfusedPair:
    """Images of one class with the label of another.

    Attributes:
        given: Class of the label.
        true: Class of the image.
        expected: Expected number of such labels.
        flagged: How many labels `given` were flagged with the suggestion `true`.
    """

    given: str
    true: str
    expected: float
    flagged: int


@dataclass(frozen=True, eq=False)
class LabelReport:
    """How labels and true classes of k classes go together.

    The intervals are Wilson's score intervals (1927) at 90 %, with the expected number of wrong labels in the place of
    a counted one: they tell how much chance there is in so few labels, not how far the estimate itself can be trusted.

    Attributes:
        classes: k names.
        joint: (k, k) float64. Expected number of labels by given class (row) and true class (column).
        flagged: (k, k) int64. Number of flagged labels by given class (row) and suggestion (column).
    """

    classes: tuple[str, ...]
    joint: np.ndarray
    flagged: np.ndarray

    def __post_init__(self) -> None:
        for name, array in (("joint", self.joint), ("flagged", self.flagged)):
            if array.shape != (len(self.classes),) * 2:
                raise ValueError(f"{name} must have shape (k, k) for {len(self.classes)} classes, got {array.shape}")

    @property
    def labels(self) -> np.ndarray:
        """(k,) float64: number of judged labels by given class."""
        return self.joint.sum(axis=1)

    @property
    def wrong(self) -> np.ndarray:
        """(k,) float64: expected number of wrong labels by given class."""
        return np.maximum(self.labels - np.diag(self.joint), 0.0)

    def true_given_label(self) -> np.ndarray:
        """Return the (k, k) probabilities of the true class (column) given the label (row); NaN without labels."""
        return _shares(self.joint, self.labels[:, None])

    def label_given_true(self) -> np.ndarray:
        """Return the (k, k) probabilities of the label (row) given the true class (column); NaN without images."""
        return _shares(self.joint, self.joint.sum(axis=0)[None, :])

    def class_errors(self) -> list[ClassErrors]:
        """Return each class, the one with the most wrong labels first, ties in the order of the classes."""
        labels, wrong = self.labels, self.wrong
        rate = _shares(wrong, labels)
        low, high = wilson_interval(wrong, labels)
        order = np.lexsort((np.arange(len(labels)), -wrong.round(4)))
        return [
            ClassErrors(
                self.classes[row],
                round(float(labels[row])),
                float(wrong[row]),
                float(rate[row]),
                (float(low[row]), float(high[row])),
            )
            for row in order
        ]

    def worst_pairs(self, limit: int = 20) -> list[ConfusedPair]:
        """Return the pairs of classes that are confused most often; those that are expected less than once are left out
        unless a label of theirs is flagged. Ties in the order of the classes."""
        apart = ~np.eye(len(self.classes), dtype=bool)
        given, true = np.nonzero(apart & ((self.joint >= 1) | (self.flagged > 0)))
        order = np.lexsort((true, given, -self.joint[given, true].round(4)))[:limit]
        return [
            ConfusedPair(
                self.classes[given[row]],
                self.classes[true[row]],
                float(self.joint[given[row], true[row]]),
                int(self.flagged[given[row], true[row]]),
            )
            for row in order
        ]

    def worst_classes(self, limit: int) -> np.ndarray:
        """Return the numbers, ascending, of the classes of the pairs that are expected most often; `limit` at most."""
        errors = (self.joint - np.diag(np.diag(self.joint))).round(4)
        order = np.argsort(-errors, axis=None, kind="stable")[: limit * limit]
        chosen: dict[int, None] = {}
        for pair in zip(*np.unravel_index(order, errors.shape), strict=True):
            if len(chosen.keys() | set(pair)) <= limit:
                chosen |= dict.fromkeys(int(row) for row in pair)
        return np.array(sorted(chosen), np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON.

        The counts of a right label are `right`; those of wrong ones are listed in `cells` as (given, true, expected,
        flagged), the 20,000 largest from 0.05 on. `labels` is told by itself.
        """
        apart = ~np.eye(len(self.classes), dtype=bool)
        given, true = np.nonzero(apart & ((self.joint >= _LEAST_EXPECTED) | (self.flagged > 0)))
        expected, flagged = self.joint[given, true].round(4), self.flagged[given, true]
        kept = np.sort(np.lexsort((true, given, -expected, -flagged))[:_MOST_CELLS])
        listed = (column[kept].tolist() for column in (given, true, expected, flagged))
        return {
            "classes": list(self.classes),
            "labels": self.labels.round(4).tolist(),
            "right": np.diag(self.joint).round(4).tolist(),
            "cells": [list(cell) for cell in zip(*listed, strict=True)],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LabelReport:
        """Return the report of a plain form. What the form leaves out is spread evenly over the counts that it does not
        list, so that each class keeps its labels and its error rate."""
        count = len(values["classes"])
        joint, flagged = np.zeros((count, count)), np.zeros((count, count), np.int64)
        given, true, expected, counts = np.array(values["cells"], np.float64).reshape(-1, 4).T
        cell = (given.astype(np.int64), true.astype(np.int64))
        unlisted = ~np.eye(count, dtype=bool)
        unlisted[cell] = False
        np.fill_diagonal(joint, values["right"])
        joint[cell], flagged[cell] = expected, counts.astype(np.int64)
        rest = np.maximum(np.asarray(values["labels"]) - joint.sum(axis=1), 0)
        joint += unlisted * (rest / np.maximum(unlisted.sum(axis=1), 1))[:, None]
        return cls(tuple(values["classes"]), joint, flagged)


def report_labels(
    classes: Sequence[str], joint: np.ndarray, labels: np.ndarray, is_issue: np.ndarray, suggested: np.ndarray
) -> LabelReport:
    """Make the report of what `find_label_issues` found.

    Args:
        classes: k names.
        joint: (k, k) expected number of labels by given class (row) and true class (column).
        labels: (n,) int class numbers, -1 = no label.
        is_issue: (n,) bool.
        suggested: (n,) int class numbers; those of flagged labels are counted.
    """
    n_classes = len(classes)
    cell = labels[is_issue] * n_classes + suggested[is_issue]
    flagged = np.bincount(cell, minlength=n_classes**2).reshape(n_classes, n_classes)
    return LabelReport(tuple(classes), np.asarray(joint, np.float64), flagged.astype(np.int64))


def wilson_interval(found: np.ndarray, of: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Return the score interval of a share (Wilson 1927): lower and upper ends; 0 and 1 where there is nothing.

    Args:
        found: (k,) numbers found, whole or expected, between 0 and `of`.
        of: (k,) numbers looked at.
        level: Probability that the interval holds the share.
    """
    z2 = float(norm.isf((1 - level) / 2)) ** 2
    of = np.asarray(of, np.float64)
    share = np.clip(_shares(np.asarray(found, np.float64), of), 0, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (share + z2 / (2 * of)) / (1 + z2 / of)
        half = np.sqrt(z2 * (share * (1 - share) / of + z2 / (4 * of**2))) / (1 + z2 / of)
    known = of > 0
    low, high = np.where(known, centre - half, 0.0), np.where(known, centre + half, 1.0)
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
