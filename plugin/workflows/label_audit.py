"""What is found beside wrong labels: clashing class names, odd images, a report on classes, the worth of cleaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..curation.class_names import NameClash, audit_class_names, merged_classes
from ..curation.cleaning import CleaningWorth, price_cleaning
from ..curation.label_issues import LabelIssues, Sensitivity, find_label_issues
from ..curation.label_report import LabelReport, report_labels
from ..curation.nearest_rows import MakeNearest
from ..curation.outliers import Outliers, find_outliers
from ..curation.verdicts import AMBIGUOUS, ODD, VERDICTS, verdicts
from ..datasets.samples import Samples
from ..errors import DataError
from ..progress import Progress
from .label_issue_text import clash_lines, outlier_lines
from .vectors import Embedded
from .wording import counted

_PAIRS_TOLD = 5


@dataclass(frozen=True, eq=False)
class LabelAudit:
    """What was found beside the wrong labels.

    Attributes:
        name_clashes: Classes that are probably one: their labels were judged as one class.
        outliers: How odd the images are.
        verdicts: (m,) object. Why each label is flagged, see `verdicts`; "" where it is not.
        class_report: Which classes are mislabelled, and as what; classes that are probably one have one name there.
        cleaning: What cleaning would be worth, where that was asked for and could be measured.
        not_measured: Why it could not be measured, or "".
    """

    name_clashes: tuple[NameClash, ...]
    outliers: Outliers
    verdicts: np.ndarray
    class_report: LabelReport
    cleaning: CleaningWorth | None
    not_measured: str

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        pairs = self.class_report.worst_pairs(_PAIRS_TOLD)
        return {
            "worst_pairs": [{**asdict(pair), "expected": round(pair.expected, 1)} for pair in pairs],
            "outliers": int(self.outliers.is_outlier.sum()),
            "verdicts": {verdict: int((self.verdicts == verdict).sum()) for verdict in VERDICTS},
            "name_clashes": [clash.summary() for clash in self.name_clashes],
            "cleaning": self.cleaning.summary() if self.cleaning else None,
        }

    def results(self) -> dict[str, Any]:
        """Return plain JSON for the run: what the panel of the label report draws."""
        return {
            "class_report": self.class_report.to_dict(),
            "spellings": {clash.proposed: list(clash.names) for clash in self.name_clashes},
        }

    def lines(self, unit: str = "image") -> list[str]:
        """Return lines of markdown for a person; `unit`: "image" or "patch"."""
        lines = []
        if pairs := self.class_report.worst_pairs(_PAIRS_TOLD):
            shown = (f"{pair.true} labelled {pair.given} ({pair.expected:.0f})" for pair in pairs)
            lines += ["", f"Expected most often: {', '.join(shown)}."]
        if ambiguous := int((self.verdicts == AMBIGUOUS).sum()):
            told = counted(ambiguous, "flagged label is ambiguous", "flagged labels are ambiguous")
            lines += ["", f"{told}: no class is likelier than all others together."]
        lines += outlier_lines(self.outliers, int((self.verdicts == ODD).sum()), unit)
        if self.cleaning:
            lines += ["", self.cleaning.text()]
        lines += clash_lines(self.name_clashes)
        if self.not_measured:
            lines.append(f"- what cleaning would be worth was not measured: {self.not_measured}")
        return lines


def audit_labels(
    embedded: Embedded,
    groups: np.ndarray,
    *,
    copies: np.ndarray | None = None,
    predicted: np.ndarray | None,
    confirmed: np.ndarray,
    unsure: np.ndarray,
    sensitivity: Sensitivity,
    measure_cleaning: bool,
    seed: int,
    nearest_of: Callable[[np.ndarray], MakeNearest] | None = None,
    progress: Progress,
) -> tuple[LabelIssues, LabelAudit]:
    """Judge labels, those of classes whose names differ only in writing as one class, and what is found beside them.

    Args:
        embedded: The collection, with thumbnails.
        groups: (m,) int. Near-duplicates share a number >= 0; -1 = none.
        copies: (m,) int. The same for what counts once where odd images are looked for; None = `groups`.
        predicted: (m, k) float32, or None. Out-of-sample probabilities of the classes after `same_classes`.
        confirmed: (m,) bool. A person confirmed the label.
        unsure: (m,) bool. A person is unsure about the label; it is not flagged.
        sensitivity: Where to cut, see `find_label_issues`.
        measure_cleaning: Measure what cleaning would be worth, too.
        seed: Of everything random.
        nearest_of: What knows the images' neighbours, see `find_label_issues`.
        progress: Told along the way.

    Returns:
        The label issues, their suggestions being numbers of the collection's classes; and the rest.

    Raises:
        DataError: One class, or hardly any labels.
    """
    samples, vectors = embedded.samples, embedded.vectors
    clashes, merged, original = same_classes(samples)
    if clashes and len(original) < 2:
        raise DataError(f"all labelled images have {clashes[0].text()}; a classifier needs at least two classes.")
    labels = _renumbered(samples.labels, merged)
    issues = find_label_issues(
        labels,
        predicted,
        vectors,
        thumbnails=embedded.thumbnails,
        groups=groups,
        confirmed=confirmed,
        sensitivity=sensitivity,
        seed=seed,
        nearest_of=nearest_of,
        progress=progress,
    )
    issues = replace(issues, is_issue=issues.is_issue & ~unsure)
    names = [samples.classes[row] for row in original]
    cleaning, not_measured = None, ""
    if measure_cleaning:
        try:
            cleaning = price_cleaning(
                vectors,
                labels,
                issues.joint,
                thumbnails=embedded.thumbnails,
                groups=groups,
                seed=seed,
                progress=progress,
            )
        except DataError as error:
            not_measured = str(error)
    outliers = find_outliers(vectors, groups if copies is None else copies, progress)
    audit = LabelAudit(
        name_clashes=clashes,
        outliers=outliers,
        verdicts=verdicts(issues, outliers.is_outlier),
        class_report=report_labels(names, issues.joint, labels, issues.is_issue, issues.suggested),
        cleaning=cleaning,
        not_measured=not_measured,
    )
    return replace(issues, suggested=_renumbered(issues.suggested, original)), audit


def same_classes(samples: Samples) -> tuple[tuple[NameClash, ...], np.ndarray, np.ndarray]:
    """Find the k classes of a collection that are probably one; see `merged_classes` for the two arrays of numbers."""
    counts = np.bincount(samples.labels[samples.labels >= 0], minlength=len(samples.classes))
    clashes = audit_class_names(samples.classes, counts)
    return clashes, *merged_classes(len(samples.classes), clashes)


def _renumbered(classes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the (n,) classes by their (k,) new numbers; -1 stays."""
    found = np.full(len(classes), -1, np.int64)
    found[classes >= 0] = numbers[classes[classes >= 0]]
    return found
