"""The documents' Python for Label Studio, executed against a real one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import pytest

import winnow
from tests.doc_blocks import Block, execute, run_by
from tests.label_studio.server import RealLabelStudio
from tests.plugin.workflows.conftest import tile
from winnow.plugin.datasets.labeling_batches import list_batches
from winnow.plugin.labeling.client import LabelStudioClient
from winnow.plugin.labeling.task_identity import SAMPLE

# The documents talk of cats; what tests have is clothes.
CLASSES = {"cat": "trouser", "dog": "bag", "fox": "sneaker"}
A_CLASS = 6


@pytest.fixture
def dataset(studio: RealLabelStudio) -> Iterator[fo.Dataset]:
    """Return the dataset `photos`, without labels, with predictions."""
    folder = studio.images / f"documents {uuid.uuid4().hex[:8]}"
    folder.mkdir()
    made = fo.Dataset("photos")
    for name, kind in CLASSES.items():
        for number in range(A_CLASS):
            tile("train", kind, number).save(folder / f"{name}-{number}.png")
            guess = fo.Classification(label=name, confidence=0.9, model_version="v1")
            made.add_sample(fo.Sample(filepath=str(folder / f"{name}-{number}.png"), prediction=guess))
    yield made
    made.delete()


@pytest.mark.parametrize("block", run_by(Path(__file__)), ids=str)
def test_samples_go_out_and_come_back(
    block: Block,
    dataset: fo.Dataset,
    studio: RealLabelStudio,
    client: LabelStudioClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    monkeypatch.setenv("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", str(studio.images.parent))

    execute(block, {"__name__": "page", "os": os, "winnow": winnow, "dataset": dataset})  # nobody has labelled yet
    (batch,) = list_batches(dataset)
    for task in client.tasks(batch.project_id):
        name = dataset[task["data"][SAMPLE]].prediction.label
        result = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [name]}}
        client.call("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": [result]})
    winnow.pull_from_label_studio(dataset, winnow.PullParams(), client)

    assert dataset.values("ground_truth.label") == dataset.values("prediction.label")
    assert studio.token not in capsys.readouterr().out
