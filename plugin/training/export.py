"""A classifier as one ONNX file that needs nothing of Winnow: 8-bit images in, calibrated probabilities out.

What else a program needs to classify a file stands in the file's metadata; `examples/onnx_classify.py` is such a
program. The file is checked against torch before anybody sees it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import nn

from ..errors import ClassifierError, UnreadableImageError
from ..vision.torch_engine import ImageNetwork, write_onnx
from .classifier import Classifier

TOLERANCE = 1e-4
_FORMAT = 1
_OUTPUTS = ("probabilities", "logits")


@dataclass(frozen=True)
class OnnxExport:
    """An ONNX file that gives what its classifier gives.

    Attributes:
        path: The file.
        images: Number of images that it was checked with.
        largest_difference: Of a probability to torch's, over these images.
    """

    path: Path
    images: int
    largest_difference: float


class _Deployed(nn.Module):
    """(n, size, size, 3) uint8 -> (n, k) probabilities and (n, k) calibrated logits, both float32."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network = ImageNetwork(classifier.network, classifier.preprocessing.input)
        self.multilabel = classifier.multilabel

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.network(images)
        return (logits.sigmoid() if self.multilabel else logits.softmax(dim=1)), logits


def export_onnx_classifier(
    classifier: Classifier, path: Path, images: Sequence[str | Path | BinaryIO], *, tolerance: float = TOLERANCE
) -> OnnxExport:
    """Write a classifier as an ONNX file, in place of an earlier one.

    Input `images` (n, size, size, 3) uint8, RGB, for any n; outputs `probabilities` and `logits`, (n, k) float32. Each
    entry of the metadata is JSON: `format`, `classes` (in the order of the outputs), `multilabel`, `preprocessing`
    (`vision.preprocessing.Preprocessing`: how a file becomes 8-bit RGB, and that the input; the mean and deviation are
    applied inside already), `temperature` and `thresholds` (null where there are none; the temperature is applied
    inside already), `version` (of the classifier).

    Args:
        classifier: Stays unchanged.
        path: A name that ends in `.onnx`, in an existing folder.
        images: Image files to check the result with; those that cannot be read are passed over.
        tolerance: Largest difference that a probability may have to torch's.

    Raises:
        ClassifierError: The file cannot be written, no image can be read, ONNX lacks a layer of the network, or the
            result differs from torch's. An earlier file is kept then.
    """
    path = Path(path)
    if path.suffix != ".onnx" or path.is_dir() or not path.parent.is_dir():
        raise ClassifierError(f"cannot write the classifier to '{path}'. Name a file NAME.onnx in an existing folder.")
    pixels = _read(classifier, images)
    model = _Deployed(classifier).eval()
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / "model.onnx"
            _write(classifier, model, made)
            difference = _difference(model, made, pixels)
            if not difference <= tolerance:  # NaN is one too
                raise ClassifierError(
                    f"the ONNX file of classifier {classifier.version} differs from torch by {difference:.2g} in a "
                    f"probability, more than {tolerance:g}, so it was not kept. Use the classifier's folder instead."
                )
            os.replace(made, path)
    except OSError as cause:
        raise ClassifierError(f"cannot write the classifier to '{path}': {cause}") from cause
    return OnnxExport(path, len(pixels), difference)


def _read(classifier: Classifier, images: Sequence[str | Path | BinaryIO]) -> np.ndarray:
    """Return the (n, size, size, 3) uint8 of the images that can be read."""
    pixels, reason = [], "there are none"
    for image in images:
        try:
            pixels.append(classifier.preprocessing(image))
        except UnreadableImageError as error:
            reason = str(error)
    if not pixels:
        raise ClassifierError(f"no image to check the ONNX file with: {reason} Name images that can be read.")
    return np.stack(pixels)


def _write(classifier: Classifier, model: nn.Module, path: Path) -> None:
    import onnx  # late: a form that only knows the job's settings should not wait for it

    try:
        write_onnx(model, classifier.preprocessing.input.size, path, _OUTPUTS)
    except OSError:
        raise
    except Exception as cause:  # the exporter has no common error
        raise ClassifierError(
            f"the network '{classifier.architecture}' cannot be written as ONNX ({type(cause).__name__}: {cause}). "
            "Use the classifier's folder instead."
        ) from cause
    written = onnx.load(path)
    described = {name: json.dumps(value, ensure_ascii=False) for name, value in _metadata(classifier).items()}
    onnx.helper.set_model_props(written, described)
    onnx.save(written, path)


def _metadata(classifier: Classifier) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "classes": list(classifier.classes),
        "multilabel": classifier.multilabel,
        "preprocessing": classifier.preprocessing.to_dict(),
        "temperature": classifier.details.get("temperature"),
        "thresholds": classifier.thresholds,
        "version": classifier.version,
    }


def _difference(model: nn.Module, path: Path, pixels: np.ndarray) -> float:
    """Return the largest difference of a probability to torch's, for the images together and for one alone."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in (pixels, pixels[:1]):
        with torch.inference_mode():
            expected = model(torch.from_numpy(batch))[0].numpy()
        found = session.run(["probabilities"], {"images": batch})[0]
        largest = float(np.maximum(largest, np.abs(found - expected).max()))  # unlike max(), this keeps NaN
    return largest
