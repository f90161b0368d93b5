"""The demo's working copy: the embedded Fashion-MNIST sample as files, with faults that a seed decides."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SHEETS = Path(__file__).parents[2] / "examples" / "fashion_mnist"
SIDE = 28
_COPIES = 90
_WRONG_LABELS = 0.05
_UNREADABLE = 3


@dataclass(frozen=True)
class Planted:
    """Faults by the file's path relative to the working copy, with forward slashes.

    Attributes:
        copies: Planted near-duplicate -> the image that it was made from, which lies in another split.
        wrong_labels: Files that lie in a wrong class folder -> their true class.
        unreadable: Damaged files.
        seed: What they were drawn with.
    """

    copies: dict[str, str] = field(default_factory=dict)
    wrong_labels: dict[str, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Image:
    pixels: np.ndarray
    split: str
    given: str
    true: str
    name: str
    source: _Image | None = None

    @property
    def path(self) -> str:
        return f"{self.split}/{self.given}/{self.name}"


def plant(folder: Path, seed: int) -> Planted:
    """Write the working copy below `folder` and return its faults."""
    rng = np.random.default_rng(seed)
    images = _read_sheets()
    classes = sorted({image.true for image in images})
    copies = [
        _copy(images[row], number, rng) for number, row in enumerate(rng.choice(len(images), _COPIES, replace=False))
    ]
    everything = images + copies
    for row in rng.choice(len(everything), round(_WRONG_LABELS * len(everything)), replace=False):
        image = everything[row]
        image.given = str(rng.choice([name for name in classes if name != image.true]))
    sources = {id(copy.source) for copy in copies}
    spare = [image for image in images if id(image) not in sources and image.given == image.true]
    damaged = [spare[row] for row in rng.choice(len(spare), _UNREADABLE, replace=False)]
    for image in everything:
        path = folder / image.path
        path.parent.mkdir(parents=True, exist_ok=True)
        data = _encode(image.pixels, path.suffix)
        path.write_bytes(data[: len(data) // 2] if any(image is other for other in damaged) else data)
    return Planted(
        copies={copy.path: copy.source.path for copy in copies if copy.source is not None},
        wrong_labels={image.path: image.true for image in everything if image.given != image.true},
        unreadable=[image.path for image in damaged],
        seed=seed,
    )


def _read_sheets() -> list[_Image]:
    images = []
    for sheet in sorted(SHEETS.glob("*/*.png")):
        with Image.open(sheet) as opened:
            pixels = np.asarray(opened)
        rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
        tiles = pixels.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
        split, name = sheet.parent.name, sheet.stem
        prefix = f"{split}-{name.replace(' ', '-')}"
        images += [_Image(tile, split, name, name, f"{prefix}-{i:03d}.png") for i, tile in enumerate(tiles)]
    return images


def _copy(image: _Image, number: int, rng: np.random.Generator) -> _Image:
    """Return a near-duplicate for the other split: JPEG of quality 60, a crop of 25 x 25, or a shift by 2."""
    split = "test" if image.split == "train" else "train"
    stem = f"{split}-copy-{number:03d}"
    edit = number % 3
    if edit == 0:
        return _Image(image.pixels, split, image.true, image.true, f"{stem}.jpg", image)
    if edit == 1:
        left, top = (int(offset) for offset in rng.integers(1, 3, 2))
        box = (left, top, SIDE - (3 - left), SIDE - (3 - top))
        cropped = Image.fromarray(image.pixels).crop(box).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        return _Image(np.asarray(cropped), split, image.true, image.true, f"{stem}.png", image)
    down, right = (int(shift) for shift in rng.choice([-2, 2], 2))
    padded = np.pad(image.pixels, 2, mode="constant")
    moved = padded[2 - down : 2 - down + SIDE, 2 - right : 2 - right + SIDE]
    return _Image(moved, split, image.true, image.true, f"{stem}.png", image)


def _encode(pixels: np.ndarray, suffix: str) -> bytes:
    buffer = BytesIO()
    if suffix == ".jpg":
        Image.fromarray(pixels).save(buffer, "JPEG", quality=60)
    else:
        Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
