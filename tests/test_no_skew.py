"""One classifier gives the same probabilities for the same files wherever it is asked: nothing prepares images anew."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import faces
from benchmarks.mixed_files import write_mixed_files

FILES = 34  # two of each kind
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return files of every mode and size, in a folder of one class."""
    return write_mixed_files(tmp_path_factory.mktemp("mixed") / "unknown", FILES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved classifier."""
    return faces.save_unlearnt_classifier(tmp_path_factory.mktemp("skew") / "model", size=128)


@pytest.fixture(scope="module")
def expected(folder: Path, files: list[Path]) -> np.ndarray:
    """Return the (n, k) probabilities that a call from Python gives; they differ from file to file."""
    found = faces.ask_python(folder, files)
    assert np.isfinite(found).all()
    assert len(set(found.argmax(axis=1))) > 1
    assert found.std(axis=0).min() > 0.02
    return found


@pytest.fixture(scope="module")
def onnx_file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the classifier as an ONNX file."""
    from winnow import ExportParams, export_classifier

    return export_classifier(None, ExportParams(folder, tmp_path_factory.mktemp("onnx") / "model.onnx")).exported.path


@pytest.mark.parametrize("ask", [faces.ask_operator, faces.ask_command_line])
def test_operator_and_command_line_give_the_probabilities_of_python(
    ask: Callable[[Path, list[Path]], np.ndarray],
    expected: np.ndarray,
    folder: Path,
    files: list[Path],
    dataset: Callable,  # removes what they make
) -> None:
    np.testing.assert_allclose(ask(folder, files), expected, atol=TOLERANCE)


def test_example_with_the_onnx_file_gives_them_without_winnow_or_torch(
    expected: np.ndarray, onnx_file: Path, files: list[Path]
) -> None:
    found, packages = faces.ask_example(onnx_file, files)

    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    assert packages.isdisjoint({"winnow", "torch", "torchvision", "timm", "fiftyone", "cv2", "scipy"})


def test_example_refuses_colour_that_it_would_misread(onnx_file: Path, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "wide.png"), np.full((30, 30, 3), 4095, np.uint16))

    with pytest.raises(subprocess.CalledProcessError) as failed:
        faces.run_example(onnx_file, [tmp_path / "wide.png"])

    assert "16-bit colour" in failed.value.stderr


def test_label_studio_backend_gives_them(expected: np.ndarray, folder: Path, files: list[Path]) -> None:
    chosen, scores = faces.ask_backend(folder, files)

    assert chosen == [faces.CLASSES[best] for best in expected.argmax(axis=1)]
    np.testing.assert_allclose(scores, expected.max(axis=1), atol=TOLERANCE)
