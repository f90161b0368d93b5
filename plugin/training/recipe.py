"""Everything that decides a training run, in one value that is written into the classifier."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a classifier is trained.

    Attributes:
        preset: Name that the values started from: "probe" or "quick".
        backbone: "lite0" or a timm name.
        epochs: Passes over the training images with the backbone itself being trained; 0 = linear probe only.
        batch_size: Images a step.
        learning_rate: Peak rate of the backbone (AdamW, Loshchilov and Hutter 2019, arXiv:1711.05101).
        head_learning_rate: Peak rate of the classification layer, which starts at the probe's solution
            (Kumar et al. 2022, arXiv:2202.10054).
        weight_decay: Of AdamW, on matrices only.
        warmup: Share of all steps over which the rate rises; it then falls along a cosine to 0.
        frozen_share: Share of the backbone's blocks, from the input on, that stay as pretrained.
        label_smoothing: In [0, 1).
        flip: Chance of a horizontal flip.
        scale: Smallest and largest random zoom.
        shift: Largest random shift as a share of the side.
        validation_share: Share of the training images set aside to choose between probe and fine-tuned network, where
            there is no validation split.
        seed: Of everything random.
    """

    preset: str = "quick"
    backbone: str = "lite0"
    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 1e-3
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup: float = 0.1
    frozen_share: float = 0.5
    label_smoothing: float = 0.0
    flip: float = 0.5
    scale: tuple[float, float] = (0.85, 1.15)
    shift: float = 0.08
    validation_share: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs must be 0 or more, got {self.epochs}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        if not 0 < self.validation_share <= 0.5:
            raise ValueError(f"validation_share must lie in (0, 0.5], got {self.validation_share}")
        if not 0 <= self.frozen_share <= 1:
            raise ValueError(f"frozen_share must lie in [0, 1], got {self.frozen_share}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


PRESETS = {
    "probe": Recipe(preset="probe", epochs=0),
    "quick": Recipe(preset="quick"),
}


def preset_recipe(name: str, seed: int = 0) -> Recipe:
    """Return a preset.

    Raises:
        ValueError: No such preset.
    """
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got '{name}'")
    return replace(PRESETS[name], seed=seed)
