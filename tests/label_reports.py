"""Datasets as `find_label_issues` leaves them, without the embedding: for the tests of what is drawn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.conftest import write_image

if TYPE_CHECKING:
    import fiftyone as fo

CLASSES = ("cat", "dog", "犬")
PER_CLASS = 12


def fill(dataset: fo.Dataset, folder: Path) -> None:
    """Add 12 images a label: 4 dogs are labelled cat and 2 犬 are labelled dog, all flagged; dog is also spelt Dog."""
    import fiftyone as fo

    image = str(write_image(folder / "image.png"))
    names = [name for name in CLASSES for _ in range(PER_CLASS)]
    dataset.add_samples(
        fo.Sample(filepath=image, media_type="image", ground_truth=fo.Classification(label=name)) for name in names
    )
    save_report(dataset, {("cat", "dog"): 4, ("dog", "犬"): 2}, spellings={"dog": ["Dog", "dog"]})
    first_dog = dataset.values("id")[PER_CLASS]
    dataset.set_values("ground_truth.label", {first_dog: "Dog"}, key_field="id")


def save_report(
    dataset: fo.Dataset,
    flagged: Mapping[tuple[str, str], int],
    *,
    spellings: Mapping[str, Sequence[str]] | None = None,
    noise: str = "pairs",
) -> None:
    """Flag so many labels by label and suggestion, the first of each label, and save the run."""
    from winnow.plugin.curation.label_report import report_labels
    from winnow.plugin.datasets import runs
    from winnow.plugin.datasets.fields import write_labels, write_values
    from winnow.plugin.workflows.label_issues import LabelIssueParams

    ids, names = (np.array(values, object) for values in dataset.values(["id", "ground_truth.label"]))
    classes = sorted(set(names))
    given = np.array([classes.index(name) for name in names])
    true = given.copy()
    for (label, shows), count in flagged.items():
        true[np.flatnonzero(names == label)[:count]] = classes.index(shows)
    wrong = given != true
    joint = np.zeros((len(classes), len(classes)))
    np.add.at(joint, (given, true), 1)
    write_values(dataset, "label_quality", ids, np.where(wrong, 0.1, 0.9), kind="float")
    write_values(dataset, "label_issue", ids, wrong, kind="bool")
    write_labels(dataset, "suggested_label", ids[wrong], [classes[row] for row in true[wrong]], [0.9] * wrong.sum())
    runs.save_run(
        dataset,
        "winnow_label_issues",
        method="find_label_issues",
        params=asdict(LabelIssueParams()),
        fields=["label_quality", "label_issue", "suggested_label"],
        summary={
            "estimated": float(wrong.sum()),
            "flagged": int(wrong.sum()),
            "label_field": "ground_truth",
            "noise": noise,
        },
        results={
            "class_report": report_labels(classes, joint, given, wrong, true).to_dict(),
            "spellings": dict(spellings or {}),
        },
    )
