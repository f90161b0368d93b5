"""A dataset as `find_label_issues` leaves it, without the embedding: for the tests of what is drawn from it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.conftest import write_image

if TYPE_CHECKING:
    import fiftyone as fo

CLASSES = ("cat", "dog", "犬")
FLAGGED = {(0, 1): 4, (1, 2): 2}
PER_CLASS = 12


def fill(dataset: fo.Dataset, folder: Path) -> None:
    """Add 12 images a label: 4 dogs are labelled cat and 2 犬 are labelled dog, all flagged; dog is also spelt Dog."""
    import fiftyone as fo

    from winnow.plugin.curation.label_report import report_labels
    from winnow.plugin.datasets import runs
    from winnow.plugin.datasets.fields import write_labels, write_values
    from winnow.plugin.workflows.label_issues import LabelIssueParams

    image = str(write_image(folder / "image.png"))
    given = np.repeat(np.arange(len(CLASSES)), PER_CLASS)
    true = given.copy()
    for (label, shows), count in FLAGGED.items():
        true[np.flatnonzero(given == label)[:count]] = shows
    flagged = given != true
    names = np.array(CLASSES, object)[given]
    names[PER_CLASS] = "Dog"
    dataset.add_samples(
        fo.Sample(filepath=image, media_type="image", ground_truth=fo.Classification(label=name)) for name in names
    )
    ids = np.array(dataset.values("id"), object)
    write_values(dataset, "label_quality", ids, np.where(flagged, 0.1, 0.9), kind="float")
    write_values(dataset, "label_issue", ids, flagged, kind="bool")
    write_labels(dataset, "suggested_label", ids[flagged], [CLASSES[row] for row in true[flagged]], [0.9] * 6)
    joint = np.zeros((3, 3))
    np.add.at(joint, (given, true), 1)
    runs.save_run(
        dataset,
        "winnow_label_issues",
        method="find_label_issues",
        params=asdict(LabelIssueParams()),
        fields=["label_quality", "label_issue", "suggested_label"],
        summary={"estimated": 6.0, "flagged": 6, "label_field": "ground_truth"},
        results={
            "class_report": report_labels(CLASSES, joint, given, flagged, true).to_dict(),
            "spellings": {"dog": ["Dog", "dog"]},
        },
    )
