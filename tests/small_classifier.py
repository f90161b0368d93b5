"""A classifier of a small network with random weights, which tells images apart though it knows nothing of them.

torch and timm are imported late: conftest files read this one before the session has chosen its home and gone offline.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from winnow.plugin.training.classifier import Classifier
    from winnow.plugin.vision.backbones import Backbone

SIZE = 48
CLASSES = ("left", "right", "up")


def small_backbone(folder: Path) -> Backbone:
    """Return an EfficientNet of 100,000 random weights whose normalisation statistics fit its activations."""
    import timm
    import torch
    from safetensors.torch import save_file

    from winnow.plugin.vision.backbones import load_backbone

    path = folder / "tiny.safetensors"
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = timm.create_model("test_efficientnet", num_classes=0).train()
        for _ in range(20):
            network(torch.nn.functional.interpolate(torch.randn(8, 3, 8, 8), size=SIZE))
    save_file(network.state_dict(), path)
    return load_backbone("test_efficientnet", path)


def small_classifier(folder: Path, **settings: Any) -> Classifier:
    """Return a classifier of `CLASSES`; its predictions of different images differ widely.

    Args:
        folder: For the network's weights.
        settings: Of the `Classifier`: multilabel, thresholds, details.
    """
    import torch

    from winnow.plugin.training.classifier import Classifier
    from winnow.plugin.training.network import ClassifierNetwork
    from winnow.plugin.vision.preprocessing import Preprocessing

    backbone = small_backbone(folder)
    network = ClassifierNetwork(backbone.network, backbone.width, len(CLASSES)).eval()
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.normal(0, 1, (64, 3, 4, 4)).astype(np.float32))
    with torch.no_grad():
        found = backbone.network(torch.nn.functional.interpolate(coarse, size=SIZE, mode="bilinear"))
    features = (found / found.norm(dim=1, keepdim=True)).numpy()
    weights = rng.normal(0, 1, (backbone.width, len(CLASSES)))
    weights *= 2 / (features @ weights).std(axis=0)  # logits spread by 2 around 0
    network.set_head(weights.astype(np.float32), -(features @ weights).mean(axis=0).astype(np.float32))
    preprocessing = Preprocessing(input=backbone.input).with_size(SIZE)
    return Classifier(network, backbone.architecture, backbone.width, CLASSES, preprocessing, **settings)
