"""Which parameters learn, how fast, and how their rates change over a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from timm.models import group_parameters
from timm.optim import create_optimizer_v2
from torch import nn

from ..vision.layered import LayeredNetwork
from .network import ClassifierNetwork
from .recipe import Recipe

_STEP_AT, _STEP_FACTOR = (0.6, 0.85), 0.1
_PLATEAU_FACTOR = 0.2


def make_optimizer(network: ClassifierNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    """Return timm's optimizer for the parts that the recipe has learn; the others stop taking gradients.

    Each parameter group keeps its peak rate as `peak`.
    """
    groups = parameter_groups(network, recipe)
    betas: dict[str, Any] = {} if recipe.optimizer == "sgd" else {"betas": (recipe.momentum, 0.999)}
    return create_optimizer_v2(groups, opt=recipe.optimizer, lr=recipe.learning_rate, momentum=recipe.momentum, **betas)


def parameter_groups(network: ClassifierNetwork, recipe: Recipe) -> list[dict]:
    """Return the head and, by layer, the backbone's matrices (decayed) and vectors (not decayed)."""
    layers = layers_of(network.backbone)
    last = max(layers.values(), default=0)
    blocks = max(last, 1)  # the stem is layer 0
    frozen_up_to = round(recipe.frozen_share * blocks) if recipe.frozen_share else -1
    groups: dict[tuple[int, bool], dict] = {}
    for name, parameter in network.backbone.named_parameters():
        layer = layers.get(name, last)
        parameter.requires_grad_(layer > frozen_up_to)
        if layer <= frozen_up_to:
            continue
        decayed = parameter.ndim > 1
        rate = recipe.learning_rate * recipe.layer_decay ** (last - layer)
        group = groups.setdefault(
            (layer, decayed),
            {"params": [], "lr": rate, "peak": rate, "weight_decay": recipe.weight_decay if decayed else 0.0},
        )
        group["params"].append(parameter)
    head = recipe.head_learning_rate
    return [
        {"params": list(network.head.parameters()), "lr": head, "peak": head, "weight_decay": 0.0},
        *groups.values(),
    ]


def layers_of(backbone: nn.Module) -> dict[str, int]:
    """Return each parameter's layer, counted from the input: 0 = the stem, then the blocks.

    timm knows the blocks of each of its architectures (`group_matcher`).
    """
    timms, prefix = (backbone.network, "network.") if isinstance(backbone, LayeredNetwork) else (backbone, "")
    matcher = getattr(timms, "group_matcher", None)
    if matcher is None:
        return {name: 0 for name, _ in backbone.named_parameters()}
    found = group_parameters(timms, matcher(coarse=True), reverse=True)
    return {prefix + name: int(layer) for name, layer in found.items()}


class Schedule:
    """Sets the rates of an optimizer, as a share of each group's peak.

    Attributes:
        factor: What a standing metric has brought the rates down to ("plateau"); part of the state of a run.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> None:
        self._optimizer, self._recipe, self._steps = optimizer, recipe, steps
        self._shape: Callable[[float], float] = _SHAPES[recipe.schedule]
        self.factor = 1.0

    def set(self, step: int) -> float:
        """Set the rates for a step, counted from 0, and return their share of the peak."""
        done, warmup = step / self._steps, self._recipe.warmup
        if done < warmup:
            share = (done + 1e-3) / (warmup + 1e-3)
        else:
            share = self._shape((done - warmup) / (1 - warmup)) * self.factor
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * share
        return share

    def metric_stood_still(self) -> None:
        """Lower the rates, where the schedule goes by the metric."""
        if self._recipe.schedule == "plateau":
            self.factor *= _PLATEAU_FACTOR


_SHAPES: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "step": lambda done: _STEP_FACTOR ** sum(done >= at for at in _STEP_AT),
    "plateau": lambda done: 1.0,
}
