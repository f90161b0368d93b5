"""Random views of a training batch: zoom, shift, flip. All randomness comes from the generator that is passed in."""

from __future__ import annotations

import torch
from torch import nn

from .recipe import Recipe


def augment(images: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """Return (n, h, w, 3) uint8 images, each zoomed, shifted and flipped at random; edges are repeated outwards."""
    n = len(images)
    low, high = recipe.scale
    zoom = low + (high - low) * torch.rand(n, generator=generator)
    flip = 1 - 2 * (torch.rand(n, generator=generator) < recipe.flip).float()
    shift = (2 * torch.rand(n, 2, generator=generator) - 1) * 2 * recipe.shift  # the grid spans -1..1
    transform = torch.zeros(n, 2, 3)
    transform[:, 0, 0], transform[:, 1, 1], transform[:, :, 2] = flip / zoom, 1 / zoom, shift
    pixels = images.permute(0, 3, 1, 2).float()
    grid = nn.functional.affine_grid(transform, list(pixels.shape), align_corners=False)
    moved = nn.functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return moved.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
