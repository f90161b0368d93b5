"""Contact sheets of pairs of images, for a person to look at what a benchmark counts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

_SIDE = 80  # pixels of an image
_PAIRS_A_ROW = 10
_GAP = 8
_TITLE = 24

T = TypeVar("T")


def sample(found: Sequence[T], most: int, seed: int = 0) -> list[T]:
    """Return at most `most` of what was found, in its order: the same ones for the same seed."""
    chosen = np.random.default_rng(seed).choice(len(found), min(len(found), most), replace=False)
    return [found[number] for number in np.sort(chosen)]


def png(name: str) -> Path:
    """Return the path of a PNG file to write, as argparse's `type`: a name that can't be drawn to fails at once."""
    path = Path(name)
    if path.suffix.lower() != ".png" or not path.resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"'{name}' must be a .png file in a folder that exists")
    return path


def draw_pairs(file: Path, sections: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Draw pairs of image files side by side into a PNG file, in rows of ten, under the title of their section."""
    rows = [-(-len(pairs) // _PAIRS_A_ROW) for pairs in sections.values()]
    width = _PAIRS_A_ROW * (2 * _SIDE + _GAP)
    canvas = Image.new("RGB", (width, len(rows) * _TITLE + sum(rows) * (_SIDE + _GAP)), "white")
    top = 0
    for (title, pairs), height in zip(sections.items(), rows, strict=True):
        ImageDraw.Draw(canvas).text((2, top + 6), title, fill="black")
        top += _TITLE
        for place, pair in enumerate(pairs):
            for side, path in enumerate(pair):
                with Image.open(path) as image:
                    small = image.convert("RGB").resize((_SIDE, _SIDE))
                left = place % _PAIRS_A_ROW * (2 * _SIDE + _GAP) + side * _SIDE
                canvas.paste(small, (left, top + place // _PAIRS_A_ROW * (_SIDE + _GAP)))
        top += height * (_SIDE + _GAP)
    canvas.save(file)
