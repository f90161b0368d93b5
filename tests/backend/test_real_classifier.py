"""`serve` on a real Classifier folder, in its own process, as `winnow serve DIR` runs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image

CLASSES = ("bag", "sneaker", "trouser")
SHEETS = Path(__file__).parents[2] / "examples" / "fashion_mnist"
SERVE = (
    "import sys; from pathlib import Path; from winnow.backend.serve import ServeOptions, serve; "
    "serve(Path(sys.argv[1]), ServeOptions(port=int(sys.argv[2])))"
)


def tiles(split: str, name: str, count: int) -> list[Image.Image]:
    """Return the first images of a class of the embedded sample."""
    with Image.open(SHEETS / split / f"{name}.png") as sheet:
        return [sheet.crop((28 * i, 0, 28 * i + 28, 28)) for i in range(count)]


def png(image: Image.Image) -> BytesIO:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return BytesIO(buffer.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved classifier: lite0 with the mean feature of ten images as each class's weights."""

    from winnow.plugin.training.classifier import Classifier, save_classifier
    from winnow.plugin.training.network import ClassifierNetwork
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.preprocessing import Preprocessing
    from winnow.plugin.vision.torch_engine import TorchEngine

    backbone = load_backbone()
    preprocessing = Preprocessing(input=backbone.input).with_size(96)
    engine = TorchEngine(backbone.network, preprocessing.input, "cpu")
    means = []
    for name in CLASSES:
        features = engine(np.stack([preprocessing(png(tile)) for tile in tiles("train", name, 10)]))
        mean = (features / np.linalg.norm(features, axis=1, keepdims=True)).mean(axis=0)
        means.append(mean / np.linalg.norm(mean))
    network = ClassifierNetwork(load_backbone().network, backbone.width, len(CLASSES)).eval()
    network.set_head(20 * np.stack(means, axis=1).astype(np.float32), np.zeros(len(CLASSES), np.float32))
    classifier = Classifier(network, backbone.architecture, backbone.width, CLASSES, preprocessing)
    return save_classifier(classifier, tmp_path_factory.mktemp("classifier") / "model")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a document root with five test images of each class and one file that is no image."""
    root = tmp_path_factory.mktemp("images")
    for name in CLASSES:
        for number, tile in enumerate(tiles("test", name, 5)):
            tile.save(root / f"{name} {number}.png")
    (root / "broken.png").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module")
def served(folder: Path, images: Path) -> Iterator[str]:
    """Return the address of a server in its own process that has loaded the classifier."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(images)}
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(folder), str(port)], env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            assert process.poll() is None, "the server has ended"
            try:
                if httpx.get(f"{url}/health").json()["classifier"] != "loading":
                    break
            except httpx.ConnectError:
                pass
            time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def predict(url: str, names: list[str]) -> list[Any]:
    choices = "".join(f'<Choice value="{name.title()}"/>' for name in CLASSES)
    config = f'<View><Image name="i" value="$image"/><Choices name="c" toName="i">{choices}</Choices></View>'
    tasks = [{"id": n, "data": {"image": f"/data/local-files/?d={quote(name)}"}} for n, name in enumerate(names)]
    response = httpx.post(
        f"{url}/predict", json={"tasks": tasks, "label_config": config, "project": "1.1"}, timeout=120
    )
    results: list[Any] = response.json()["results"]
    return results


def test_real_images_are_classified_and_a_broken_one_costs_only_its_own_entry(served: str) -> None:
    names = [f"{name} {number}.png" for number in range(5) for name in CLASSES]

    results = predict(served, [*names[:7], "broken.png", *names[7:]])

    assert results.pop(7) == []
    chosen = [entry["result"][0]["value"]["choices"][0].lower() for entry in results]
    right = [name.split(" ")[0] for name in names]
    assert np.mean([a == b for a, b in zip(chosen, right, strict=True)]) >= 0.8


def test_served_probabilities_are_those_of_the_loaded_classifier(served: str, folder: Path, images: Path) -> None:
    from winnow.plugin.training.classifier import load_classifier

    names = [f"{name} 0.png" for name in CLASSES]
    expected = load_classifier(folder).predict([images / name for name in names]).probabilities.max(axis=1)

    scores = [entry["score"] for entry in predict(served, names)]

    assert scores == pytest.approx(expected, abs=1e-4)


def test_version_is_that_of_the_folder_everywhere(served: str, folder: Path) -> None:
    from winnow.plugin.training.classifier import load_classifier

    version = load_classifier(folder).version

    setup = httpx.post(f"{served}/setup", json={"project": "1.1", "schema": "<View/>"}).json()
    versions = httpx.get(f"{served}/versions").json()
    (entry,) = predict(served, ["bag 0.png"])

    assert (setup, versions, entry["model_version"]) == ({"model_version": version}, {"versions": [version]}, version)


def test_damaged_classifier_makes_health_say_so(folder: Path, tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    from winnow.backend.app import create_app
    from winnow.backend.hosting import ModelHost
    from winnow.backend.settings import Settings
    from winnow.plugin.training.classifier import load_classifier

    (tmp_path / "classifier.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    host = ModelHost(lambda: load_classifier(tmp_path))
    host.start()
    host.wait(60)

    response = TestClient(create_app(Settings(), host)).get("/health")

    assert (response.status_code, response.json()["classifier"]) == (503, "failed")
