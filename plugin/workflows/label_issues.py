"""Find the labels of a collection that are probably wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..curation.class_names import NameClash, audit_class_names, merged_classes
from ..curation.cleaning import CleaningWorth, price_cleaning
from ..curation.label_issues import LabelIssues
from ..curation.label_issues import find_label_issues as find_in_arrays
from ..curation.label_report import ConfusedPair, LabelReport, report_labels
from ..curation.outliers import Outliers, find_outliers
from ..datasets import runs
from ..datasets.fields import write_labels, write_values
from ..datasets.samples import Samples
from ..datasets.views import Collection
from ..errors import DataError
from ..failures import Failure
from ..progress import Progress, silent
from .findings import LABEL_ISSUES_RUN, read_findings
from .vectors import Embedded, VectorParams, embed_collection
from .wording import counted, failure_lines

_PAIRS_TOLD = 5


@dataclass(frozen=True)
class LabelIssueParams:
    """Settings of `find_label_issues`.

    Attributes:
        vectors: How images become vectors.
        label_field: Field of the labels; None = detected.
        quality_field: Field for the probability that the label is right.
        issue_field: Field that is true for the flagged labels, false for the others.
        suggestion_field: Field for the suggested class of flagged labels, with its probability as confidence.
        outlier_score_field: Field for how odd the image is: the share of images that are less odd.
        outlier_field: Field that is true for odd images (off-topic, broken, very rare), false for the others.
        measure_cleaning: Measure what cleaning the labels would be worth; takes several times as long.
        seed: Of the cross-validation.
    """

    vectors: VectorParams = field(default_factory=VectorParams)
    label_field: str | None = None
    quality_field: str = "label_quality"
    issue_field: str = "label_issue"
    suggestion_field: str = "suggested_label"
    outlier_score_field: str = "outlier_score"
    outlier_field: str = "outlier"
    measure_cleaning: bool = False
    seed: int = 0


@dataclass(frozen=True, eq=False)
class LabelIssueReport:
    """What `find_label_issues` found, row for row with `samples`.

    Attributes:
        samples: The samples that could be read.
        issues: Which labels are probably wrong; suggestions are numbers of `samples.classes`.
        failures: The samples that could not be read.
        name_clashes: Classes that are probably one: their labels were judged as one class.
        outliers: How odd the images are.
        class_report: Which classes are mislabelled, and as what; classes that are probably one have one name there.
        cleaning: What cleaning would be worth, where that was asked for and could be measured.
        notes: What else a reader should know.
    """

    samples: Samples
    issues: LabelIssues
    failures: tuple[Failure, ...]
    name_clashes: tuple[NameClash, ...] = ()
    outliers: Outliers | None = None
    class_report: LabelReport | None = None
    cleaning: CleaningWorth | None = None
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return plain JSON. `by_class`: flagged labels of each class that has any."""
        flagged = self.issues.is_issue
        counts = np.bincount(self.samples.labels[flagged], minlength=len(self.samples.classes))
        precision = self.issues.expected_precision
        return {
            "images": len(self.samples),
            "labelled": int((self.samples.labels >= 0).sum()),
            "flagged": int(flagged.sum()),
            "estimated": round(self.issues.estimated, 1),
            "expected_precision": None if np.isnan(precision) else round(precision, 3),
            "by_class": {name: int(count) for name, count in zip(self.samples.classes, counts, strict=True) if count},
            "worst_pairs": [{**asdict(pair), "expected": round(pair.expected, 1)} for pair in self._worst_pairs()],
            "outliers": int(self.outliers.is_outlier.sum()) if self.outliers else None,
            "name_clashes": [clash.summary() for clash in self.name_clashes],
            "label_field": self.samples.label_field,
            "failures": len(self.failures),
            "cleaning": self.cleaning.summary() if self.cleaning else None,
            "notes": [*self.samples.notes, *self.notes],
        }

    def text(self) -> str:
        """Return markdown for a person."""
        found = self.summary()
        labelled = f"{counted(found['labelled'], 'label')} in `{found['label_field']}`"
        if not found["flagged"]:
            lines, after = [f"**No label is probably wrong**, of {labelled}."], "Next: train a classifier."
        else:
            worst = sorted(found["by_class"].items(), key=lambda item: (-item[1], item[0]))[:5]
            lines = [
                f"**{found['flagged']:,} of {labelled} probably wrong.** Expected: {found['estimated']:.0f} wrong in "
                f"all, and {found['expected_precision']:.0%} of the flagged.",
                "",
                "Most in: " + ", ".join(f"{name} ({count})" for name, count in worst) + ".",
            ]
            if pairs := self._worst_pairs():
                shown = (f"{pair.true} labelled {pair.given} ({pair.expected:.0f})" for pair in pairs)
                lines += ["", f"Expected most often: {', '.join(shown)}."]
            after = "Next: look at the flagged samples (`label_issue` is true), worst `label_quality` first."
        if found["outliers"]:
            lines += ["", f"**{counted(found['outliers'], 'odd image')}**, far from all others: `outlier` is true."]
        if self.cleaning:
            lines += ["", self.cleaning.text()]
        lines += [""] + [f"- {clash.text()}; judged as one" for clash in self.name_clashes]
        lines += [f"- {note}" for note in found["notes"]]
        return "\n".join([*lines, *failure_lines(self.failures), "", after])

    def _worst_pairs(self) -> list[ConfusedPair]:
        return self.class_report.worst_pairs(_PAIRS_TOLD) if self.class_report else []


