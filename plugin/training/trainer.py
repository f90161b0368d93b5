"""Fine-tuning: the backbone's later blocks and the head, from the probe's solution."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from ..errors import DataError, UnreadableImageError
from ..progress import Progress, silent
from ..vision.ahead import work_ahead
from ..vision.layered import LayeredNetwork
from ..vision.preprocessing import Input, Preprocessing
from ..vision.torch_engine import ImageNetwork
from .augmentation import augment
from .network import ClassifierNetwork
from .recipe import Recipe


def fine_tune(
    network: ClassifierNetwork,
    paths: Sequence[str],
    labels: np.ndarray,
    preprocessing: Preprocessing,
    recipe: Recipe,
    progress: Progress = silent,
) -> None:
    """Train `network` in place; it comes back on the CPU, in evaluation mode.

    Batch normalisation keeps its pretrained statistics: the sets are small, and batches of 32 estimate them badly.

    Args:
        network: Its head already solves the task on the pretrained features.
        paths: n image files. One that cannot be read is passed over.
        labels: (n,) int.
        preprocessing: Of the classifier.
        recipe: Epochs, rates, augmentation, seed.
        progress: Told after each step.

    Raises:
        DataError: The loss is no longer finite.
    """
    model, optimizer, device = prepare_training(network, preprocessing.input, recipe)
    steps = recipe.epochs * math.ceil(len(paths) / recipe.batch_size)
    peaks = [group["lr"] for group in optimizer.param_groups]
    batches = _batches(paths, labels, preprocessing, recipe)
    for step, (images, wanted) in enumerate(batches):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * _rate(step / steps, recipe.warmup)
        with torch.autocast(device.type, enabled=device.type == "cuda", dtype=torch.bfloat16):
            logits = model(images.to(device))
            loss = nn.functional.cross_entropy(
                logits.float(), wanted.to(device), label_smoothing=recipe.label_smoothing
            )
        if not torch.isfinite(loss):
            raise DataError(f"training diverged at step {step} of {steps}: try a tenth of the learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        progress("fine-tuning", min((step + 1), steps), steps)
    network.to("cpu").to(memory_format=torch.contiguous_format).eval().requires_grad_(True)


def prepare_training(
    network: ClassifierNetwork, fitted: Input, recipe: Recipe
) -> tuple[nn.Module, torch.optim.Optimizer, torch.device]:
    """Return the model that takes (n, h, w, 3) uint8 images, its optimizer, and the device that it lies on."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = ImageNetwork(network, fitted).to(device).to(memory_format=torch.channels_last).eval()
    _freeze_first_blocks(network.backbone, recipe.frozen_share)
    return model, torch.optim.AdamW(_parameter_groups(network, recipe)), device


def _batches(
    paths: Sequence[str], labels: np.ndarray, preprocessing: Preprocessing, recipe: Recipe
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield augmented (b, h, w, 3) uint8 images and (b,) labels, each epoch in its own order."""

    def read(row: int) -> np.ndarray | None:
        try:
            return preprocessing(paths[row])
        except UnreadableImageError:  # gone or damaged since the embeddings were made
            return None

    for epoch in range(recipe.epochs):
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(paths))
        images = work_ahead(read, order.tolist(), window=4 * recipe.batch_size)
        for step, start in enumerate(range(0, len(order), recipe.batch_size)):
            rows = order[start : start + recipe.batch_size]
            read_rows = [(row, image) for row, image in zip(rows, images, strict=False) if image is not None]
            if not read_rows:
                continue
            state = np.random.SeedSequence([recipe.seed, epoch, step]).generate_state(1)
            generator = torch.Generator().manual_seed(int(state[0]))
            batch = torch.from_numpy(np.stack([image for _, image in read_rows]))
            yield augment(batch, recipe, generator), torch.from_numpy(labels[[row for row, _ in read_rows]])


def _freeze_first_blocks(backbone: nn.Module, share: float) -> None:
    """Stop gradients in the first blocks (timm's `blocks`, `stages` or `layer1`...), and in the stem before them."""
    timms = backbone.network if isinstance(backbone, LayeredNetwork) else backbone
    layers = [child for name, child in timms.named_children() if name.startswith("layer")]
    blocks = list(getattr(timms, "blocks", None) or getattr(timms, "stages", None) or layers)
    if not blocks or share == 0:
        return
    frozen = {id(p) for block in blocks[: round(share * len(blocks))] for p in block.parameters()}
    inside = {id(parameter) for block in blocks for parameter in block.parameters()}
    before = True
    for parameter in backbone.parameters():  # in the order of the layers: what comes before the blocks is the stem
        before = before and id(parameter) not in inside
        if before or id(parameter) in frozen:
            parameter.requires_grad_(False)


def _parameter_groups(network: ClassifierNetwork, recipe: Recipe) -> list[dict]:
    """Return the head, the backbone's matrices (decayed) and its vectors (not decayed)."""
    trained = [parameter for parameter in network.backbone.parameters() if parameter.requires_grad]
    return [
        {"params": list(network.head.parameters()), "lr": recipe.head_learning_rate, "weight_decay": 0.0},
        {
            "params": [parameter for parameter in trained if parameter.ndim > 1],
            "lr": recipe.learning_rate,
            "weight_decay": recipe.weight_decay,
        },
        {
            "params": [parameter for parameter in trained if parameter.ndim <= 1],
            "lr": recipe.learning_rate,
            "weight_decay": 0.0,
        },
    ]


def _rate(done: float, warmup: float) -> float:
    """Return the share of the peak rate after `done` in [0, 1] of all steps: linear up, cosine down."""
    if done < warmup:
        return (done + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
