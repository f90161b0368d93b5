"""A Label Studio project of small pictures, as its API gives it, and a classifier to begin with.

torch and timm are imported late, see `tests.small_classifier`.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

from tests.small_classifier import CLASSES, SIZE, small_classifier

CONFIG = (
    '<View><Image name="img" value="$image"/><Choices name="way" toName="img" choice="single">'
    '<Choice value="Left" alias="left"/><Choice value="right"/><Choice value="up"/><Choice value="down"/>'
    "</Choices></View>"
)
LEARNT = ("left", "right", "down")  # the last one is new to the classifier, whose `up` does not occur


def picture(label: str, seed: int) -> bytes:
    """Return a noisy PNG file of which the half that the label names is bright."""
    rng = np.random.default_rng(seed)
    values = rng.normal(90, 15, (SIZE, SIZE, 3))
    half = SIZE // 2
    values[{"left": np.s_[:, :half], "right": np.s_[:, half:], "up": np.s_[:half], "down": np.s_[half:]}[label]] += 100
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


def small_project(count: int = 60, classes: Sequence[str] = LEARNT) -> Project:
    """Return a project whose tasks are annotated with the classes in turn."""
    return Project([annotated_task(number, classes[number % len(classes)]) for number in range(1, count + 1)])


class LabelStudioStandIn:
    """The two endpoints of Label Studio's API that a job reads, on loopback.

    Attributes:
        project: What it tells.
        gate: Tasks are answered while it is set.
        status: HTTP status of its answers.
        asked: How often tasks were asked for.
    """

    def __init__(self, project: Project) -> None:
        self.project, self.status, self.asked = project, 200, 0
        self.gate = threading.Event()
        self.gate.set()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(stand_in.answer(self.path)).encode()
                self.send_response(stand_in.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(BrokenPipeError):  # whoever asked was killed
                    self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, path: str) -> Any:
        """Return what is answered to a path."""
        parts = urlsplit(path)
        if not parts.path.startswith("/api/tasks"):
            return self.project.project(1)
        self.asked += 1
        self.gate.wait(60)
        query = parse_qs(parts.query)
        page, size = int(query["page"][0]), int(query["page_size"][0])
        return {
            "tasks": self.project.contents[(page - 1) * size : page * size],
            "total": len(self.project.contents),
        }

    def close(self) -> None:
        """Stop answering."""
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()


def save_small_classifier(folder: Path) -> Path:
    """Save `small_classifier`, of left, right and up, in a folder."""
    from winnow.plugin.training.classifier import save_classifier

    folder.mkdir(parents=True, exist_ok=True)
    classifier = small_classifier(folder)
    (folder / "tiny.safetensors").unlink()
    assert classifier.classes == CLASSES
    return save_classifier(classifier, folder)
