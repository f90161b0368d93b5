"""What a network is trained towards: one loss for classes that exclude each other, one for those that do not."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .recipe import Recipe

_EFFECTIVE_BETA = 0.999


class Objective(nn.Module):
    """The mean loss of a batch: logits (n, k), targets (n, k), weights (n,) -> ().

    Targets are shares of classes that sum to 1, or, with several labels an image, each class's own in [0, 1], where NaN
    means that nobody looked: such a cell costs nothing.
    """

    class_weights: torch.Tensor
    adjustment: torch.Tensor

    def __init__(self, recipe: Recipe, counts: torch.Tensor, *, multilabel: bool) -> None:
        """Take (k,) numbers of training images that have each class, or (2, k): that have it, and that lack it."""
        super().__init__()
        self.recipe, self.multilabel = recipe, multilabel
        present = counts[0] if multilabel else counts
        self.register_buffer("class_weights", _class_weights(present, recipe.class_weights), persistent=False)
        adjustment = recipe.logit_adjustment * log_prior(counts, multilabel=multilabel)
        self.register_buffer("adjustment", adjustment, persistent=False)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        losses = self._binary(logits, targets) if self.multilabel else self._exclusive(logits, targets)
        return (losses * weights).sum() / weights.sum().clamp(min=1e-6)

    def _exclusive(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logs = functional.log_softmax(logits + self.adjustment, dim=1)
        smoothing = self.recipe.label_smoothing
        wanted = targets * (1 - smoothing) + smoothing / logits.shape[1]
        terms = -wanted * logs
        if self.recipe.loss == "focal":
            terms = terms * (1 - logs.exp()) ** self.recipe.focal_gamma
        return terms.sum(dim=1) * (targets @ self.class_weights)

    def _binary(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        known = ~targets.isnan()
        wanted = targets.nan_to_num()
        smoothed = wanted * (1 - self.recipe.label_smoothing) + self.recipe.label_smoothing / 2
        adjusted = logits + self.adjustment
        terms = functional.binary_cross_entropy_with_logits(adjusted, smoothed, reduction="none")
        if self.recipe.loss == "focal":
            missed = (torch.sigmoid(adjusted) - wanted).abs()
            terms = terms * missed**self.recipe.focal_gamma
        weighted = terms * (1 + wanted * (self.class_weights - 1))  # a rare class's presence counts for more
        return (weighted * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)


def log_prior(counts: torch.Tensor, *, multilabel: bool) -> torch.Tensor:
    """Return (k,) log frequencies of classes, or with several labels an image the log odds of each.

    Args:
        counts: (k,) images of each class, or (2, k): images that have it, and images that lack it.
        multilabel: Which of the two.
    """
    if multilabel:
        return torch.log((counts[0] + 0.5) / (counts[1] + 0.5))
    return torch.log((counts + 0.5) / (counts + 0.5).sum())


def _class_weights(counts: torch.Tensor, kind: str) -> torch.Tensor:
    """Return (k,) weights whose mean over the images is 1."""
    if kind == "none":
        return torch.ones_like(counts)
    effective = (1 - _EFFECTIVE_BETA**counts) / (1 - _EFFECTIVE_BETA)
    weights = torch.where(counts > 0, 1 / effective.clamp(min=1e-6), torch.zeros_like(counts))
    return weights * counts.sum() / (weights * counts).sum().clamp(min=1e-6)
