"""A classifier of colours, which needs no training, and the backend around it."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.backend.postgres_server import PostgresServer, programs
from winnow.backend.app import create_app
from winnow.backend.hosting import ModelHost
from winnow.backend.remembering import Memory
from winnow.backend.settings import Settings
from winnow.plugin.errors import UnreadableImageError
from winnow.plugin.failures import Failure
from winnow.plugin.vision.decoder import decode

CONFIG = (
    '<View><Image name="img" value="$image"/><Choices name="colour" toName="img" choice="single">'
    '<Choice value="Red" alias="red"/><Choice value="Green"/><Choice value="blue"/></Choices></View>'
)


@dataclass(frozen=True)
class ColourPredictions:
    """Probabilities (n, 3), NaN where an image could not be read, and what the classifier measured of each image."""

    probabilities: np.ndarray
    failures: list[Failure]
    vectors: np.ndarray | None = None


@dataclass
class ColourClassifier:
    """Tells red, green and blue by the mean colour of an image."""

    classes: tuple[str, ...] = ("red", "green", "blue")
    version: str = "colours-1"
    multilabel: bool = False
    concurrent: bool = True
    thresholds: tuple[float, ...] | None = None
    gate: threading.Event | None = None
    sizes: list[int] = field(default_factory=list)

    def predict(self, images: Sequence[Path | BinaryIO], batch_size: int = 32) -> ColourPredictions:
        """Wait for the gate, if there is one, then read each image."""
        if self.gate is not None:
            self.gate.wait(20)
        self.sizes.append(len(images))
        rows, failures = [], []
        for number, image in enumerate(images):
            try:
                rows.append(np.asarray(decode(image), dtype=np.float32).mean(axis=(0, 1)) + 1)
            except UnreadableImageError as error:
                rows.append(np.full(3, np.nan, dtype=np.float32))
                failures.append(Failure(str(number), "", error.reason))
        values = np.stack(rows)
        total = values.sum(axis=1, keepdims=True)
        return ColourPredictions(values / (256 if self.multilabel else total), failures, values)


def png(colour: str) -> bytes:
    """Return a small PNG file of one colour."""
    buffer = BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Return a PostgreSQL server; skips where it, or the driver, is not installed."""
    pytest.importorskip("pg8000")
    if programs() is None and os.environ.get("CI") != "true":
        pytest.skip("PostgreSQL is not installed")
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def config() -> str:
    """Return a labeling config with the choices red (shown as Red), Green and blue."""
    return CONFIG


@pytest.fixture
def image_uri() -> Callable[[str], str]:
    """Return a function that makes a data URI of an image of one colour."""
    return lambda colour: "data:image/png;base64," + base64.b64encode(png(colour)).decode()


@pytest.fixture
def image_bytes() -> Callable[[str], bytes]:
    """Return `png`."""
    return png


@pytest.fixture
def task() -> Callable[..., dict[str, Any]]:
    """Return a function that makes a task as Label Studio 1.23 sends it."""

    def make(number: int, image: object) -> dict[str, Any]:
        return {
            "id": number,
            "data": {"image": image},
            "meta": {},
            "created_at": "2025-01-01T00:00:00Z",
            "updated_at": "2025-01-01T00:00:00Z",
            "is_labeled": False,
            "overlap": 1,
            "inner_id": number,
            "total_annotations": 0,
            "cancelled_annotations": 0,
            "total_predictions": 0,
            "project": 1,
            "updated_by": None,
            "file_upload": None,
            "annotations": [],
            "predictions": [],
        }

    return make


@pytest.fixture
def backend() -> Iterator[Callable[..., TestClient]]:
    """Return a factory of clients of a running backend, `backend(settings, classifier, load, wait, memory)`."""

    def make(
        settings: Settings | None = None,
        classifier: ColourClassifier | None = None,
        load: Callable[[], ColourClassifier] | None = None,
        wait: bool = True,
        memory: Memory | None = None,
    ) -> TestClient:
        settings = settings or Settings()
        host = ModelHost(load or (lambda: classifier or ColourClassifier()))
        host.start()
        if wait:
            assert host.wait(20)
        return clients.enter_context(TestClient(create_app(settings, host, memory=memory)))

    with ExitStack() as clients:
        yield make


@pytest.fixture
def colours() -> type[ColourClassifier]:
    """Return the class of the classifier."""
    return ColourClassifier