def find_label_issues(
    view: Collection, params: LabelIssueParams = LabelIssueParams(), progress: Progress = silent
) -> LabelIssueReport:
    """Judge the labels of a collection, and write quality, flag and suggestion.

    Raises:
        DataError: One class, or hardly any labels.
        FieldError: See `embed_collection`.
    """
    embedded = embed_collection(
        view, params.vectors, label_field=params.label_field, need_labels=True, progress=progress
    )
    groups = read_findings(view, embedded.samples.ids).groups
    return report_label_issues(view, embedded, groups, params, progress)


def report_label_issues(
    view: Collection, embedded: Embedded, groups: np.ndarray, params: LabelIssueParams, progress: Progress
) -> LabelIssueReport:
    """Judge labels on vectors that are at hand; `groups` (m,) keeps duplicates from vouching for each other."""
    samples = embedded.samples
    counts = np.bincount(samples.labels[samples.labels >= 0], minlength=len(samples.classes))
    clashes = audit_class_names(samples.classes, counts)
    merged, original = merged_classes(len(samples.classes), clashes)
    if clashes and len(original) < 2:
        raise DataError(f"all labelled images have {clashes[0].text()}; a classifier needs at least two classes.")
    labels = np.where(samples.labels >= 0, merged[samples.labels], -1)
    issues = find_in_arrays(
        labels,
        embeddings=embedded.vectors,
        groups=groups,
        seed=params.seed,
        progress=progress,
    )
    names = [samples.classes[row] for row in original]
    class_report = report_labels(names, issues.joint, labels, issues.is_issue, issues.suggested)
    outliers = find_outliers(embedded.vectors, groups, progress)
    cleaning, notes = _worth(embedded, labels, issues, groups, params, progress)
    issues = replace(issues, suggested=np.where(issues.suggested >= 0, original[issues.suggested], -1))
    report = LabelIssueReport(samples, issues, embedded.failures, clashes, outliers, class_report, cleaning, notes)
    judged, flagged = ~np.isnan(issues.quality), issues.is_issue
    label_field = samples.label_field
    write_values(
        view, params.quality_field, samples.ids[judged], issues.quality[judged], kind="float", label_field=label_field
    )
    write_values(view, params.issue_field, samples.ids[judged], flagged[judged], kind="bool", label_field=label_field)
    write_labels(
        view,
        params.suggestion_field,
        samples.ids[flagged],
        [samples.classes[index] for index in issues.suggested[flagged]],
        issues.confidence[flagged].tolist(),
        label_field=label_field,
    )
    write_values(view, params.outlier_score_field, samples.ids, outliers.score, kind="float", label_field=label_field)
    write_values(view, params.outlier_field, samples.ids, outliers.is_outlier, kind="bool", label_field=label_field)
    runs.save_run(
        view,
        LABEL_ISSUES_RUN,
        method="find_label_issues",
        params=asdict(params),
        fields=[
            params.quality_field,
            params.issue_field,
            params.suggestion_field,
            params.outlier_score_field,
            params.outlier_field,
        ],
        summary=report.summary(),
        results={
            "class_report": class_report.to_dict(),
            "spellings": {clash.proposed: list(clash.names) for clash in clashes},
        },
    )
    return report


def _worth(
    embedded: Embedded,
    labels: np.ndarray,
    issues: LabelIssues,
    groups: np.ndarray,
    params: LabelIssueParams,
    progress: Progress,
) -> tuple[CleaningWorth | None, tuple[str, ...]]:
    """Measure what cleaning would be worth, where that is asked for; or say why it can't be measured."""
    if not params.measure_cleaning:
        return None, ()
    try:
        worth = price_cleaning(
            embedded.vectors, labels, issues.joint, groups=groups, seed=params.seed, progress=progress
        )
    except DataError as error:
        return None, (f"what cleaning would be worth was not measured: {error}",)
    return worth, ()
