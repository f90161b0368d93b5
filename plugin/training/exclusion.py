"""Which flagged labels training leaves out: a bounded share of each class, and none of a small class."""

from __future__ import annotations

import numpy as np

LARGEST_SHARE = 0.25
SMALLEST_CLASS = 20


def excluded_issues(labels: np.ndarray, is_issue: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Return (n,) bool: the flagged labels to leave out, the least trustworthy of each class first.

    A label that is as likely right as wrong stays. At most a quarter of a class is left out, so that a model that
    misjudges a whole class cannot remove it, and nothing of a class with fewer than 20 images: there a person has to
    look.

    Args:
        labels: (n,) int, all >= 0.
        is_issue: (n,) bool.
        quality: (n,) float, low = suspicious.
    """
    excluded = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        if len(own) < SMALLEST_CLASS:
            continue
        flagged = own[is_issue[own] & (quality[own] < 0.5)]
        most = int(LARGEST_SHARE * len(own))
        excluded[flagged[np.argsort(quality[flagged], kind="stable")][:most]] = True
    return excluded
