"""Find the labels of a collection that are probably wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np

from ..curation.label_issues import BETA, Sensitivity
from ..curation.nearest_rows import MakeNearest
from ..datasets import runs
from ..datasets.fields import write_labels
from ..datasets.label_decisions import read_label_decisions
from ..datasets.predictions import check_prediction_field
from ..datasets.samples import chosen_label_field
from ..datasets.similarity_indexes import check_index
from ..datasets.views import Collection
from ..errors import DataError
from ..progress import Progress, silent
from .findings import LABEL_ISSUES_RUN, read_findings
from .job_rates import timed
from .label_audit import audit_labels
from .label_issue_fields import write_issues
from .label_issue_report import LabelIssueReport
from .multi_label_issues import MultiLabelIssueReport, field_of_several, find_multi_label_issues
from .neighbor_sources import neighbors_from
from .patch_label_issues import find_patch_label_issues
from .patch_vectors import WHOLE_IMAGES, chosen_patches
from .predicted_classes import predicted_classes
from .vectors import Embedded, VectorParams, embed_collection

# The votes whiten the vectors and look at the layout: their nearest are not the database's. Of the 30 nearest of
# 3,000 garments four times as many hold 86 %, and this many times as many 99 %.
_OVER = 32


@dataclass(frozen=True)
class LabelIssueParams:
    """Settings of `find_label_issues`.

    Attributes:
        vectors: How images become vectors.
        label_field: Field of the labels, `fo.Classification` or `fo.Classifications`; None = detected.
        patches_field: Field of detections whose labels are judged instead, each box as an image of its own; all fields
            below are attributes of the detections then. "whole images" = none, unless the view shows patches.
        quality_field: Field for the probability that the label is right; of several labels the least probable.
        issue_field: Field that is true for the flagged labels, false for the others.
        suggestion_field: Field for the suggested class of flagged labels, with its probability as confidence.
        changes_field: The same where an image may have several labels: field for the labels to add and to remove.
        verdict_field: Field for why a label is flagged: "wrong", "ambiguous" (no class is likelier than all others
            together) or "odd image" (far from all others, and perhaps of none of the classes).
        outlier_score_field: Field for how odd the image is: the share of images that are less odd.
        outlier_field: Field that is true for odd images (off-topic, broken, very rare), false for the others.
        sensitivity: "conservative" (few false flags), "default" or "thorough" (few wrong labels missed).
        measure_cleaning: Measure what cleaning the labels would be worth; takes several times as long.
        predictions_field: Field with out-of-sample predictions of yours, which are judged by as well; None = none.
        fine_tune: Fine-tune the backbone out of fold, and judge by what it says as well; takes twice a training.
        neighbors: Brain key of a similarity index in a vector database that proposes which images are near, for labels
            of one class an image; None = this machine compares them itself.
        seed: Of the cross-validation.
    """

    vectors: VectorParams = field(default_factory=VectorParams)
    label_field: str | None = None
    patches_field: str = WHOLE_IMAGES
    quality_field: str = "label_quality"
    issue_field: str = "label_issue"
    suggestion_field: str = "suggested_label"
    changes_field: str = "suggested_labels"
    verdict_field: str = "label_verdict"
    outlier_score_field: str = "outlier_score"
    outlier_field: str = "outlier"
    sensitivity: Sensitivity = "default"
    measure_cleaning: bool = False
    predictions_field: str | None = None
    fine_tune: bool = False
    neighbors: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sensitivity not in BETA:
            raise DataError(f"sensitivity must be one of {', '.join(BETA)}, got '{self.sensitivity}'")


@timed("find_label_issues")
def find_label_issues(
    view: Collection, params: LabelIssueParams = LabelIssueParams(), progress: Progress = silent
) -> LabelIssueReport | MultiLabelIssueReport:
    """Judge the labels of a collection, of its images or its patches, and write quality, flag and suggestion.

    Raises:
        DataError: One class, or hardly any labels.
        DataError, MissingPartError: The similarity index cannot be used, see `datasets.similarity_neighbors`.
        FieldError: See `embed_collection`; the predictions cannot be used, see `datasets.predictions`.
    """
    patches_field, several = chosen_patches(view, params.patches_field), field_of_several(view, params.label_field)
    if params.neighbors is not None and (patches_field is not None or several is not None):
        raise DataError("a vector database serves labels of one class an image; leave out `neighbors` for these.")
    if patches_field is not None:
        return find_patch_label_issues(view, patches_field, params, progress)
    if several is not None:
        return find_multi_label_issues(view, several, params, progress)
    if params.predictions_field is not None:
        check_prediction_field(view, params.predictions_field, chosen_label_field(view, params.label_field))
    told = check_index(view, params.neighbors)
    embedded = embed_collection(
        view, params.vectors, label_field=params.label_field, need_labels=True, progress=progress
    )
    groups = read_findings(view, embedded.samples.ids).groups
    return report_label_issues(view, embedded, groups, params, progress, told)


def report_label_issues(
    view: Collection,
    embedded: Embedded,
    groups: np.ndarray,
    params: LabelIssueParams,
    progress: Progress,
    told: tuple[str, ...] = (),
) -> LabelIssueReport:
    """Judge labels on vectors that are at hand; `groups` (m,) keeps duplicates from vouching for each other.

    `told` is passed on to the user.
    """
    samples = embedded.samples
    decisions = read_label_decisions(view, samples.ids, samples.label_field)
    predicted, notes = predicted_classes(
        view,
        embedded,
        groups,
        predictions_field=params.predictions_field,
        fine_tune=params.fine_tune,
        backbone=params.vectors.backbone,
        seed=params.seed,
        progress=progress,
    )
    issues, audit = audit_labels(
        embedded,
        groups,
        predicted=predicted,
        confirmed=decisions.confirmed,
        unsure=decisions.unsure,
        sensitivity=params.sensitivity,
        measure_cleaning=params.measure_cleaning,
        seed=params.seed,
        nearest_of=_nearest_of(view, embedded, params.neighbors),
        progress=progress,
    )
    flagged, label_field = issues.is_issue, samples.label_field
    write_labels(
        view,
        params.suggestion_field,
        samples.ids[flagged],
        [samples.classes[index] for index in issues.suggested[flagged]],
        issues.confidence[flagged].tolist(),
        given=[samples.classes[index] for index in samples.labels[flagged]],
        label_field=label_field,
    )
    written = write_issues(view, params, samples.ids, issues.quality, audit.verdicts, audit.outliers, label_field)
    report = LabelIssueReport(
        samples,
        issues,
        embedded.failures,
        confirmed=int(decisions.confirmed.sum()),
        unsure=int(decisions.unsure.sum()),
        audit=audit,
        notes=(*told, *notes, *written),
    )
    runs.save_run(
        view,
        LABEL_ISSUES_RUN,
        method="find_label_issues",
        params=asdict(params),
        fields=[
            params.quality_field,
            params.issue_field,
            params.suggestion_field,
            params.verdict_field,
            params.outlier_score_field,
            params.outlier_field,
        ],
        summary=report.summary(),
        results=audit.results(),
    )
    return report


def _nearest_of(view: Collection, embedded: Embedded, key: str | None) -> Callable[[np.ndarray], MakeNearest] | None:
    """Return what knows the neighbours of some of the images; None where they are compared here."""
    if key is None:
        return None

    def make(rows: np.ndarray) -> MakeNearest:
        return neighbors_from(view, key, embedded.samples.ids[rows], embedded.vectors[rows], _OVER)

    return make
