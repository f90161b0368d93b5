"""A dataset of detections as `find_label_issues` leaves it, without the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import fiftyone as fo

LABELS = ("cat", "cat", "dog", "dog", "fox")
SUGGESTED = {0: ("dog", 0.98), 2: ("fox", 0.97), 3: ("cat", 0.5)}


def judge_patches(
    made: fo.Dataset, paths: Sequence[str] = ("/a.png", "/b.png"), box: Sequence[float] = (0, 0, 1, 1)
) -> fo.Dataset:
    """Add two images with five detections in `objects`; three labels are flagged, two suggestions are sure."""
    import fiftyone as fo

    from winnow.plugin.datasets import runs
    from winnow.plugin.datasets.patch_values import write_patch_values
    from winnow.plugin.datasets.patches import read_patches
    from winnow.plugin.workflows.findings import PATCH_ISSUES_RUN

    found = [fo.Detection(label=label, bounding_box=list(box), vector=[1.0, 2.0]) for label in LABELS]
    for path, some in zip(paths, (found[:2], found[2:]), strict=True):
        made.add_sample(fo.Sample(filepath=path, objects=fo.Detections(detections=some)))
    patches = read_patches(made, "objects")
    flagged = patches.ids[list(SUGGESTED)]
    columns: dict[str, tuple[Any, Any, Any]] = {
        "label_quality": (patches.ids, [0.02, 0.9, 0.03, 0.4, 0.9], "float"),
        "label_issue": (patches.ids, [row in SUGGESTED for row in range(5)], "bool"),
        "suggested_label": (flagged, [label for label, _ in SUGGESTED.values()], "str"),
        "suggested_label_confidence": (flagged, [np.float32(sure) for _, sure in SUGGESTED.values()], "float"),
        "suggested_label_given": (flagged, [LABELS[row] for row in SUGGESTED], "str"),
        "label_verdict": (flagged, ["wrong", "wrong", "ambiguous"], "str"),
    }
    written = [
        write_patch_values(made, patches, name, ids, values, kind=kind) for name, (ids, values, kind) in columns.items()
    ]
    fields = {
        "quality_field": "label_quality",
        "issue_field": "label_issue",
        "suggestion_field": "suggested_label",
        "verdict_field": "label_verdict",
        "patches_field": "objects",
    }
    runs.save_run(made, PATCH_ISSUES_RUN, method="find_label_issues", params=fields, fields=written, summary={})
    return made
