"""A small FiftyOne dataset of real garments for the jobs: 5 classes, two splits, 5 planted leaks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    import fiftyone as fo

SHEETS = Path(__file__).parents[3] / "examples" / "fashion_mnist"
TILE = 28
CLASSES = ("bag", "dress", "sandal", "sneaker", "trouser")
PER_SPLIT = {"train": 30, "test": 10}
IMAGES = len(CLASSES) * (sum(PER_SPLIT.values()) + 1)

MakeDataset = Callable[..., "fo.Dataset"]
MakeOfFolder = Callable[[Path], "fo.Dataset"]


def tile(split: str, name: str, number: int) -> Image.Image:
    """Return one image of the embedded sample."""
    with Image.open(SHEETS / split / f"{name}.png") as sheet:
        left, top = TILE * (number % (sheet.width // TILE)), TILE * (number // (sheet.width // TILE))
        return sheet.crop((left, top, left + TILE, top + TILE))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder SPLIT/CLASS/NUMBER.png; test/CLASS/copy.jpg repeats train/CLASS/000.png. Tests only read it."""
    root = tmp_path_factory.mktemp("garments")
    for split, count in PER_SPLIT.items():
        for name in CLASSES:
            target = root / split / name
            target.mkdir(parents=True)
            for number in range(count):
                tile(split, name, number).save(target / f"{number:03d}.png")
    for name in CLASSES:
        tile("train", name, 0).save(root / "test" / name / "copy.jpg", quality=60)
    return root


def make_dataset(root: Path, pattern: str = "*/*/*") -> fo.Dataset:
    """Return a new dataset of a folder SPLIT/CLASS/file, with the fields `ground_truth` and `split`."""
    import fiftyone as fo

    dataset = fo.Dataset(f"garments-{uuid.uuid4().hex[:12]}")
    samples = []
    for path in sorted(root.glob(pattern)):
        split, name = path.parts[-3:-1]
        samples.append(fo.Sample(filepath=str(path), ground_truth=fo.Classification(label=name), split=split))
    dataset.add_samples(samples)
    return dataset


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[fo.Dataset]:
    """Return a dataset of all images for a module's tests, which leave it as the module's own fixtures made it."""
    made = make_dataset(folder)
    yield made
    made.delete()


@pytest.fixture
def garments(folder: Path) -> Iterator[Callable[..., fo.Dataset]]:
    """Return a factory of datasets of the folder, `garments(pattern="*/*/*")`, which a test may change at will."""
    made = []

    def make(pattern: str = "*/*/*") -> fo.Dataset:
        made.append(make_dataset(folder, pattern))
        return made[-1]

    yield make
    for dataset in made:
        dataset.delete()


@pytest.fixture
def dataset_of_folder() -> Iterator[MakeOfFolder]:
    """Return a factory of datasets of folders SPLIT/CLASS/file."""
    made = []

    def make(root: Path) -> fo.Dataset:
        made.append(make_dataset(root))
        return made[-1]

    yield make
    for dataset in made:
        dataset.delete()


@pytest.fixture(scope="session")
def unlabelled_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 150 garments CLASS-NUMBER.png. Tests only read it."""
    root = tmp_path_factory.mktemp("未 labelled #1")
    for name in CLASSES:
        for number in range(PER_SPLIT["train"]):
            tile("train", name, number).save(root / f"{name}-{number:02d}.png")
    return root


@pytest.fixture
def unlabelled(unlabelled_images: Path) -> Iterator[Callable[[], fo.Dataset]]:
    """Return a factory of datasets of these, without labels; two images each are of one scene."""
    from .loop_steps import unlabelled_dataset

    made: list[fo.Dataset] = []

    def make() -> fo.Dataset:
        made.append(unlabelled_dataset(unlabelled_images))
        return made[-1]

    yield make
    for dataset in made:
        dataset.delete()


@pytest.fixture
def some(garments: MakeDataset) -> fo.Dataset:
    """Return a dataset of 30 images: three classes, the first eight numbers of train and two of test; no leaks."""
    import fiftyone as fo

    dataset = garments("*/[bst][ar][gno]*/00[0-7].png")
    few = fo.ViewField("split") == "train"
    dataset.delete_samples(dataset.match(~few & ~fo.ViewField("filepath").re_match(r"00[01]\.png$")))
    return dataset


def names_of(dataset: fo.Dataset) -> list[str]:
    """Return each sample's path relative to the folder, as in `test/bag/copy.jpg`."""
    return ["/".join(Path(path).parts[-3:]) for path in dataset.values("filepath")]


def values_by_name(dataset: fo.Dataset, field: str) -> dict[str, object]:
    """Return a field's values by the name of the sample."""
    return dict(zip(names_of(dataset), dataset.values(field), strict=True))


def truncated_png() -> bytes:
    """Return the first half of a PNG file."""
    buffer = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]
