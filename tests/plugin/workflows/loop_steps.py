"""The steps of a loop as tests take them, with a scripted annotator who labels what the App's views show."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import fiftyone as fo

from winnow.plugin.datasets import loops
from winnow.plugin.datasets.fields import write_values
from winnow.plugin.datasets.runs import save_run
from winnow.plugin.workflows.findings import DUPLICATES_RUN
from winnow.plugin.workflows.loop import run_loop
from winnow.plugin.workflows.loop_report import LoopReport
from winnow.plugin.workflows.loop_settings import LoopChanges, LoopParams

SETTINGS = {
    "batch": 15,
    "evaluation_images": 20,
    "group_by": ("scene",),
    "share": 1.0,
    "patience": 99,
    "least_gain": 0.0,
    "duplicates": False,
}
EVALUATION, TRAINING = "loop: label to measure", "loop: label to train"


def unlabelled_dataset(root: Path) -> fo.Dataset:
    """Return a dataset without labels; two images each are of one scene."""
    made = fo.Dataset(f"unlabelled-{uuid.uuid4().hex[:8]}")
    made.add_samples(
        fo.Sample(filepath=str(path), scene=f"{class_of(path)} {int(path.stem[-2:]) // 2}")
        for path in sorted(root.iterdir())
    )
    return made


def note_duplicates(dataset: fo.Dataset) -> None:
    """Write what `find_duplicates` leaves of three images each that look alike, of different scenes."""
    ids = dataset.values("id")
    write_values(dataset, "duplicate_group", ids[:60], [row // 3 for row in range(60)], kind="int")
    save_run(dataset, DUPLICATES_RUN, method="test", params={}, fields=["duplicate_group"], summary={})


def class_of(path: Path | str) -> str:
    return Path(path).stem.split("-")[0]


def annotate(dataset: fo.Dataset, *views: str, label: str | None = None, most: int | None = None) -> None:
    """Label what the views show: by the name of the file, or all alike."""
    for name in views or (EVALUATION, TRAINING):
        if dataset.has_saved_view(name):
            shown = dataset.load_saved_view(name)
            shown = shown if most is None else shown.limit(most)
            paths = dict(zip(*shown.values(["id", "filepath"]), strict=True))
            labels = {key: fo.Classification(label=label or class_of(path)) for key, path in paths.items()}
            dataset.set_values("ground_truth", labels, key_field="id")


def start(dataset: fo.Dataset, **changes: Any) -> LoopReport:
    return run_loop(dataset, LoopParams("start", changes=LoopChanges(**{**SETTINGS, **changes})))


def next_step(dataset: fo.Dataset, *, go_on: bool = False, **changes: Any) -> LoopReport:
    return run_loop(dataset, LoopParams("next", go_on=go_on, changes=LoopChanges(**changes)))


def frozen_ids(dataset: fo.Dataset) -> set[str]:
    found = loops.find_loop(dataset, "loop")
    assert found is not None
    return set(found.evaluation.ids)


def ids_of(dataset: fo.Dataset, split: str) -> set[str]:
    return set(dataset.match({"loop_split": split}).values("id"))
