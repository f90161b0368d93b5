"""A closer look: what the last stages of a network see, in an image and in its mirror image.

The last layer of a pretrained network keeps what told its own classes apart; the stages before it hold more of what
tells the user's (Evci et al. 2022, arXiv:2201.03529). The mirror image is a second view of the same class.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ..errors import ClassifierError
from .backbones import LAYERS, Backbone, hash_weights

_STAGES = 2


class LayeredNetwork(nn.Module):
    """A timm network whose features are those of its last layer and, pooled, those of its last stages.

    Each part has length 1; the features of the image and of its mirror image are added up.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network  # timm's, of which nn.Module does not know the methods
        self.register_buffer("stages", torch.tensor(_STAGES))  # so that the hash of the weights tells what is computed

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, width) float32 features of (n, 3, h, w) normalised images."""
        return self._features(images) + self._features(images.flip(-1))

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        last, stages = self.network.forward_intermediates(images, indices=_STAGES)
        parts = [*(stage.mean((2, 3)) for stage in stages), self.network.forward_head(last, pre_logits=True)]
        return torch.cat([functional.normalize(part, dim=1) for part in parts], dim=1)


def with_layers(backbone: Backbone) -> Backbone:
    """Return a backbone that looks closer, for twice the time an image.

    Raises:
        ClassifierError: timm gives no stages of that network.
    """
    if not hasattr(backbone.network, "forward_intermediates"):
        raise ClassifierError(
            f"'{backbone.name}{LAYERS}': timm gives no stages of '{backbone.architecture}'. Leave '{LAYERS}' out."
        )
    network = LayeredNetwork(backbone.network).eval()
    size = backbone.input.size
    with torch.inference_mode():
        width = network(torch.zeros(1, 3, size, size)).shape[1]
    name = backbone.name + LAYERS
    return replace(backbone, name=name, network=network, weights_hash=hash_weights(network), width=width)
