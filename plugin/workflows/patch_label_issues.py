"""Find the class labels of detections that are probably wrong: each box is judged as an image of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ..curation.label_issues import LabelIssues
from ..datasets import runs
from ..datasets.fields import FIELD_TYPES, Kind, check_label_attribute
from ..datasets.group_views import PATCH_ISSUES_VIEW, save_patch_view
from ..datasets.patch_decisions import read_patch_decisions
from ..datasets.patch_values import write_patch_values
from ..datasets.patches import Patches, check_patch_field, label_path
from ..datasets.samples import Samples
from ..datasets.views import Collection
from ..errors import DataError
from ..progress import Progress
from .findings import PATCH_ISSUES_RUN
from .label_audit import LabelAudit, audit_labels
from .label_issue_report import LabelIssueReport
from .patch_groups import patch_groups
from .patch_review import suggestion_attributes
from .patch_vectors import embed_patches

if TYPE_CHECKING:
    from .label_issues import LabelIssueParams


def find_patch_label_issues(
    view: Collection, field: str, params: LabelIssueParams, progress: Progress
) -> LabelIssueReport:
    """Judge the labels of a field of detections, and write quality, flag and suggestion as attributes of these.

    Raises:
        DataError: One class, hardly any labels, or evidence is asked for that only whole images can have.
        FieldError: The field holds no detections, or an attribute of these is not Winnow's; see also `embed_patches`.
    """
    if params.predictions_field or params.fine_tune:
        raise DataError(
            f"the labels of '{field}' are judged by its patches alone. Leave predictions and fine-tuning out, or judge "
            "a field of one label an image."
        )
    check_patch_field(view, field)
    path = label_path(view, field)
    for name, kind in _attributes(params):
        check_label_attribute(view, path, name, FIELD_TYPES[kind])

    found = embed_patches(view, field, params.vectors, need_labels=True, thumbnails=True, progress=progress)
    samples = found.embedded.samples
    groups, notes = patch_groups(view, found.patches, samples)
    if params.label_field not in (None, field):
        notes.append(f"label field '{params.label_field}' was left aside: the labels of patches are their detections'")
    decisions = read_patch_decisions(view, found.patches)
    issues, audit = audit_labels(
        found.embedded,
        groups,
        # The patches of an image are no copies of each other: each of them makes its like less odd.
        copies=np.full(len(samples), -1),
        predicted=None,
        confirmed=decisions.confirmed,
        unsure=decisions.unsure,
        sensitivity=params.sensitivity,
        measure_cleaning=params.measure_cleaning,
        seed=params.seed,
        progress=progress,
    )
    written = _write(view, found.looked_at, samples, issues, audit, params)
    told = save_patch_view(view, PATCH_ISSUES_VIEW, field, flag=params.issue_field, score=params.quality_field)
    report = LabelIssueReport(
        samples,
        issues,
        found.embedded.failures,
        confirmed=int(decisions.confirmed.sum()),
        unsure=int(decisions.unsure.sum()),
        audit=audit,
        notes=(*notes, *([told] if told else [])),
        unit="patch",
    )
    runs.save_run(
        view,
        PATCH_ISSUES_RUN,
        method="find_label_issues",
        params=asdict(params) | {"patches_field": field},
        fields=written,
        summary=report.summary(),
        results=audit.results(),
    )
    return report


def _attributes(params: LabelIssueParams) -> tuple[tuple[str, Kind], ...]:
    """Return the attributes that detections get, and what they hold."""
    suggested, confidence, given = suggestion_attributes(params.suggestion_field)
    return (
        (params.quality_field, "float"),
        (params.issue_field, "bool"),
        (suggested, "str"),
        (confidence, "float"),
        (given, "str"),
        (params.verdict_field, "str"),
        (params.outlier_score_field, "float"),
        (params.outlier_field, "bool"),
    )


def _write(
    view: Collection,
    looked_at: Patches,
    samples: Samples,
    issues: LabelIssues,
    audit: LabelAudit,
    params: LabelIssueParams,
) -> list[str]:
    """Write the findings; return the paths of the attributes."""
    judged, flagged, every = ~np.isnan(issues.quality), issues.is_issue, np.ones(len(samples), bool)
    columns: tuple[tuple[np.ndarray, Sequence[Any] | np.ndarray], ...] = (
        (judged, issues.quality[judged]),
        (judged, flagged[judged]),
        # Plain text, and the confidence beside it: the App filters detections by no attribute that is a label itself.
        (flagged, [samples.classes[index] for index in issues.suggested[flagged]]),
        (flagged, issues.confidence[flagged]),
        (flagged, [samples.classes[index] for index in samples.labels[flagged]]),
        (flagged, audit.verdicts[flagged]),
        (every, audit.outliers.score),
        (every, audit.outliers.is_outlier),
    )
    return [
        write_patch_values(view, looked_at, name, samples.ids[rows], values, kind=kind)
        for (name, kind), (rows, values) in zip(_attributes(params), columns, strict=True)
    ]
