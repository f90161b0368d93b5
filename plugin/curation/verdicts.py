"""Why a label is flagged: it is wrong, no class is clear, or the image is perhaps of none of the classes."""

from __future__ import annotations

import numpy as np

from .label_issues import LabelIssues

WRONG, AMBIGUOUS, ODD = "wrong", "ambiguous", "odd image"
VERDICTS = (WRONG, AMBIGUOUS, ODD)
_MAJORITY = 0.5


def verdicts(issues: LabelIssues, is_outlier: np.ndarray) -> np.ndarray:
    """Return what is the matter with each of n single-label findings.

    Args:
        issues: Of n labels.
        is_outlier: (n,) bool. The image is far from all others, so that no class's images vouch for any label of it.

    Returns:
        (n,) object: "odd image" where the flagged image is an outlier; else "wrong" where the suggestion is likelier
        than all other classes together; else "ambiguous". "" where the label is not flagged.
    """
    found = np.where(issues.confidence > _MAJORITY, WRONG, AMBIGUOUS).astype(object)
    found[is_outlier] = ODD
    found[~issues.is_issue] = ""
    return found
