"""One classifier asked for the same files in every way there is: (n, k) probabilities, classes in its own order.

Python, the operator, the command line, the ONNX file with the example that reads it, and Label Studio's backend, which
tells the probability of the chosen class alone. FiftyOne has to be isolated before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from .mixed_files import VALUE_RANGE

EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx_classify.py"
CLASSES = ("bird", "boat", "tree", "wall")


def save_unlearnt_classifier(folder: Path, size: int) -> Path:
    """Save lite0 with a random last layer, whose probabilities tell any difference of the pixels."""
    from winnow.plugin.training.classifier import Classifier, save_classifier
    from winnow.plugin.training.network import ClassifierNetwork
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.decoder import Decode
    from winnow.plugin.vision.preprocessing import Preprocessing

    backbone = load_backbone()
    network = ClassifierNetwork(backbone.network, backbone.width, len(CLASSES)).eval()
    weights = np.random.default_rng(0).normal(0, 4, (backbone.width, len(CLASSES))).astype(np.float32)
    network.set_head(weights, np.zeros(len(CLASSES), np.float32))
    preprocessing = Preprocessing(Decode(VALUE_RANGE), backbone.input).with_size(size)
    return save_classifier(Classifier(network, backbone.architecture, backbone.width, CLASSES, preprocessing), folder)


def ask_python(folder: Path, files: Sequence[Path]) -> np.ndarray:
    """Return what `Classifier.predict` gives."""
    from winnow import load_classifier

    return load_classifier(folder).predict(files).probabilities


def ask_operator(folder: Path, files: Sequence[Path]) -> np.ndarray:
    """Return what the operator writes as logits."""
    import fiftyone as fo
    import fiftyone.operators as foo

    from winnow.plugin.workflows.install import install

    install()
    made = fo.Dataset()
    made.add_samples([fo.Sample(filepath=str(path)) for path in files])
    params = {"classifier": str(folder), "logits": True}
    foo.execute_operator("@winnow/curation/apply_classifier", dataset=made, params=params)
    made.reload()
    return _stored_probabilities(made, files)


def ask_command_line(folder: Path, files: Sequence[Path]) -> np.ndarray:
    """Return what `winnow predict` writes as logits, for files of one folder in another."""
    import fiftyone as fo

    before = set(fo.list_datasets())
    command = [sys.executable, "-m", "winnow", "predict", files[0].parents[1], "--classifier", folder, "--logits"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True, cwd=files[0].parent)
    (name,) = set(fo.list_datasets()) - before
    return _stored_probabilities(fo.load_dataset(name), files)


def ask_example(onnx_file: Path, files: Sequence[Path]) -> tuple[np.ndarray, set[str]]:
    """Return what the example gives for an exported classifier, and the packages that it has loaded."""
    *lines, modules = run_example(onnx_file, files).splitlines()
    found = [json.loads(line)["probabilities"] for line in lines]
    packages = {name.partition(".")[0] for name in modules.split()}
    return np.array([[each[name] for name in CLASSES] for each in found]), packages


def run_example(onnx_file: Path, files: Sequence[Path]) -> str:
    """Run the example, without the folder it lies in and what the environment says; it ends with the modules loaded."""
    run = "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    tell = f"import runpy, sys; {run}; print(*sys.modules)"
    command = [sys.executable, "-I", "-c", tell, str(EXAMPLE), str(onnx_file), *map(str, files)]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=onnx_file.parent).stdout


def ask_backend(folder: Path, files: Sequence[Path]) -> tuple[list[str], np.ndarray]:
    """Return the classes that the backend chooses, and their (n,) probabilities."""
    from starlette.testclient import TestClient

    from winnow.backend.app import create_app
    from winnow.backend.hosting import ModelHost
    from winnow.backend.settings import Settings
    from winnow.plugin.training.classifier import load_classifier

    choices = "".join(f'<Choice value="{name}"/>' for name in CLASSES)
    config = f'<View><Image name="i" value="$image"/><Choices name="c" toName="i">{choices}</Choices></View>'
    host = ModelHost(lambda: load_classifier(folder))
    host.start()
    host.wait(120)
    tasks: list[dict[str, Any]] = [
        {"id": number, "data": {"image": f"/data/local-files/?d={path.name}"}} for number, path in enumerate(files)
    ]
    with TestClient(create_app(Settings(document_root=files[0].parent), host)) as client:
        request = {"tasks": tasks, "label_config": config, "project": "1.1"}
        found = client.post("/predict", json=request).json()["results"]
    chosen = [entry["result"][0]["value"]["choices"][0] for entry in found]
    return chosen, np.array([entry["score"] for entry in found])


def _stored_probabilities(dataset: Any, files: Sequence[Path]) -> np.ndarray:
    """Return the (n, k) probabilities of the logits that predictions hold."""
    logits = dict(zip(*dataset.values(["filepath", "prediction.logits"]), strict=True))
    return softmax(np.array([logits[str(path)] for path in files]), axis=1)
