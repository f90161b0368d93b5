"""Whole jobs whose images a cluster embeds and predicts, against the same jobs on this machine."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from tests.plugin.workflows.conftest import CLASSES, tile
from winnow.plugin.workflows.curate import CurateParams, curate
from winnow.plugin.workflows.evaluate import EvaluateParams, evaluate_predictions

PER_SPLIT = {"train": 24, "test": 8}
FOUND = ("duplicate_group", "leak_group", "label_issue", "suggested_label.label", "prediction.label")


@pytest.fixture
def garments(tmp_path: Path) -> Iterator[Callable[[], fo.Dataset]]:
    """Return a factory of datasets of the same files: two wrong labels, a copy in the test split, a damaged file."""
    made, paths = [], []
    for split, count in PER_SPLIT.items():
        for name in CLASSES:
            for number in range(count):
                path = tmp_path / "garments" / split / name / f"{number:02d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                tile(split, name, number).save(path)
                paths.append(path)
    tile("train", "bag", 0).save(tmp_path / "garments/test/bag/copy.png")
    (tmp_path / "garments/train/bag/99.png").write_bytes(b"no image")
    paths += [tmp_path / "garments/test/bag/copy.png", tmp_path / "garments/train/bag/99.png"]

    def make() -> fo.Dataset:
        dataset = fo.Dataset(f"garments-{uuid.uuid4().hex[:12]}")
        wrong = {"01.png": "sandal", "02.png": "dress"}
        for path in paths:
            split, name = path.parts[-3:-1]
            label = wrong.get(path.name, name) if (split, name) == ("train", "trouser") else name
            sample = fo.Sample(filepath=str(path), split=split, ground_truth=fo.Classification(label=label))
            dataset.add_sample(sample)
        made.append(dataset)
        return dataset

    yield make
    for dataset in made:
        dataset.delete()


@pytest.mark.skipif(
    os.environ.get("WINNOW_SLOW_TESTS") != "1",
    reason="the whole job twice takes two minutes; WINNOW_SLOW_TESTS=1 runs it",
)
def test_a_curated_dataset_is_the_same(
    cluster: str, garments: Callable[[], fo.Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}
    datasets = {"": garments(), cluster: garments()}
    for where, dataset in datasets.items():
        monkeypatch.setenv("WINNOW_HOME", str(tmp_path / f"home {bool(where)}"))  # neither finds the other's vectors
        shared = str(tmp_path / "store") if where else ""
        curate(dataset, CurateParams(preset="probe", cluster=where, store=shared))
        report = evaluate_predictions(dataset, EvaluateParams(cluster=where, store=shared))
        told[where] = report.summary()

    alone, together = datasets.values()
    assert list((tmp_path / "store").rglob("*")) != []
    for field in FOUND:
        assert together.values(field) == alone.values(field), field
    assert sum(map(bool, alone.values("label_issue"))) >= 2 and 0 in alone.values("leak_group")
    np.testing.assert_allclose(
        np.array(together.values("prediction.confidence"), float),
        np.array(alone.values("prediction.confidence"), float),
        atol=1e-4,
    )
    accuracies = [each["accuracy_given_test"] for each in told.values()]
    assert accuracies[0] == accuracies[1] > 0.5
