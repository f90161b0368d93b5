"""Everything that decides a training run, in one value that is written into the classifier.

Each setting says what it does, in which unit, and where it comes from; forms, options and documents show that text.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ..errors import DataError

METRICS = ("auto", "accuracy", "balanced_accuracy", "macro_f1", "average_precision")


def _setting(
    default: Any,
    text: str,
    group: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    about = {"text": text, "group": group, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=about)


def _check(setting: Field, value: Any) -> None:
    kinds: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "str": str}
    kinds["int | None"] = (int, type(None))
    wanted, name = kinds[str(setting.type)], setting.name
    if not isinstance(value, wanted) or (isinstance(value, bool) and setting.type != "bool"):
        raise DataError(f"{name} must be of type {setting.type}, got {value!r}.")
    about = setting.metadata
    if about["choices"] and value not in about["choices"]:
        raise DataError(f"{name} must be one of {', '.join(about['choices'])}, got '{value}'.")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = about["low"], about["high"]
        if not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            bounds = f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"
            raise DataError(f"{name} must be {bounds}, got {value:g}.")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a classifier is trained; `describe_settings` gives the text, the bounds and the choices of each setting.

    Raises:
        DataError: A value is of the wrong type, out of its bounds, or no choice.
    """

    preset: str = _setting("quick", "Name that the values started from.", "network")

    backbone: str = _setting("lite0", "'lite0' (built in), a timm name, or an earlier classifier's folder.", "network")
    image_size: int | None = _setting(
        None, "Side of the input, pixels; none: as the backbone was trained.", "network", low=16
    )
    keep_classes: bool = _setting(
        True, "Of an earlier classifier as backbone, keep the classes that the new images lack.", "network"
    )
    frozen_share: float = _setting(
        0.5, "Share of the backbone's blocks, from the input on, that stay as pretrained.", "network", low=0, high=1
    )
    layer_decay: float = _setting(
        1.0,
        "Factor on the learning rate for each block further from the output (Bao et al. 2022, arXiv:2106.08254); "
        "1: the same rate everywhere.",
        "network",
        low=0.01,
        high=1,
    )
    freeze_batch_norm: bool = _setting(
        True, "Batch normalisation keeps its pretrained statistics, which small sets estimate badly.", "network"
    )
    drop_path: float = _setting(
        0.0,
        "Chance that a residual branch is left out in a step (Huang et al. 2016, arXiv:1603.09382), rising to this "
        "in the last block.",
        "network",
        low=0,
        high=0.9,
    )

    epochs: int = _setting(
        2,
        "Passes over the training images in which the backbone is trained too; 0: a linear probe only "
        "(Kumar et al. 2022, arXiv:2202.10054, start from one as we do).",
        "steps",
        low=0,
    )
    batch_size: int = _setting(32, "Images a forward pass, over all processes.", "steps", low=1)
    accumulate: int = _setting(1, "Forward passes a step.", "steps", low=1)
    optimizer: str = _setting(
        "adamw",
        "AdamW: Loshchilov and Hutter 2019, arXiv:1711.05101; Adam: Kingma and Ba 2015, arXiv:1412.6980.",
        "steps",
        choices=("adamw", "adam", "sgd"),
    )
    learning_rate: float = _setting(1e-3, "Peak rate of the backbone.", "steps", low=0)
    head_learning_rate: float = _setting(
        1e-3, "Peak rate of the last layer, which starts at the probe's solution.", "steps", low=0
    )
    weight_decay: float = _setting(0.02, "Pull of the backbone's matrices towards zero.", "steps", low=0)
    momentum: float = _setting(0.9, "Of SGD (Nesterov's) and the first moment of Adam.", "steps", low=0, high=0.9999)
    clip_norm: float = _setting(1.0, "Longest gradient; 0: no limit.", "steps", low=0)
    schedule: str = _setting(
        "cosine",
        "How rates fall: along a cosine to zero (Loshchilov and Hutter 2017, arXiv:1608.03983), to a tenth "
        "after 60 and 85 % of the steps, or to a fifth whenever the metric stands still.",
        "steps",
        choices=("cosine", "step", "plateau"),
    )
    warmup: float = _setting(0.1, "Share of all steps over which rates rise.", "steps", low=0, high=0.9)
    ema: float = _setting(
        0.0,
        "Decay of the moving average of the weights that is kept instead of the last ones (Polyak and Juditsky "
        "1992), such as .999; 0: none.",
        "steps",
        low=0,
        high=0.99999,
    )
    metric: str = _setting(
        "auto",
        "What the best epoch is chosen by on the validation images; auto: average precision for several labels, "
        "macro F1 where the largest class has over 1.5 times the mean number of images, else accuracy.",
        "steps",
        choices=METRICS,
    )
    patience: int = _setting(0, "Epochs without a better metric after which training stops; 0: never.", "steps", low=0)
    amp: bool = _setting(True, "On a GPU, compute in bfloat16 where that is safe.", "steps")

    loss: str = _setting(
        "cross_entropy",
        "Focal loss (Lin et al. 2017, arXiv:1708.02002) looks less at what is easy. With several labels "
        "an image, either is taken for each class by itself (binary).",
        "loss",
        choices=("cross_entropy", "focal"),
    )
    focal_gamma: float = _setting(2.0, "How much less the focal loss looks at what is easy.", "loss", low=0, high=10)
    label_smoothing: float = _setting(
        0.0,
        "Share of each target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567); it hides "
        "wrong labels from a search for them.",
        "loss",
        low=0,
        high=0.9,
    )
    class_weights: str = _setting(
        "none",
        "Weight of a class's images: by its effective number of images (Cui et al. 2019, arXiv:1901.05555).",
        "loss",
        choices=("none", "effective"),
    )
    logit_adjustment: float = _setting(
        0.0,
        "How far rare classes are moved up to the rank that equal frequencies would give (tau of Menon et al. 2021, "
        "arXiv:2007.07314): 1 = all the way, 0 = not.",
        "loss",
        low=0,
        high=3,
    )
    sampling: str = _setting(
        "natural",
        "Images of an epoch: each once, or drawn so that classes come equally often.",
        "loss",
        choices=("natural", "balanced"),
    )

    flip: float = _setting(0.5, "Chance of a mirror image.", "augmentation", low=0, high=1)
    vertical_flip: float = _setting(0.0, "Chance of turning an image upside down.", "augmentation", low=0, high=1)
    zoom: float = _setting(0.15, "Largest random zoom in and out, as a share.", "augmentation", low=0, high=0.9)
    shift: float = _setting(0.08, "Largest random shift, as a share of the side.", "augmentation", low=0, high=0.5)
    crop: float = _setting(
        1.0,
        "Smallest share of the area that a random resized crop keeps (Szegedy et al. 2015, arXiv:1409.4842); "
        "1: no crop.",
        "augmentation",
        low=0.05,
        high=1,
    )
    color_jitter: float = _setting(
        0.0, "Largest random change of brightness, contrast and saturation, as a share.", "augmentation", low=0, high=1
    )
    rand_augment: int = _setting(
        0,
        "Magnitude of two random operations (RandAugment, Cubuk et al. 2020, arXiv:1909.13719), such as 9; 0: none.",
        "augmentation",
        low=0,
        high=30,
    )
    erase: float = _setting(
        0.0,
        "Chance that a random rectangle is greyed out (Zhong et al. 2020, arXiv:1708.04896).",
        "augmentation",
        low=0,
        high=1,
    )
    mixup: float = _setting(
        0.0,
        "Mixup's alpha (Zhang et al. 2018, arXiv:1710.09412), such as .2: images are blended by pairs; 0: not.",
        "augmentation",
        low=0,
        high=10,
    )
    cutmix: float = _setting(
        0.0,
        "CutMix's alpha (Yun et al. 2019, arXiv:1905.04899), such as 1: a rectangle comes from another image; 0: "
        "not. With Mixup too, each batch gets one of them.",
        "augmentation",
        low=0,
        high=10,
    )

    validation_share: float = _setting(
        0.15,
        "Share of the training images set aside for validation, where there is no validation split.",
        "steps",
        low=0.01,
        high=0.5,
    )
    seed: int = _setting(0, "Of everything random.", "steps", low=0)

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(each, getattr(self, each.name))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)

    def to_yaml(self) -> str:
        """Return what `read_recipe` reads."""
        return str(yaml.safe_dump(self.to_dict(), sort_keys=False))


