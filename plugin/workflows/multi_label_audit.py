"""Judges the labels of images that may have several, class by class: which are missing, and which are one too many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..curation.class_names import NameClash, audit_class_names, merged_classes
from ..curation.label_issues import Cut, LabelIssues, Sensitivity, find_label_issues
from ..curation.outliers import Outliers, find_outliers
from ..curation.verdicts import verdicts
from ..datasets.label_changes import ADD, REMOVE, LabelChange, SampleChanges
from ..datasets.multi_label_decisions import CONFIRMING
from ..errors import DataError
from ..progress import Progress
from .vectors import Embedded


@dataclass(frozen=True, eq=False)
class MultiLabelAudit:
    """What was found about the labels of n images, each of which has any number of k classes.

    Classes whose names differ only in writing are one class here: m of them are judged.

    Attributes:
        names: The k class names.
        given: (n, k) float32 in {0, 1, NaN}. The labels; NaN = not annotated.
        merged: (k,) int64. Number of the judged class that each class is.
        judged_names: The m names of the judged classes.
        labels: (n, m) float32. The labels by judged class.
        issues: The findings, (n, m).
        confirmed: (n, m) bool. A person confirmed it.
        unsure: (n, m) bool. A person is unsure about it; it is not flagged.
        name_clashes: Classes that are probably one.
        outliers: How odd the images are.
    """

    names: tuple[str, ...]
    given: np.ndarray
    merged: np.ndarray
    judged_names: tuple[str, ...]
    labels: np.ndarray
    issues: LabelIssues
    confirmed: np.ndarray
    unsure: np.ndarray
    name_clashes: tuple[NameClash, ...]
    outliers: Outliers

    @property
    def flagged(self) -> np.ndarray:
        """(n,) bool. A label of the image is flagged."""
        return np.logical_or.reduce(self.issues.is_issue, axis=1)

    @property
    def missing(self) -> np.ndarray:
        """(m,) int64. Flagged labels by class: the image has the class, and the label is missing."""
        return np.sum(self.issues.is_issue & (self.labels == 0), axis=0)

    @property
    def extra(self) -> np.ndarray:
        """(m,) int64. Flagged labels by class: the label is there, and the image does not have the class."""
        return np.sum(self.issues.is_issue & (self.labels == 1), axis=0)

    @property
    def quality(self) -> np.ndarray:
        """(n,) float32. The lowest quality of an image's labels; NaN where none was judged.

        Not the probability that all of them are right, as their product would be: that falls with the number of
        classes, so that images of no suspicious label would be called bad, and it adds up the errors of estimates that
        depend on each other. The lowest one says what a reviewer will find, and is below the cut where one is flagged.
        """
        return np.fmin.reduce(self.issues.quality, axis=1)

    @property
    def verdicts(self) -> np.ndarray:
        """(n,) object. Why an image is flagged, judged by its worst label; "" where it is not."""
        worst = replace(self.issues, is_issue=self.flagged, confidence=1 - self.quality)
        return verdicts(worst, self.outliers.is_outlier)

    def suggested(self) -> Iterator[tuple[int, SampleChanges]]:
        """Yield what is suggested for each row that has a flagged label, in the order of the rows."""
        for row in np.flatnonzero(self.flagged):
            flagged, quality = self.issues.is_issue[row], self.issues.quality[row]
            changes = sorted(self._changes(row), key=lambda each: (-each.confidence, each.label))
            rest = quality[~flagged & ~np.isnan(quality)].min(initial=1.0)
            yield int(row), SampleChanges(tuple(changes), round(float(rest), 4))

    def _changes(self, row: int) -> Iterator[LabelChange]:
        for column in np.flatnonzero(self.issues.is_issue[row]):
            confidence = round(1 - float(self.issues.quality[row, column]), 4)
            if self.labels[row, column] == 0:
                yield LabelChange(self.judged_names[column], ADD, confidence)
                continue
            for spelt in np.flatnonzero((self.merged == column) & (self.given[row] == 1)):
                yield LabelChange(self.names[spelt], REMOVE, confidence)


def audit_multi_labels(
    embedded: Embedded,
    given: np.ndarray,
    names: tuple[str, ...],
    groups: np.ndarray,
    *,
    decided: Mapping[str, Mapping[str, str]],
    sensitivity: Sensitivity,
    seed: int,
    progress: Progress,
) -> MultiLabelAudit:
    """Judge labels, those of classes whose names differ only in writing as one class.

    Args:
        embedded: The collection.
        given: (n, k) in {0, 1, NaN}. The labels of its samples; NaN = not annotated.
        names: The k class names.
        groups: (n,) int. Near-duplicates share a number >= 0; -1 = none.
        decided: Sample id -> class -> what a person decided about it.
        sensitivity: Where to cut, see `find_label_issues`.
        seed: Of everything random.
        progress: Told along the way.

    Raises:
        DataError: There is nothing to judge.
    """
    clashes = audit_class_names(names, np.nansum(given, axis=0).astype(np.int64))
    merged, original = merged_classes(len(names), clashes)
    labels = np.zeros((len(given), len(original)), np.float32)
    np.maximum.at(labels.T, merged, given.T)  # NaN, which only whole rows are, stays NaN
    issues = find_label_issues(
        labels,
        embeddings=embedded.vectors,
        thumbnails=embedded.thumbnails,
        groups=groups,
        sensitivity=sensitivity,
        seed=seed,
        progress=progress,
    )
    if np.isnan(issues.quality).all():
        raise DataError(
            f"none of the classes ({_listed(names)}) can be judged: that takes ten annotated images, some with the "
            "class and some without it. Annotate more images; one without any of the classes has an empty list."
        )
    confirmed, unsure = _decisions(embedded.samples.ids, names, merged, labels.shape, decided)
    return MultiLabelAudit(
        names=names,
        given=given,
        merged=merged,
        judged_names=tuple(names[row] for row in original),
        labels=labels,
        issues=_settled(issues, confirmed, unsure, sensitivity),
        confirmed=confirmed,
        unsure=unsure,
        name_clashes=clashes,
        outliers=find_outliers(embedded.vectors, groups, progress),
    )


def _decisions(
    ids: np.ndarray,
    names: tuple[str, ...],
    merged: np.ndarray,
    shape: tuple[int, ...],
    decided: Mapping[str, Mapping[str, str]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, m) bool: which labels a person confirmed, and which one is unsure about."""
    column_of = dict(zip(names, merged.tolist(), strict=True))
    confirmed, unsure = np.zeros(shape, bool), np.zeros(shape, bool)
    for row, key in enumerate(ids):
        for name, decision in decided.get(key, {}).items():
            if name in column_of:  # a class whose last label was removed is there no more
                (confirmed if decision in CONFIRMING else unsure)[row, column_of[name]] = True
    return confirmed, unsure & ~confirmed


