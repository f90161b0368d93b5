"""A small convolutional network and pictures of stripes, on which training takes a moment.

torch and timm are imported late: this file is read before the session has chosen its home and gone offline.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.small_classifier import SIZE, small_backbone

if TYPE_CHECKING:
    from winnow.plugin.training.labelled_images import LabelledImages
    from winnow.plugin.vision.backbones import Backbone
    from winnow.plugin.vision.preprocessing import Preprocessing


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """Return an EfficientNet of 100,000 random weights whose normalisation statistics fit its activations."""
    return small_backbone(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def preprocessing(backbone: Backbone) -> Preprocessing:
    """Return what turns a file into 48 pixels."""
    from winnow.plugin.vision.preprocessing import Preprocessing

    return Preprocessing(input=backbone.input).with_size(SIZE)


@pytest.fixture(scope="session")
def stripes(
    backbone: Backbone, preprocessing: Preprocessing, tmp_path_factory: pytest.TempPathFactory
) -> LabelledImages:
    """Return 60 noisy pictures: lying stripes (0) and standing ones (1), in turn."""
    from winnow.plugin.training.labelled_images import LabelledImages
    from winnow.plugin.vision.torch_engine import TorchEngine

    folder = tmp_path_factory.mktemp("stripes")
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    paths = [str(picture_of_stripes(folder / f"{row}.png", int(label), rng)) for row, label in enumerate(labels)]
    engine = TorchEngine(backbone.network, preprocessing.input, "cpu")
    vectors = engine(np.stack([preprocessing(path) for path in paths]))
    return LabelledImages(np.array(paths, object), labels, vectors, np.full(60, -1))


def picture_of_stripes(path: Path, label: int, rng: np.random.Generator) -> Path:
    wave = np.sin(np.arange(SIZE) * rng.uniform(0.5, 1.2) + rng.uniform(0, 6))
    grey = np.tile(wave, (SIZE, 1)) + rng.normal(0, 0.3, (SIZE, SIZE))
    values = np.clip(127 + 60 * (grey if label else grey.T), 0, 255).astype(np.uint8)
    Image.fromarray(values).convert("RGB").save(path)
    return path
