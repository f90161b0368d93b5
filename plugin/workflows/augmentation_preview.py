"""Show what training would do to images, so that a person sees whether it spoils what tells the classes apart."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..datasets.views import Collection, check_images
from ..errors import DataError, UnreadableImageError
from ..failures import Failure
from ..progress import Progress, silent
from ..training.augmentation import augment, mixed
from ..training.randomness import seeded
from ..training.recipe import AS_IT_IS, changed_recipe, preset_recipe
from ..vision.decoder import Decode
from ..vision.preprocessing import Input, Preprocessing
from ..vision.value_range import detect_value_range
from .wording import counted, failure_lines

_MOST_IMAGES = 8
_GAP = 4


@dataclass(frozen=True)
class PreviewParams:
    """Settings of `preview_augmentation`.

    Attributes:
        preset: The recipe to begin with.
        changes: Settings that are to be different.
        views: Random views of each image.
        side: Of each picture on the sheet, pixels.
        seed: Of the views.
    """

    preset: str = "quick"
    changes: Any = AS_IT_IS
    views: int = 6
    side: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.views <= 20:
            raise DataError(f"views must be from 1 to 20, got {self.views}")
        if not 32 <= self.side <= 512:
            raise DataError(f"side must be from 32 to 512, got {self.side}")


@dataclass(frozen=True, eq=False)
class PreviewReport:
    """What `preview_augmentation` drew.

    Attributes:
        sheet: (height, width, 3) uint8: a row an image, itself first, then its random views.
        images: How many rows.
        failures: Images that could not be read.
    """

    sheet: np.ndarray
    images: int
    failures: tuple[Failure, ...]

    def png(self) -> bytes:
        """Return the sheet as a PNG file."""
        file = BytesIO()
        Image.fromarray(self.sheet).save(file, "PNG")
        return file.getvalue()

    def summary(self) -> dict[str, Any]:
        """Return plain JSON; `image` is a data URI."""
        return {
            "images": self.images,
            "image": "data:image/png;base64," + base64.b64encode(self.png()).decode(),
            "failures": [asdict(failure) for failure in self.failures],
        }

    def text(self) -> str:
        """Return markdown for a person."""
        lines = [
            f"**{counted(self.images, 'image')}**: each as it is, then as training would show it. Where what tells the "
            "classes apart is lost, turn that part of the recipe down."
        ]
        return "\n".join([*lines, *failure_lines(self.failures)])


def preview_augmentation(
    view: Collection, params: PreviewParams = PreviewParams(), progress: Progress = silent
) -> PreviewReport:
    """Draw random views of the first images of a collection, as training with a recipe would make them.

    Raises:
        DataError: No image can be read, or a recipe that cannot be.
    """
    recipe = changed_recipe(preset_recipe(params.preset, params.seed), asdict(params.changes))
    check_images(view)
    ids, paths = view.limit(_MOST_IMAGES).values(["id", "filepath"])
    preprocessing = Preprocessing(Decode(detect_value_range(paths)), Input(size=params.side))
    pictures, failures = [], []
    for number, (sample_id, path) in enumerate(zip(ids, paths, strict=True)):
        try:
            pictures.append(preprocessing(path))
        except UnreadableImageError as error:
            failures.append(Failure(sample_id, path, error.reason))
        progress("images", number + 1, len(ids))
    if not pictures:
        raise DataError(f"none of the {len(ids)} images can be read: {failures[0].reason}. Choose others.")
    originals = torch.from_numpy(np.stack(pictures))
    columns = [originals]
    for number in range(params.views):
        with seeded(params.seed, number):
            shown, *_ = mixed(augment(originals, recipe), torch.eye(len(originals)), torch.ones(len(originals)), recipe)
        columns.append(shown.round().clamp(0, 255).to(torch.uint8))
    return PreviewReport(_sheet(columns), len(pictures), tuple(failures))


def _sheet(columns: list[torch.Tensor]) -> np.ndarray:
    """Return all pictures on one, with gaps between them."""
    rows = torch.stack(columns, dim=1).numpy()  # (images, columns, side, side, 3)
    padded = np.pad(rows, ((0, 0), (0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=255)
    images, count, height, width, _ = padded.shape
    return padded.transpose(0, 2, 1, 3, 4).reshape(images * height, count * width, 3)[:-_GAP, :-_GAP]