def _settled(issues: LabelIssues, confirmed: np.ndarray, unsure: np.ndarray, sensitivity: Sensitivity) -> LabelIssues:
    """Return the findings without what a person decided: confirmed labels are right, and nothing of it is flagged.

    They were judged like the others, since `find_label_issues` learns from confirmed labels of one kind only.
    """
    judged = ~np.isnan(issues.quality)
    wrong = np.where(judged, np.round(1 - issues.quality.astype(np.float64), 4), -1.0)
    decided = confirmed | unsure
    right = float(wrong[confirmed & judged].sum())

    def cut(made: Cut) -> Cut:
        least = np.sort(wrong[judged])[-made.flagged] if made.flagged else np.inf
        left = wrong[(wrong >= least) & ~decided]
        return Cut(made.sensitivity, len(left), float(left.mean()) if len(left) else float("nan"))

    cuts = tuple(map(cut, issues.cuts))
    low, high = issues.interval
    return replace(
        issues,
        quality=np.where(confirmed & judged, np.float32(1), issues.quality),
        is_issue=issues.is_issue & ~decided,
        estimated=max(0.0, issues.estimated - right),
        interval=(max(0.0, low - right), max(0.0, high - right)),
        expected_precision=next(each.expected_precision for each in cuts if each.sensitivity == sensitivity),
        cuts=cuts,
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} others" if len(names) > 5 else "")
