"""Writes what was found about labels, of whatever kind they are, into the fields that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..curation.outliers import Outliers
from ..datasets.fields import write_values
from ..datasets.group_views import LABEL_ISSUES_VIEW, save_issue_view
from ..datasets.views import Collection

if TYPE_CHECKING:
    from .label_issues import LabelIssueParams


def write_issues(
    view: Collection,
    params: LabelIssueParams,
    ids: np.ndarray,
    quality: np.ndarray,
    verdicts: np.ndarray,
    outliers: Outliers,
    label_field: str | None,
) -> tuple[str, ...]:
    """Write quality, flag, its reason and oddness of samples, and save the view of the flagged ones.

    Args:
        view: The collection.
        params: Names the fields.
        ids: (n,) sample ids.
        quality: (n,) float in [0, 1]. NaN = not judged.
        verdicts: (n,) object. Why the sample is flagged; "" where it is not.
        outliers: How odd each of the n images is.
        label_field: Field that the labels were read from.

    Returns:
        Notes for the user.

    Raises:
        FieldError: A field can't be written to.
    """
    judged, flagged = ~np.isnan(quality), verdicts != ""
    write_values(view, params.quality_field, ids[judged], quality[judged], kind="float", label_field=label_field)
    write_values(view, params.issue_field, ids[judged], flagged[judged], kind="bool", label_field=label_field)
    why = verdicts[flagged]
    write_values(view, params.verdict_field, ids[flagged], why, kind="str", label_field=label_field)
    write_values(view, params.outlier_score_field, ids, outliers.score, kind="float", label_field=label_field)
    write_values(view, params.outlier_field, ids, outliers.is_outlier, kind="bool", label_field=label_field)
    note = save_issue_view(view, LABEL_ISSUES_VIEW, flag_field=params.issue_field, score_field=params.quality_field)
    return (note,) if note else ()
