"""Random views of a training batch, in one place, on what `Preprocessing` made of the files.

Everything is drawn from torch's global generator, as torchvision does: callers wrap it in `randomness.seeded`.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torchvision.transforms import v2

from .recipe import Recipe

_GREY = 127


def augment(images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return (n, h, w, 3) uint8 images, each of them cropped, moved, turned and coloured at random.

    Zooms and shifts repeat the edges outwards, so that no black border tells a network what was done.
    """
    channels_first = images.permute(0, 3, 1, 2)
    if each := _transforms_of_one(recipe, images.shape[1]):
        channels_first = torch.stack([each(image) for image in channels_first])
    return _moved(channels_first, recipe).permute(0, 2, 3, 1)


def _mixing(n: int, recipe: Recipe) -> nn.Module | None:
    """Return torchvision's Mixup or CutMix for n images, None where the recipe has neither.

    It takes images and row numbers, and returns for each row the share of every row that is in it, (n, n) float: so the
    same shares can mix targets of any kind and weights.
    """
    both = []
    if recipe.mixup:
        both.append(v2.MixUp(alpha=recipe.mixup, num_classes=n))
    if recipe.cutmix:
        both.append(v2.CutMix(alpha=recipe.cutmix, num_classes=n))
    return v2.RandomChoice(both) if both else None


def mixed(
    images: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Blend images by pairs, and what is wanted of them alike.

    Args:
        images: (n, h, w, 3) uint8.
        targets: (n, k) float; NaN = not known, and then not known of any image that has a part in it.
        weights: (n,) float.
        recipe: What Mixup and CutMix are to do.

    Returns:
        The three in the same shapes, the images as float32 where they were blended.
    """
    n = len(images)
    mix = _mixing(n, recipe) if n > 1 else None
    if mix is None:
        return images, targets, weights
    blended, shares = mix(images.permute(0, 3, 1, 2).float(), torch.arange(n, device=images.device))
    unknown = shares @ targets.isnan().float() > 0
    wanted = (shares @ targets.nan_to_num()).masked_fill(unknown, math.nan)
    return blended.permute(0, 2, 3, 1), wanted, shares @ weights


def _transforms_of_one(recipe: Recipe, size: int) -> nn.Module | None:
    """Return what torchvision does to a single (3, h, w) uint8 image, None where the recipe has nothing of it."""
    steps: list[nn.Module] = []
    if recipe.crop < 1:
        steps.append(v2.RandomResizedCrop(size, scale=(recipe.crop, 1), antialias=True))
    if recipe.rand_augment:
        steps.append(v2.RandAugment(magnitude=recipe.rand_augment, fill=_GREY))
    if amount := recipe.color_jitter:
        steps.append(v2.ColorJitter(brightness=amount, contrast=amount, saturation=amount))
    if recipe.erase:
        steps.append(v2.RandomErasing(recipe.erase, value=_GREY))
    return v2.Compose(steps) if steps else None


def _moved(images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return (n, 3, h, w) uint8 images, each zoomed, shifted and mirrored by one interpolation."""
    if not (recipe.zoom or recipe.shift or recipe.flip or recipe.vertical_flip):
        return images
    n = len(images)
    zoom = 1 + recipe.zoom * (2 * torch.rand(n) - 1)
    sign_x = 1 - 2 * (torch.rand(n) < recipe.flip).float()
    sign_y = 1 - 2 * (torch.rand(n) < recipe.vertical_flip).float()
    transform = torch.zeros(n, 2, 3)
    transform[:, 0, 0], transform[:, 1, 1] = sign_x / zoom, sign_y / zoom
    transform[:, :, 2] = (2 * torch.rand(n, 2) - 1) * 2 * recipe.shift  # the grid spans -1..1
    grid = nn.functional.affine_grid(transform.to(images.device), list(images.shape), align_corners=False)
    moved = nn.functional.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return moved.round().clamp(0, 255).to(torch.uint8)
