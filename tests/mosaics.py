"""Images of several garments each, with every garment's label: 2 x 2 tiles of one or two classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.plugin.workflows.conftest import TILE, tile

CLASSES = ("bag", "sneaker", "trouser")
IMAGES = 120
_EVERY = 12  # one image in so many lacks a label, another one has a label too many


def write_mosaics(folder: Path) -> dict[str, set[str]]:
    """Write 120 images, from 000.png on; return the classes that each shows, by path."""
    rng = np.random.default_rng(0)
    shown: dict[str, set[str]] = {}
    for number in range(IMAGES):
        kinds = rng.choice(CLASSES, rng.integers(1, 3), replace=False).tolist()
        mosaic = Image.new("L", (2 * TILE, 2 * TILE))
        for place in range(4):
            one = tile("train", kinds[place % len(kinds)], int(rng.integers(0, 40)))
            mosaic.paste(one, (TILE * (place % 2), TILE * (place // 2)))
        path = folder / f"{number:03d}.png"
        mosaic.save(path)
        shown[str(path)] = set(kinds)
    return shown


def planted(shown: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return labels for what is shown, of which every 12th image lacks one and every 12th has one too many."""
    given = {}
    for number, (path, names) in enumerate(sorted(shown.items())):
        labels = set(names)
        if number % _EVERY == 0:
            labels.remove(min(names))
        elif number % _EVERY == _EVERY // 2:
            labels.add(next(name for name in CLASSES[number % len(CLASSES) :] + CLASSES if name not in names))
        given[path] = labels
    return given
