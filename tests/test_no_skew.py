"""One classifier gives the same probabilities for the same files wherever it is asked: nothing prepares images anew."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import softmax

from benchmarks.mixed_files import VALUE_RANGE, write_mixed_files
from winnow.plugin.vision.decoder import Decode

if TYPE_CHECKING:
    import fiftyone as fo

EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx_classify.py"
CLASSES = ("bird", "boat", "tree", "wall")
FILES = 34
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return files of every mode and size, in a folder of one class."""
    return write_mixed_files(tmp_path_factory.mktemp("mixed") / "unknown", FILES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved classifier of lite0 with a random last layer."""
    from winnow.plugin.training.classifier import Classifier, save_classifier
    from winnow.plugin.training.network import ClassifierNetwork
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.preprocessing import Preprocessing

    backbone = load_backbone()
    network = ClassifierNetwork(backbone.network, backbone.width, len(CLASSES)).eval()
    weights = np.random.default_rng(0).normal(0, 4, (backbone.width, len(CLASSES))).astype(np.float32)
    network.set_head(weights, np.zeros(len(CLASSES), np.float32))
    preprocessing = Preprocessing(Decode(VALUE_RANGE), backbone.input).with_size(128)
    classifier = Classifier(network, backbone.architecture, backbone.width, CLASSES, preprocessing)
    return save_classifier(classifier, tmp_path_factory.mktemp("skew") / "model")


@pytest.fixture(scope="module")
def expected(folder: Path, files: list[Path]) -> np.ndarray:
    """Return the (n, k) probabilities that a call from Python gives."""
    from winnow import load_classifier

    found = load_classifier(folder).predict(files).probabilities
    assert np.isfinite(found).all()
    assert len(set(found.argmax(axis=1))) > 1
    assert found.std(axis=0).min() > 0.02
    return found


def stored_probabilities(dataset: fo.Dataset, files: list[Path]) -> np.ndarray:
    """Return the (n, k) probabilities of the logits that predictions hold."""
    logits = dict(zip(*dataset.values(["filepath", "prediction.logits"]), strict=True))
    return softmax(np.array([logits[str(path)] for path in files]), axis=1)


def test_operator_gives_the_probabilities_of_python(
    expected: np.ndarray, folder: Path, files: list[Path], dataset: Callable[..., fo.Dataset]
) -> None:
    import fiftyone as fo
    import fiftyone.operators as foo

    from winnow.plugin.workflows.install import install

    install()
    made = dataset()
    made.add_samples([fo.Sample(filepath=str(path)) for path in files])

    foo.execute_operator(
        "@winnow/curation/apply_classifier", dataset=made, params={"classifier": str(folder), "logits": True}
    )

    made.reload()
    np.testing.assert_allclose(stored_probabilities(made, files), expected, atol=TOLERANCE)


def test_command_line_gives_the_probabilities_of_python(
    expected: np.ndarray, folder: Path, files: list[Path], dataset: Callable[..., fo.Dataset]
) -> None:
    import fiftyone as fo

    before = set(fo.list_datasets())
    command = [sys.executable, "-m", "winnow", "predict", files[0].parents[1], "--classifier", folder, "--logits"]

    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=files[0].parent)

    assert done.returncode == 0, done.stderr[-2000:]
    (name,) = set(fo.list_datasets()) - before
    np.testing.assert_allclose(stored_probabilities(fo.load_dataset(name), files), expected, atol=TOLERANCE)


@pytest.fixture(scope="module")
def onnx_file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the classifier as an ONNX file."""
    from winnow import ExportParams, export_classifier

    return export_classifier(None, ExportParams(folder, tmp_path_factory.mktemp("onnx") / "model.onnx")).exported.path


def run_example(onnx_file: Path, files: list[Path]) -> subprocess.CompletedProcess[str]:
    """Run the example without the folder it lies in, the user's packages and the environment's say."""
    run = "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    tell = f"import runpy, sys; {run}; print(*sys.modules)"
    command = [sys.executable, "-I", "-c", tell, str(EXAMPLE), str(onnx_file), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, cwd=onnx_file.parent)


def test_example_with_the_onnx_file_gives_the_probabilities_of_python_without_winnow_or_torch(
    expected: np.ndarray, onnx_file: Path, files: list[Path]
) -> None:
    done = run_example(onnx_file, files)

    assert done.returncode == 0, done.stderr[-2000:]
    *lines, modules = done.stdout.splitlines()
    found = [json.loads(line)["probabilities"] for line in lines]
    np.testing.assert_allclose([[each[name] for name in CLASSES] for each in found], expected, atol=TOLERANCE)
    assert [next(iter(each)) for each in found] == [CLASSES[best] for best in expected.argmax(axis=1)]
    loaded = {name.partition(".")[0] for name in modules.split()}
    assert loaded.isdisjoint({"winnow", "torch", "torchvision", "timm", "fiftyone", "cv2", "scipy"})


def test_example_refuses_colour_that_it_would_misread(onnx_file: Path, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "wide.png"), np.full((30, 30, 3), 4095, np.uint16))

    done = run_example(onnx_file, [tmp_path / "wide.png"])

    assert done.returncode == 1
    assert "16-bit colour" in done.stderr


def test_label_studio_backend_gives_the_probabilities_of_python(
    expected: np.ndarray, folder: Path, files: list[Path]
) -> None:
    from starlette.testclient import TestClient

    from winnow.backend.app import create_app
    from winnow.backend.hosting import ModelHost
    from winnow.backend.settings import Settings
    from winnow.plugin.training.classifier import load_classifier

    choices = "".join(f'<Choice value="{name}"/>' for name in CLASSES)
    config = f'<View><Image name="i" value="$image"/><Choices name="c" toName="i">{choices}</Choices></View>'
    host = ModelHost(lambda: load_classifier(folder))
    host.start()
    assert host.wait(120)
    tasks: list[dict[str, Any]] = [
        {"id": number, "data": {"image": f"/data/local-files/?d={path.name}"}} for number, path in enumerate(files)
    ]

    with TestClient(create_app(Settings(document_root=files[0].parent), host)) as client:
        request = {"tasks": tasks, "label_config": config, "project": "1.1"}
        found = client.post("/predict", json=request).json()["results"]

    chosen = [entry["result"][0]["value"]["choices"] for entry in found]
    assert chosen == [[CLASSES[best]] for best in expected.argmax(axis=1)]
    np.testing.assert_allclose([entry["score"] for entry in found], expected.max(axis=1), atol=TOLERANCE)
