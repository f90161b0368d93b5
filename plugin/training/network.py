"""The network of a classifier: a backbone, its feature at length 1, a linear layer."""

from __future__ import annotations

import numpy as np
import torch
from timm.layers import DropPath
from torch import nn

from ..vision.backbones import create_network


class ClassifierNetwork(nn.Module):
    """(n, 3, h, w) float32, normalised -> (n, k) float32 logits."""

    def __init__(self, backbone: nn.Module, width: int, n_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(width, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(nn.functional.normalize(self.backbone(images), dim=1))

    def set_head(self, weights: np.ndarray, bias: np.ndarray) -> None:
        """Take over (d, k) weights and (k,) bias, as a probe gives them."""
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights.T)))
            self.head.bias.copy_(torch.from_numpy(bias))

    def scale_logits(self, factor: float) -> None:
        """Multiply all logits: temperature scaling, folded into the last layer."""
        with torch.no_grad():
            self.head.weight.mul_(factor)
            self.head.bias.mul_(factor)


class LogitsAndFeature(nn.Module):
    """(n, 3, h, w) float32, normalised -> (n, k + d) float32: a classifier's logits, then its backbone's feature.

    The two lie side by side, since an engine has one output.
    """

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        feature = self.network.backbone(images)
        return torch.cat([self.network.head(nn.functional.normalize(feature, dim=1)), feature], dim=1)


def set_drop_path(backbone: nn.Module, rate: float) -> None:
    """Let timm's residual branches be left out at random in training, from never in the first to `rate` in the last.

    timm takes the rate only when it makes a network, and ours come with their weights. Elsewhere than in training it
    changes nothing.
    """
    names = ("drop_path", "drop_path1", "drop_path2")
    places = [(module, name) for module in backbone.modules() for name in names if hasattr(module, name)]
    for number, (module, name) in enumerate(places):
        share = (number + 1) / len(places)
        setattr(module, name, DropPath(rate * share) if rate else nn.Identity())


def create_classifier_network(architecture: str, width: int, n_classes: int) -> ClassifierNetwork:
    """Return the network with random weights, in evaluation mode."""
    return ClassifierNetwork(create_network(architecture), width, n_classes).eval()
