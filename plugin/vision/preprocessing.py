"""From a file to a network's input: one value object, used by embedding, training, evaluation, serving and export.

Training and serving that prepare images differently is the classic silent failure of the field; here there is no
second way to prepare one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from PIL import __version__ as pillow_version

from .decoder import Decode, decode
from .resizing import resize

_VERSION = 3  # raised with every change of the pixels that decoding or fitting give
_LONGEST = 16  # of a longer strip the middle is scaled: 1 x 60,000 pixels, scaled as a whole, would take 12 GB
_INTERPOLATIONS = ("bicubic", "bilinear")


@dataclass(frozen=True, slots=True)
class Input:
    """What a network wants to see.

    Attributes:
        size: Height and width in pixels.
        mode: "crop" scales the shorter side to `size / crop` and takes the centre square (timm's evaluation
            transform); "squash" scales both sides to `size`, so that nothing of the image is cut off.
        crop: Share of the shorter side that "crop" keeps, in (0, 1].
        interpolation: "bicubic" or "bilinear", antialiased.
        mean: Per channel, in the scale 0..1, subtracted first.
        std: Per channel, divided by then.
    """

    size: int = 224
    mode: Literal["crop", "squash"] = "crop"
    crop: float = 0.875
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be at least 1 pixel, got {self.size}")
        if self.mode not in ("crop", "squash"):
            raise ValueError(f"mode must be 'crop' or 'squash', got {self.mode!r}")
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop must lie in (0, 1], got {self.crop}")
        if self.interpolation not in _INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {_INTERPOLATIONS}, got {self.interpolation!r}")

    def fit(self, image: np.ndarray) -> np.ndarray:
        """Return the (h, w, 3) uint8 image as (size, size, 3) uint8."""
        if self.mode == "squash":
            return resize(image, self.size, self.size, self.interpolation)
        height, width = image.shape[:2]
        shorter = min(height, width)
        if max(height, width) > _LONGEST * shorter:
            width, height = min(width, _LONGEST * shorter), min(height, _LONGEST * shorter)
            image = _middle(image, width, height)
        side = self.shorter_side
        scaled = resize(image, int(side * width / shorter), int(side * height / shorter), self.interpolation)
        return _middle(scaled, self.size, self.size)

    @property
    def shorter_side(self) -> int:
        """Pixels that the shorter side of an image is scaled to."""
        return self.size if self.mode == "squash" else int(self.size / self.crop)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a file becomes a network's input: decoded, then fitted. Normalising is the network's first layer."""

    decode: Decode = field(default_factory=Decode)
    input: Input = field(default_factory=Input)

    def __call__(self, source: str | Path | BinaryIO) -> np.ndarray:
        """Return (size, size, 3) uint8.

        Raises:
            UnreadableImageError: See `decoder.decode`.
        """
        return self.input.fit(self.read(source))

    def read(self, source: str | Path | BinaryIO) -> np.ndarray:
        """Return the decoded image before it is fitted, (h, w, 3) uint8.

        Raises:
            UnreadableImageError: See `decoder.decode`.
        """
        return decode(source, self.decode, target=self.input.shorter_side)

    def with_size(self, size: int) -> Preprocessing:
        """Return the same with another input size."""
        return replace(self, input=replace(self.input, size=size))

    def without_draft(self) -> Preprocessing:
        """Return the same, but decoding whole images."""
        return replace(self, decode=replace(self.decode, draft=False))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Preprocessing:
        """Read what `to_dict` wrote. Raises TypeError or ValueError where that is not what `data` holds."""
        decoding, fitting = dict(data["decode"]), dict(data["input"])
        if decoding["value_range"] is not None:
            decoding["value_range"] = tuple(decoding["value_range"])
        fitting["mean"], fitting["std"] = tuple(fitting["mean"]), tuple(fitting["std"])
        return cls(Decode(**decoding), Input(**fitting))

    def hash(self) -> str:
        """Return a hash of all that decides the pixels, the versions of this code and of Pillow included."""
        text = json.dumps({**self.to_dict(), "version": _VERSION, "pillow": pillow_version}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _middle(image: np.ndarray, width: int, height: int) -> np.ndarray:
    top, left = round((image.shape[0] - height) / 2), round((image.shape[1] - width) / 2)
    return image[top : top + height, left : left + width]
