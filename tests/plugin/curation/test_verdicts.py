from __future__ import annotations

from dataclasses import replace

import numpy as np

from winnow.plugin.curation.label_issues import find_label_issues
from winnow.plugin.curation.verdicts import verdicts


def test_flagged_labels_are_wrong_ambiguous_or_of_odd_images() -> None:
    issues = replace(
        find_label_issues(np.zeros(4, int), np.full((4, 2), 0.5)),
        is_issue=np.array([True, True, True, False]),
        confidence=np.array([0.9, 0.4, 0.9, 0.9], np.float32),
    )

    found = verdicts(issues, is_outlier=np.array([False, False, True, True]))

    assert found.tolist() == ["wrong", "ambiguous", "odd image", ""]
