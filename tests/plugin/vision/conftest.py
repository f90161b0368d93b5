"""A small vision transformer, so that the tests around the network need not wait for a large one.

torch and timm are imported late: this file is read before the session has chosen its home and gone offline.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from winnow.plugin.vision.backbones import Backbone


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that writes an architecture's seeded random weights and gives the .safetensors file."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")

    def write(architecture: str) -> Path:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = timm.create_model(architecture, num_classes=0)
        path = folder / f"{architecture}.safetensors"
        save_file(network.state_dict(), path)
        return path

    return write


@pytest.fixture(scope="session")
def tiny_vit(random_weights: Callable[[str], Path]) -> Backbone:
    """Return a backbone of 300,000 weights: 160 pixels in, 64 features out."""
    from winnow.plugin.vision.backbones import load_backbone

    return load_backbone("test_vit", random_weights("test_vit"))
