"""Images of several garments each, with every garment's label: 2 x 2 tiles of one or two classes."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests.plugin.workflows.conftest import TILE, tile

if TYPE_CHECKING:
    import fiftyone as fo

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


def make_dataset(given: dict[str, set[str] | None], field: str = "things") -> fo.Dataset:
    """Return a new dataset with a field of Classifications; None = not annotated."""
    import fiftyone as fo

    dataset = fo.Dataset(f"mosaics-{uuid.uuid4().hex[:12]}")
    samples = [fo.Sample(filepath=path) for path in sorted(given)]
    dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classifications)
    for sample in samples:
        if (names := given[sample.filepath]) is not None:
            sample[field] = labels_of(names)
    dataset.add_samples(samples, progress=False)
    return dataset


def labels_of(names: set[str]) -> fo.Classifications:
    """Return labels in alphabetical order."""
    import fiftyone as fo

    return fo.Classifications(classifications=[fo.Classification(label=name) for name in sorted(names)])