# The settings that stand beside a preset, all of them open: None = as the preset says.
RecipeChanges = make_dataclass(
    "RecipeChanges",
    [
        (each.name, Any, field(default=None, metadata=dict(each.metadata)))
        for each in fields(Recipe)
        if each.name not in ("preset", "seed")
    ],
    frozen=True,
    namespace={"__module__": __name__},
)

AS_IT_IS = RecipeChanges()

PRESETS = {
    "probe": Recipe(preset="probe", epochs=0),
    "quick": Recipe(preset="quick"),
    "strong": Recipe(
        preset="strong",
        epochs=12,
        frozen_share=0.0,
        layer_decay=0.75,
        drop_path=0.1,
        ema=0.99,
        patience=4,
        crop=0.7,
        rand_augment=6,
        erase=0.1,
        mixup=0.1,
    ),
}


def preset_recipe(name: str, seed: int = 0) -> Recipe:
    """Return a preset.

    Raises:
        DataError: No such preset.
    """
    if name not in PRESETS:
        raise DataError(f"preset must be one of {', '.join(PRESETS)}, got '{name}'.")
    return replace(PRESETS[name], seed=seed)


def changed_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return the recipe with other values; None leaves a setting as it is.

    Raises:
        DataError: No such setting, or a value that it cannot have.
    """
    known = [each.name for each in fields(Recipe)]
    for name in changes:
        if name not in known:
            raise DataError(f"a recipe has no setting '{name}'. Its settings are: {', '.join(known)}.")
    return replace(recipe, **{name: value for name, value in changes.items() if value is not None})


def read_recipe(path: Path) -> Recipe:
    """Read a recipe from YAML; what the file leaves out is as its preset says, or as in "quick".

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as cause:
        raise DataError(f"cannot read a recipe from '{path}': {cause}") from cause
    if not isinstance(values, dict):
        raise DataError(f"'{path}' holds no recipe: lines such as `epochs: 5` are expected.")
    recipe = preset_recipe(str(values.get("preset", "quick")))
    try:
        return changed_recipe(recipe, {str(name): _number(str(name), value) for name, value in values.items()})
    except DataError as error:
        raise DataError(f"'{path}': {error}") from error


def describe_settings() -> tuple[Field, ...]:
    """Return the settings; `metadata` has `text`, `group`, `low`, `high` and `choices`, `type` a type's name."""
    return fields(Recipe)


def _number(name: str, value: Any) -> Any:
    """Return YAML's value; `1e-3` is a text there, as YAML wants `1.0e-3`."""
    if isinstance(value, str) and any(each.name == name and each.type == "float" for each in fields(Recipe)):
        with contextlib.suppress(ValueError):
            return float(value)
    return value
