"""Datasets whose images have several labels each, as they are read and as `find_label_issues` leaves them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import write_image

if TYPE_CHECKING:
    import fiftyone as fo

# The labels of six images, None = not annotated, and their quality.
LABELS: tuple[set[str] | None, ...] = ({"cat", "dog"}, set(), {"fox"}, {"cat"}, {"dog"}, None)
QUALITY = (0.05, 0.01, 0.4, 0.9, 0.9)


def labels_of(names: set[str]) -> fo.Classifications:
    """Return labels in alphabetical order."""
    import fiftyone as fo

    return fo.Classifications(classifications=[fo.Classification(label=name) for name in sorted(names)])


def make_dataset(given: Mapping[str, set[str] | None]) -> fo.Dataset:
    """Return a new dataset of labels by path, in the field `things`; None = not annotated."""
    import fiftyone as fo

    dataset = fo.Dataset(f"sets-{uuid.uuid4().hex[:12]}")
    dataset.add_sample_field("things", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classifications)
    samples = []
    for path in sorted(given):
        names = given[path]
        samples.append(fo.Sample(filepath=path, things=None if names is None else labels_of(names)))
    dataset.add_samples(samples, progress=False)
    return dataset


def make_judged(folder: Path) -> fo.Dataset:
    """Return six images as `find_label_issues` leaves them: three flagged, two good ones, and one not annotated."""
    from winnow.plugin.datasets import runs
    from winnow.plugin.datasets.fields import write_values
    from winnow.plugin.datasets.label_changes import ADD, REMOVE, LabelChange, SampleChanges, write_changes
    from winnow.plugin.workflows.findings import LABEL_ISSUES_RUN

    suggested = (
        SampleChanges((LabelChange("fox", ADD, 0.95), LabelChange("dog", REMOVE, 0.8)), rest=0.7),
        SampleChanges((LabelChange("cat", ADD, 0.99),), rest=0.9),
        SampleChanges((LabelChange("fox", REMOVE, 0.6),), rest=0.9),
    )
    paths = [str(write_image(folder / f"{row}.png")) for row in range(len(LABELS))]
    made = make_dataset(dict(zip(paths, LABELS, strict=True)))
    ids = made.values("id")
    write_values(made, "label_quality", ids[:5], QUALITY, kind="float")
    write_values(made, "label_issue", ids[:5], [True] * 3 + [False] * 2, kind="bool")
    write_changes(made, "suggested_labels", ids[:3], suggested)
    write_values(made, "label_verdict", ids[:3], ["wrong"] * 3, kind="str")
    fields = {
        "quality_field": "label_quality",
        "issue_field": "label_issue",
        "suggestion_field": "suggested_labels",
        "verdict_field": "label_verdict",
    }
    runs.save_run(
        made,
        LABEL_ISSUES_RUN,
        method="find_label_issues",
        params=fields,
        fields=list(fields.values()),
        summary={
            "label_field": "things",
            "estimated": 4.0,
            "flagged": 4,
            "noise": "pairs",
            "missing": 2,
            "extra": 2,
            "by_class": {
                "cat": {"missing": 1, "extra": 0},
                "dog": {"missing": 0, "extra": 1},
                "fox": {"missing": 1, "extra": 1},
            },
        },
    )
    return made
