"""Make the embedded sample again: 240 training and 60 test images of each Fashion-MNIST class, as a sheet a class.

Source: Debian's package `dataset-fashion-mnist` (MIT licence, Zalando SE; see fashion_mnist/LICENSE).

    python examples/make_fashion_mnist.py /usr/share/datasets/fashion-mnist
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
SIDE = 28
COLUMNS = 20
PER_CLASS = {"train": 240, "test": 60}


def read_idx(path: Path) -> np.ndarray:
    """Read one IDX file: (n,) labels or (n, 28, 28) images, uint8."""
    with gzip.open(path) as file:
        data = file.read()
    dimensions = data[3]
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def sheet(images: np.ndarray) -> Image.Image:
    """Lay (n, 28, 28) images out row by row, 20 to a row."""
    rows = images.reshape(-1, COLUMNS, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(-1, COLUMNS * SIDE)
    return Image.fromarray(rows)


def main(source: Path, target: Path) -> None:
    rng = np.random.default_rng(0)
    for split, stem in (("train", "train"), ("test", "t10k")):
        images = read_idx(source / f"{stem}-images-idx3-ubyte.gz")
        labels = read_idx(source / f"{stem}-labels-idx1-ubyte.gz")
        for index, name in enumerate(CLASSES):
            rows = np.sort(rng.choice(np.flatnonzero(labels == index), PER_CLASS[split], replace=False))
            path = target / split / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            sheet(images[rows]).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "fashion_mnist")
