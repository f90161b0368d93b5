from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from torch import nn

from tests.small_classifier import CLASSES, small_classifier
from winnow.plugin.errors import ClassifierError
from winnow.plugin.training import export
from winnow.plugin.training.classifier import Classifier
from winnow.plugin.training.export import export_onnx_classifier
from winnow.plugin.training.labelled_images import LabelledImages
from winnow.plugin.vision.preprocessing import Preprocessing
from winnow.plugin.vision.torch_engine import TorchEngine


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Return a classifier that predicts by torch."""
    made = small_classifier(tmp_path_factory.mktemp("weights"))
    made.use_engine(TorchEngine(made.network, made.preprocessing.input, "cpu"))
    return made


@pytest.fixture(scope="module")
def exported(classifier: Classifier, stripes: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return that classifier's ONNX file."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    return export_onnx_classifier(classifier, path, stripes.paths[:8].tolist()).path


def outputs_of(path: Path, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and logits."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    probabilities, logits = session.run(["probabilities", "logits"], {"images": pixels})
    return probabilities, logits


@pytest.mark.parametrize("count", [1, 5, 17])
def test_any_number_of_images_get_the_classifiers_probabilities(
    count: int, exported: Path, classifier: Classifier, stripes: LabelledImages
) -> None:
    paths = stripes.paths[20 : 20 + count].tolist()

    probabilities, logits = outputs_of(exported, np.stack([classifier.preprocessing(path) for path in paths]))

    np.testing.assert_allclose(probabilities, classifier.predict(paths).probabilities, atol=1e-5)
    np.testing.assert_allclose(classifier.probabilities(logits), probabilities, atol=1e-5)


def test_metadata_tells_all_that_a_program_needs(exported: Path, classifier: Classifier) -> None:
    found = onnxruntime.InferenceSession(exported).get_modelmeta().custom_metadata_map

    described = {name: json.loads(value) for name, value in found.items()}

    assert Preprocessing.from_dict(described.pop("preprocessing")) == classifier.preprocessing
    assert described == {
        "format": 1,
        "classes": list(CLASSES),
        "multilabel": False,
        "temperature": None,
        "thresholds": None,
        "version": classifier.version,
    }


def test_independent_classes_get_independent_probabilities(
    classifier: Classifier, stripes: LabelledImages, tmp_path: Path
) -> None:
    several = replace(classifier, multilabel=True, thresholds=(0.3, 0.6, 0.5), details={"temperature": 1.5})

    done = export_onnx_classifier(several, tmp_path / "several.onnx", stripes.paths[:2].tolist())

    pixels = np.stack([classifier.preprocessing(path) for path in stripes.paths[:5]])
    probabilities, _ = outputs_of(done.path, pixels)
    np.testing.assert_allclose(probabilities, several.predict(stripes.paths[:5]).probabilities, atol=1e-5)
    found = onnxruntime.InferenceSession(done.path).get_modelmeta().custom_metadata_map
    assert (found["thresholds"], found["temperature"], found["multilabel"]) == ("[0.3, 0.6, 0.5]", "1.5", "true")


def test_a_file_that_differs_from_torch_is_not_kept(
    classifier: Classifier, stripes: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_onnx = export.write_onnx
    (tmp_path / "model.onnx").write_bytes(b"an earlier one")

    def another(model: nn.Module, *others: object) -> None:
        other = copy.deepcopy(model)
        other.network.network.scale_logits(1.01)
        write_onnx(other, *others)

    monkeypatch.setattr(export, "write_onnx", another)

    with pytest.raises(ClassifierError, match="differs from torch by"):
        export_onnx_classifier(classifier, tmp_path / "model.onnx", stripes.paths[:8].tolist())

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"model.onnx": b"an earlier one"}


def test_a_network_that_gives_no_number_is_refused(
    classifier: Classifier, stripes: LabelledImages, tmp_path: Path
) -> None:
    broken = replace(classifier, network=copy.deepcopy(classifier.network))
    broken.network.scale_logits(float("nan"))

    with pytest.raises(ClassifierError, match="differs from torch by nan"):
        export_onnx_classifier(broken, tmp_path / "model.onnx", stripes.paths[:2].tolist())


@pytest.mark.parametrize(
    "output",
    [lambda folder: folder / "model.txt", lambda folder: folder / "nowhere" / "model.onnx", lambda folder: folder],
)
def test_a_name_that_cannot_be_written_is_refused_at_once(
    output: Callable[[Path], Path], classifier: Classifier, stripes: LabelledImages, tmp_path: Path
) -> None:
    with pytest.raises(ClassifierError, match=r"Name a file NAME\.onnx in an existing folder"):
        export_onnx_classifier(classifier, output(tmp_path), stripes.paths[:2].tolist())


def test_without_a_readable_image_nothing_is_written(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")

    with pytest.raises(ClassifierError, match=r"no image to check the ONNX file with.*bad\.png"):
        export_onnx_classifier(classifier, tmp_path / "model.onnx", [tmp_path / "bad.png"])

    assert [path.name for path in tmp_path.iterdir()] == ["bad.png"]
