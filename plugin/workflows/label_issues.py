"""Find the labels of a collection that are probably wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..curation.class_names import NameClash, audit_class_names, merged_classes
from ..curation.label_issues import LabelIssues
from ..curation.label_issues import find_label_issues as find_in_arrays
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


@dataclass(frozen=True)
class LabelIssueParams:
    """Settings of `find_label_issues`.

    Attributes:
        vectors: How images become vectors.
        label_field: Field of the labels; None = detected.
        quality_field: Field for the probability that the label is right.
        issue_field: Field that is true for the flagged labels, false for the others.
        suggestion_field: Field for the suggested class of flagged labels, with its probability as confidence.
        seed: Of the cross-validation.
    """

    vectors: VectorParams = field(default_factory=VectorParams)
    label_field: str | None = None
    quality_field: str = "label_quality"
    issue_field: str = "label_issue"
    suggestion_field: str = "suggested_label"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class LabelIssueReport:
    """What `find_label_issues` found, row for row with `samples`.

    Attributes:
        samples: The samples that could be read.
        issues: Which labels are probably wrong; suggestions are numbers of `samples.classes`.
        failures: The samples that could not be read.
        name_clashes: Classes that are probably one: their labels were judged as one class.
    """

    samples: Samples
    issues: LabelIssues
    failures: tuple[Failure, ...]
    name_clashes: tuple[NameClash, ...] = ()

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
            "name_clashes": [clash.summary() for clash in self.name_clashes],
            "label_field": self.samples.label_field,
            "failures": len(self.failures),
            "notes": list(self.samples.notes),
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
            after = "Next: look at the flagged samples (`label_issue` is true), worst `label_quality` first."
        lines += [f"- {clash.text()}; judged as one" for clash in self.name_clashes]
        lines += [f"- {note}" for note in found["notes"]]
        return "\n".join([*lines, *failure_lines(self.failures), "", after])


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
    issues = find_in_arrays(
        np.where(samples.labels >= 0, merged[samples.labels], -1),
        embeddings=embedded.vectors,
        groups=groups,
        seed=params.seed,
        progress=progress,
    )
    issues = replace(issues, suggested=np.where(issues.suggested >= 0, original[issues.suggested], -1))
    report = LabelIssueReport(samples, issues, embedded.failures, clashes)
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
    runs.save_run(
        view,
        LABEL_ISSUES_RUN,
        method="find_label_issues",
        params=asdict(params),
        fields=[params.quality_field, params.issue_field, params.suggestion_field],
        summary=report.summary(),
    )
    return report
