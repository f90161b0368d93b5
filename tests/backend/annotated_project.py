"""A Label Studio project of small pictures, as its API gives it, and a classifier to begin with.

torch and timm are imported late, see `tests.small_classifier`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.small_classifier import CLASSES, SIZE, small_classifier

CONFIG = (
    '<View><Image name="img" value="$image"/><Choices name="way" toName="img" choice="single">'
    '<Choice value="Left" alias="left"/><Choice value="right"/><Choice value="down"/></Choices></View>'
)
LEARNT = ("left", "right", "down")  # the last one is new to the classifier, whose `up` does not occur


def picture(label: str, seed: int) -> bytes:
    """Return a noisy PNG file whose left, right or lower half is bright."""
    rng = np.random.default_rng(seed)
    values = rng.normal(90, 15, (SIZE, SIZE, 3))
    half = SIZE // 2
    values[{"left": np.s_[:, :half], "right": np.s_[:, half:], "down": np.s_[half:]}[label]] += 100
    buffer = BytesIO()
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def annotated_task(number: int, label: str | None, **fields: Any) -> dict[str, Any]:
    """Return an annotated task whose image is in it; `label` None = a picture that nobody annotated."""
    content = picture(label or LEARNT[number % 3], number)
    region = {"from_name": "way", "to_name": "img", "type": "choices", "value": {"choices": [label]}}
    made = "2026-01-01T00:00:00.000000Z"
    annotation = {
        "id": 10_000 + number,
        "result": [region],
        "completed_by": 1,
        "was_cancelled": False,
        "ground_truth": False,
        "parent_prediction": None,
        "created_at": made,
        "updated_at": made,
    }
    return {
        "id": number,
        "data": {"image": "data:image/png;base64," + base64.b64encode(content).decode()},
        "annotations": [] if label is None else [annotation],
        "predictions": [],
    } | fields


@dataclass
class Project:
    """Stands where `labeling.client.LabelStudioClient` does, without HTTP."""

    contents: list[dict[str, Any]] = field(default_factory=list)
    label_config: str = CONFIG

    def project(self, project_id: int) -> dict[str, Any]:
        """Return the project."""
        return {"id": project_id, "label_config": self.label_config}

    def tasks(self, project_id: int) -> Iterator[dict[str, Any]]:
        """Yield its tasks."""
        yield from self.contents


def small_project(count: int = 60) -> Project:
    """Return a project whose tasks are annotated with the three classes in turn."""
    return Project([annotated_task(number, LEARNT[number % 3]) for number in range(1, count + 1)])


def save_small_classifier(folder: Path) -> Path:
    """Save `small_classifier`, of left, right and up, in a folder."""
    from winnow.plugin.training.classifier import save_classifier

    folder.mkdir(parents=True, exist_ok=True)
    classifier = small_classifier(folder)
    (folder / "tiny.safetensors").unlink()
    assert classifier.classes == CLASSES
    return save_classifier(classifier, folder)
