"""Which samples a classifier is trained, validated and tested on, and what is left out of training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..curation.class_names import audit_class_names
from ..curation.probe import stratified_folds
from ..curation.splits import HELD_OUT_SPLITS
from ..datasets.label_changes import SampleChanges
from ..datasets.multi_labels import read_multi_labels
from ..datasets.samples import Samples
from ..datasets.views import Collection
from ..errors import DataError
from ..training.exclusion import excluded_issues
from ..training.probes import strata_of
from .findings import Findings
from .wording import listed

LABEL_ISSUES = ("exclude", "down-weight", "keep")
_HELD_OUT_FOLDS = 5
_IMBALANCED = 10  # times the smallest class
_LEAST_WEIGHT = 0.05
_SIDES = re.compile(r"(?<![a-z])(left|right)(?![a-z])")


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of m samples.

    Attributes:
        values: (m,) int64 in [0, k), -1 = none; or (m, k) float32 in {0, 1, NaN} where an image may have several.
        classes: k names.
        field: Where they were read from.
    """

    values: np.ndarray
    classes: tuple[str, ...]
    field: str

    @property
    def several(self) -> bool:
        """Whether an image may have several."""
        return self.values.ndim == 2

    @property
    def known(self) -> np.ndarray:
        """(m,) bool: the sample is labelled."""
        return np.isfinite(self.values).any(axis=1) if self.several else self.values >= 0

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """Return (k,) int64: how many of the samples where (m,) `rows` is true have each class."""
        if self.several:
            return np.asarray((self.values[rows] == 1).sum(axis=0))
        found = self.values[rows]
        return np.bincount(found[found >= 0], minlength=len(self.classes))


@dataclass(frozen=True, eq=False)
class Selection:
    """Which samples are trained, validated and tested on: (m,) bool masks, and what was left out of training.

    Attributes:
        train: To train on.
        validation: The validation split, where there is one besides the evaluation split.
        evaluation: The samples that accuracy is measured on.
        evaluated_on: Name of that split, or "held out" where the collection has no splits.
        weights: (m,) float32. How much each sample counts in training; 1 is usual.
        excluded: Flagged labels left out, or counting for less, by class name, with the class's size before.
        leaked: Training images left out because an evaluation or validation split repeats them.
    """

    train: np.ndarray
    validation: np.ndarray
    evaluation: np.ndarray
    evaluated_on: str
    weights: np.ndarray
    excluded: dict[str, tuple[int, int]]
    leaked: int


def read_labels(view: Collection, samples: Samples, several: str | None) -> Labels:
    """Return the labels of samples: those that were read with them, or of a field `several` of Classifications."""
    if several is None:
        return Labels(samples.labels, samples.classes, str(samples.label_field))
    values, classes = read_multi_labels(view, samples.ids, several)
    return Labels(values, classes, several)


def select_rows(
    labels: Labels, splits: np.ndarray, findings: Findings, *, seed: int, label_issues: str, leaks: bool
) -> Selection:
    """Choose what to train, validate and evaluate on; see `Selection`.

    Args:
        labels: Of the m samples.
        splits: (m,) object, see `Samples`.
        findings: What earlier jobs found about them.
        seed: Of what is held out where there are no splits.
        label_issues: Flagged labels are left out ("exclude"), count by their quality ("down-weight"), or as others do
            ("keep").
        leaks: Train on images that an evaluation or validation split repeats, too.

    Raises:
        DataError: No such way with flagged labels.
    """
    if label_issues not in LABEL_ISSUES:
        raise DataError(f"label_issues must be one of {', '.join(LABEL_ISSUES)}, got '{label_issues}'.")
    labelled = labels.known
    in_training = splits == "train" if "train" in splits else ~np.isin(splits, HELD_OUT_SPLITS)
    train = labelled & in_training
    judging = [name for name in HELD_OUT_SPLITS if (labelled & (splits == name)).any()]
    evaluated_on = judging[0] if judging else "held out"
    evaluation = labelled & np.isin(splits, judging[:1])
    validation = labelled & np.isin(splits, judging[1:])
    if not judging and train.any():
        rows = np.flatnonzero(train)
        folds = stratified_folds(strata_of(labels.values[rows]), findings.groups[rows], seed, _HELD_OUT_FOLDS)
        evaluation[rows[folds == 0]] = True
        train &= ~evaluation
    leaked: np.ndarray = np.zeros(len(train), bool)
    if judging and not leaks:
        # A group that straddles counts, even where leaks were never looked for.
        judged = findings.groups[evaluation | validation]
        leaked = train & (findings.leaked | np.isin(findings.groups, judged[judged >= 0]))
        train = train & ~leaked
    weights = np.ones(len(train), np.float32)
    excluded: dict[str, tuple[int, int]] = {}
    if label_issues != "keep" and not labels.several:
        rows = np.flatnonzero(train)
        given = labels.values[rows]
        out = excluded_issues(given, findings.is_issue[rows], findings.quality[rows])
        for label in np.unique(given[out]):
            own = given == label
            excluded[labels.classes[label]] = (int((out & own).sum()), int(own.sum()))
        if label_issues == "exclude":
            train[rows[out]] = False
        else:
            weights[rows[out]] = np.maximum(findings.quality[rows[out]], _LEAST_WEIGHT)
    return Selection(train, validation, evaluation, evaluated_on, weights, excluded, int(leaked.sum()))


