from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn

from winnow.plugin.errors import FieldError
from winnow.plugin.vision.backbones import create_network, input_of, load_backbone
from winnow.plugin.vision.engines import OnnxEngine
from winnow.plugin.vision.torch_engine import TorchEngine, export_onnx


def wake_residuals(network: nn.Module) -> None:
    """Give untrained layer scales the size of trained ones: at 1e-5 hardly any layer would reach the output."""
    for key, weights in network.named_parameters():
        if "ls" in key and key.endswith(".gamma"):
            nn.init.constant_(weights, 0.3)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("resnet18", 1),
        ("test_convnext", 1),
        ("vit_small_patch14_dinov2", 14),
        ("vit_small_patch16_dinov3", 16),
        ("vit_xsmall_patch16_clip_224", 16),
        ("vit_base_patch16_siglip_224", 16),
    ],
)
def test_each_kind_takes_multiples_of_its_patch(name: str, step: int, random_weights: Callable[[str], Path]) -> None:
    backbone = load_backbone(name, random_weights(name))
    side = backbone.input_at(backbone.size_at_most(97)).size

    with torch.inference_mode():
        vectors = backbone.network(torch.zeros(2, 3, side, side))

    assert (backbone.resizable, backbone.size_step, side) == (True, step, 97 // step * step)
    assert vectors.shape == (2, backbone.width)


def test_a_size_between_patches_is_an_error_that_names_one_that_fits(random_weights: Callable[[str], Path]) -> None:
    backbone = load_backbone("vit_small_patch14_dinov2", random_weights("vit_small_patch14_dinov2"))

    with pytest.raises(FieldError, match="multiples of 14 pixels, not 225; set image_size to 224"):
        backbone.input_at(225)


def test_another_size_of_a_network_with_one_size_is_an_error(random_weights: Callable[[str], Path]) -> None:
    backbone = load_backbone("resnet50_clip", random_weights("resnet50_clip"))

    with pytest.raises(FieldError, match="only takes images of 224 pixels, not 160"):
        backbone.input_at(160)
    assert backbone.size_at_most(160) == 224


def test_at_its_own_size_a_resizable_transformer_computes_what_timms_does(
    random_weights: Callable[[str], Path],
) -> None:
    plain = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    plain.load_state_dict(load_file(random_weights("vit_tiny_patch16_224")))
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))

    found = load_backbone("vit_tiny_patch16_224", random_weights("vit_tiny_patch16_224")).network(images)

    torch.testing.assert_close(found, plain(images))


@pytest.mark.parametrize(
    "name", ["vit_small_patch14_dinov2", "vit_small_patch16_dinov3", "vit_base_patch16_siglip_224"]
)
def test_onnx_runtime_gives_torchs_vectors_at_another_size(
    name: str, random_weights: Callable[[str], Path], tmp_path: Path
) -> None:
    backbone = load_backbone(name, random_weights(name))
    wake_residuals(backbone.network)
    fitted = backbone.input_at(backbone.size_at_most(84))
    coarse = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    images = np.ascontiguousarray(coarse.repeat(21, 1).repeat(21, 2)[:, : fitted.size, : fitted.size])
    expected = TorchEngine(backbone.network, fitted, "cpu")(images)
    export_onnx(backbone.network, fitted, tmp_path / "model.onnx")

    found = OnnxEngine(tmp_path / "model.onnx")(images)

    assert expected.std(axis=0).max() > 1e-2 * np.abs(expected).max()  # else any two networks would agree
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_weights_trained_on_squashed_images_get_squashed_ones() -> None:
    network = create_network("convnext_atto")
    network.pretrained_cfg = {**network.pretrained_cfg, "crop_mode": "squash"}

    assert input_of(network).mode == "squash"
