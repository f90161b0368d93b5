"""Three rounds of a loop through a real Label Studio, with a scripted annotator who skips, disagrees and edits."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from tests.label_studio.conftest import predictions_of
from tests.label_studio.server import RealLabelStudio
from tests.plugin.workflows.conftest import CLASSES, tile
from winnow.plugin.datasets.labeling_batches import Batch, load_batch
from winnow.plugin.labeling.client import LabelStudioClient
from winnow.plugin.training.classifier import load_classifier
from winnow.plugin.workflows.loop import run_loop
from winnow.plugin.workflows.loop_report import LoopReport
from winnow.plugin.workflows.loop_settings import LoopChanges, LoopParams

A_CLASS, BATCH, MEASURED = 18, 12, 15
ROUNDS = 3


@pytest.fixture
def dataset(studio: RealLabelStudio) -> Iterator[fo.Dataset]:
    """Return images without labels, below the folder that Label Studio serves files from."""
    folder = studio.images / "to label #1 衣"
    folder.mkdir()
    for name in CLASSES:
        for number in range(A_CLASS):
            tile("train", name, number).save(folder / f"{name}-{number:02d}.png")
    made = fo.Dataset(f"loop-{uuid.uuid4().hex[:8]}")
    made.add_samples(fo.Sample(filepath=str(path)) for path in sorted(folder.iterdir()))
    yield made
    made.delete()


@pytest.fixture
def second_annotator(client: LabelStudioClient) -> int:
    """Return the number of another user."""
    address = f"other-{uuid.uuid4().hex[:8]}@example.org"
    made = client.call("POST", "/api/users/", json={"email": address, "username": "other", "password": "of the tests"})
    return int(made["id"])


def chosen(name: str) -> list[dict[str, Any]]:
    return [{"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [name]}}]


def submit(client: LabelStudioClient, task: int, name: str, **more: Any) -> int:
    body = {"result": chosen(name), **more}
    return int(client.call("POST", f"/api/tasks/{task}/annotations/", json=body)["id"])


def class_of(path: str) -> str:
    return Path(path).stem.split("-")[0]


def label_batch(client: LabelStudioClient, dataset: fo.Dataset, name: str, other: int | None = None) -> list[str]:
    """Label a batch; with another annotator, skip the first task, disagree on the second, mend the third afterwards.

    Returns the ids of the samples, best first.
    """
    batch = load_batch(dataset, name)
    paths = dict(zip(*dataset.select(batch.sample_ids).values(["id", "filepath"]), strict=True))
    for place, (key, task) in enumerate(zip(batch.sample_ids, batch.task_ids, strict=True)):
        right = class_of(paths[key])
        wrong = next(name for name in CLASSES if name != right)
        if other is not None and place == 0:
            client.call("POST", f"/api/tasks/{task}/annotations/", json={"result": [], "was_cancelled": True})
        elif other is not None and place == 1:
            submit(client, task, right)
            submit(client, task, wrong, completed_by=other)
        elif other is not None and place == 2:
            made = submit(client, task, wrong)
            client.call("PATCH", f"/api/annotations/{made}/", json={"result": chosen(right)})
        else:
            submit(client, task, right)
    return list(batch.sample_ids)


def predictions_in(client: LabelStudioClient, batch: Batch) -> list[list[dict[str, Any]]]:
    """Return the predictions of each task of a batch."""
    found = predictions_of(client, batch.project_id)
    return [found[task] for task in batch.task_ids]


def test_three_rounds_through_label_studio(
    dataset: fo.Dataset, studio: RealLabelStudio, client: LabelStudioClient, second_annotator: int
) -> None:
    def step(action: str, **changes: Any) -> LoopReport:
        return run_loop(dataset, LoopParams(action, changes=LoopChanges(**changes)), client=client)

    started = step(
        "start",
        label_studio=True,
        classes=CLASSES,
        batch=BATCH,
        evaluation_images=MEASURED,
        share=0.8,
        patience=9,
        least_gain=0.0,
        duplicates=False,
        pre_annotate=True,
        document_root=str(studio.images.parent),
    )
    measured_on = label_batch(client, dataset, "loop_evaluation")
    went_out = []
    for number in range(1, ROUNDS + 1):
        went_out.append(label_batch(client, dataset, f"loop_{number}", second_annotator))
        report = step("next")

    summary = report.summary()
    assert started.summary()["lacking"] == {"loop_evaluation": 12, "loop_1": 10}
    assert [each["labels"] for each in summary["rounds"]] == [10, 20, 30]  # of each batch one is skipped, one disputed
    assert [each["evaluation_images"] for each in summary["rounds"]] == [MEASURED] * ROUNDS
    assert len({key for batch in went_out for key in batch} | set(measured_on)) == ROUNDS * BATCH + MEASURED
    skipped, disputed, mended = zip(*(batch[:3] for batch in went_out), strict=True)
    assert dataset.select(skipped).values("labeling_state") == ["skipped"] * ROUNDS
    assert dataset.select(disputed).values("labeling_state") == ["disagreement"] * ROUNDS
    labelled = dataset.exists("ground_truth.label")
    assert labelled.values("ground_truth.label") == [class_of(path) for path in labelled.values("filepath")]
    assert set(mended) <= set(labelled.values("id"))
    assert not set(measured_on) & set(dataset.match({"loop_split": "train"}).values("id"))
    assert set(load_classifier(Path(summary["rounds"][-1]["classifier"])).classes) <= set(CLASSES)
    assert all(load_batch(dataset, "loop_evaluation").blind)
    predicted = {
        name: [len(predictions) for predictions in predictions_in(client, load_batch(dataset, name))]
        for name in ("loop_evaluation", "loop_1", f"loop_{ROUNDS}")
    }
    assert predicted == {"loop_evaluation": [0] * MEASURED, "loop_1": [0] * BATCH, f"loop_{ROUNDS}": [1] * BATCH}
    assert load_batch(dataset, f"loop_{ROUNDS}").model_version == summary["rounds"][ROUNDS - 2]["version"]