def without_flagged(
    labels: Labels, changes: Mapping[str, SampleChanges], ids: np.ndarray, train: np.ndarray
) -> tuple[Labels, dict[str, tuple[int, int]]]:
    """Return several labels an image in which the flagged answers of training images count as not annotated.

    An image keeps its other answers. The bounds are those of `excluded_issues`, for the present and the absent answers
    of each class by themselves.

    Args:
        labels: Of the m samples, several an image.
        changes: Sample id -> what label issues suggest.
        ids: (m,) sample ids.
        train: (m,) bool. The training images.

    Returns:
        The labels; and for each class of which answers are left out how many, with how many there were.
    """
    numbers = {name: number for number, name in enumerate(labels.classes)}
    quality = np.ones(labels.values.shape, np.float32)
    for row in np.flatnonzero(train):
        for change in changes[ids[row]].changes if ids[row] in changes else ():
            if change.label in numbers:
                quality[row, numbers[change.label]] = 1 - change.confidence
    values = labels.values.copy()
    excluded: dict[str, tuple[int, int]] = {}
    for number, name in enumerate(labels.classes):
        rows = np.flatnonzero(train & np.isfinite(labels.values[:, number]))
        given, own = labels.values[rows, number].astype(np.int64), quality[rows, number]
        out = rows[excluded_issues(given, own < 1, own)]
        values[out, number] = np.nan
        if len(out):
            excluded[name] = (len(out), len(rows))
    return replace(labels, values=values), excluded


def audit_classes(labels: Labels, selection: Selection, *, flips: bool) -> list[str]:
    """Return what a person should know of the classes before trusting a classifier of them.

    Args:
        labels: Of the samples.
        selection: What they are used for.
        flips: Whether training shows mirror images.
    """
    counts = labels.counts(selection.train)
    tested = labels.counts(selection.evaluation)
    notes = [clash.text() for clash in audit_class_names(labels.classes, labels.counts(labels.known))]
    notes += _told("classes with a single training image", labels.classes, counts == 1)
    notes += _told(f"classes without an image to measure on ({selection.evaluated_on})", labels.classes, tested == 0)
    present = counts[counts > 0]
    if len(present) and present.max() > _IMBALANCED * present.min():
        largest, smallest = int(counts.argmax()), int(np.where(counts > 0, counts, counts.max() + 1).argmin())
        notes.append(
            f"classes are of very different sizes: {labels.classes[largest]} {counts[largest]:,}, "
            f"{labels.classes[smallest]} {counts[smallest]:,}; look at macro F1, and at logit_adjustment in the recipe"
        )
    sided = [name for name in labels.classes if _SIDES.search(name.lower())]
    if flips and sided:
        notes.append(
            f"training shows mirror images, but names of classes tell sides ({listed(sided)}); set "
            "flip to 0 in the recipe"
        )
    if labels.several and (unknown := int((~labels.known).sum())):
        notes.append(f"{unknown:,} of {len(labels.values):,} samples are not annotated in '{labels.field}'")
    return notes


def _told(what: str, classes: tuple[str, ...], which: np.ndarray) -> list[str]:
    names = [classes[row] for row in np.flatnonzero(which)]
    return [f"{what}: {listed(names)}"] if names else []
