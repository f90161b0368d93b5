"""A small convolutional network and pictures of stripes, on which training takes a moment.

torch and timm are imported late: this file is read before the session has chosen its home and gone offline.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from winnow.plugin.training.training import LabelledImages
    from winnow.plugin.vision.backbones import Backbone
    from winnow.plugin.vision.preprocessing import Preprocessing

SIZE = 48


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """Return an EfficientNet of 100,000 random weights whose normalisation statistics fit its activations."""
    import timm
    import torch
    from safetensors.torch import save_file

    from winnow.plugin.vision.backbones import load_backbone

    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = timm.create_model("test_efficientnet", num_classes=0).train()
        for _ in range(20):
            network(torch.nn.functional.interpolate(torch.randn(8, 3, 8, 8), size=SIZE))
    save_file(network.state_dict(), path)
    return load_backbone("test_efficientnet", path)


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
    from winnow.plugin.training.training import LabelledImages
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
