from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from winnow.plugin.errors import ClassifierError
from winnow.plugin.vision.backbones import create_network, describe_network, load_backbone
from winnow.plugin.vision.engines import OnnxEngine
from winnow.plugin.vision.layered import with_layers
from winnow.plugin.vision.torch_engine import TorchEngine, export_onnx


def test_parts_are_the_pooled_stages_and_the_last_layer_each_of_length_one() -> None:
    plain, layered = load_backbone(), load_backbone("lite0+layers")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        found = layered.network(images)
        views = [plain.network(view) for view in (images, images.flip(-1))]

    assert layered.width == found.shape[1] == 112 + 320 + 1280
    expected = sum(torch.nn.functional.normalize(view, dim=1) for view in views)
    torch.testing.assert_close(found[:, -1280:], expected)
    assert (found[:, :112].norm(dim=1) <= 2.0001).all()


def test_an_image_and_its_mirror_image_have_the_same_vector() -> None:
    layered = load_backbone("lite0+layers")
    image = layered.input.fit(data.chelsea())
    engine = TorchEngine(layered.network, layered.input, "cpu")

    seen, mirrored = engine(np.stack([image, image[:, ::-1]]))

    np.testing.assert_allclose(seen, mirrored, atol=1e-4)


def test_it_runs_the_same_in_onnx_runtime(tmp_path: Path) -> None:
    layered = load_backbone("lite0+layers")
    images = np.stack([layered.input.fit(photo) for photo in (data.chelsea(), data.astronaut())])
    export_onnx(layered.network, layered.input, tmp_path / "model.onnx")

    found = OnnxEngine(tmp_path / "model.onnx")(images)

    np.testing.assert_allclose(found, TorchEngine(layered.network, layered.input, "cpu")(images), atol=1e-4)


def test_its_vectors_never_mix_with_those_of_the_plain_network() -> None:
    assert load_backbone("lite0+layers").weights_hash != load_backbone().weights_hash


def test_a_network_without_stages_is_an_error() -> None:
    plain = replace(load_backbone(), network=torch.nn.Flatten())

    with pytest.raises(ClassifierError, match=r"timm gives no stages of 'tf_efficientnet_lite0'. Leave '\+layers' out"):
        with_layers(plain)


@pytest.mark.parametrize(("architecture", "width"), [("test_vit", 3 * 64), ("resnet18", 256 + 512 + 512)])
def test_other_architectures_have_stages_too(architecture: str, width: int) -> None:
    plain = describe_network(architecture, architecture, create_network(architecture))

    layered = with_layers(plain)

    assert (layered.name, layered.width) == (f"{architecture}+layers", width)
