"""What `benchmarks.label_issues` judges: images with labels made wrong in many ways, and classifiers' word on them."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10
FOLDS = 5
FASHION = Path(__file__).parents[1] / "examples" / "fashion_mnist"
_NOISES = (
    ("none", 0.0),
    *(("symmetric", rate) for rate in (0.01, 0.05, 0.1, 0.2, 0.4)),
    *(("pairs", rate) for rate in (0.05, 0.1, 0.2, 0.3)),
    *(("classes", rate) for rate in (0.05, 0.1, 0.2, 0.4)),
    *(("images", rate) for rate in (0.05, 0.1, 0.2)),
)
_LONG_TAIL_NOISES = (("none", 0.0), ("symmetric", 0.05), ("symmetric", 0.1), ("pairs", 0.1), ("classes", 0.1))
_QUICK = (("none", 0.0), ("symmetric", 0.1))
_CLASSIFIERS = ("few numbers", "linear", "two layers", "neighbours")
_LONG_TAIL_CLASSIFIERS = ("linear", "neighbours")
_LONGEST_OVER_SHORTEST = 50


@dataclass(frozen=True, eq=False)
class Cell:
    """One dataset with one kind of noise, and one classifier's out-of-fold probabilities.

    Attributes:
        long_tail: The largest class is 50 times as large as the smallest.
    """

    data: str
    noise: str
    rate: float
    classifier: str
    seed: int
    labels: np.ndarray
    true: np.ndarray
    probabilities: np.ndarray
    long_tail: bool


def cells(sets: dict[str, tuple[np.ndarray, np.ndarray]], seeds: int, quick: bool) -> Iterator[Cell]:
    """Yield each kind of noise, on balanced classes and on a long tail, as each classifier sees it.

    Args:
        sets: (n, d) vectors and (n,) true classes, by name.
        seeds: How often each is drawn.
        quick: Two kinds of noise and one classifier only.
    """
    for data, (vectors, true) in sets.items():
        for seed in range(seeds):
            some = long_tail(true, seed)
            parts = [(np.arange(len(true)), _NOISES, _CLASSIFIERS), (some, _LONG_TAIL_NOISES, _LONG_TAIL_CLASSIFIERS)]
            for rows, noises, classifiers in parts:
                tail = len(rows) < len(true)
                usual = out_of_fold("linear", vectors[rows], true[rows], seed)
                for noise, rate in _QUICK if quick else noises:
                    labels = made_wrong(noise, rate, true[rows], usual, seed)
                    for classifier in ("linear",) if quick else classifiers:
                        probabilities = out_of_fold(classifier, vectors[rows], labels, seed)
                        yield Cell(data, noise, rate, classifier, seed, labels, true[rows], probabilities, tail)


def long_tail(true: np.ndarray, seed: int) -> np.ndarray:
    """Return row numbers of which the largest class has 50 times as many as the smallest, geometrically in between."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(true)
    shares = _LONGEST_OVER_SHORTEST ** -(rng.permutation(len(counts)) / (len(counts) - 1))
    rows = [
        rng.choice(np.flatnonzero(true == label), max(round(counts.min() * share), 1), replace=False)
        for label, share in enumerate(shares)
    ]
    return np.sort(np.concatenate(rows))


def made_wrong(noise: str, rate: float, true: np.ndarray, usual: np.ndarray, seed: int) -> np.ndarray:
    """Return labels of which a share is wrong; `usual` are a classifier's probabilities, for noise of images."""
    rng = np.random.default_rng([seed, int(1_000 * rate), len(noise)])
    if noise == "images":  # images that a classifier confuses get the class it would take instead
        others = usual.copy()
        others[np.arange(len(true)), true] = 0
        chance = others.max(axis=1)
        for _ in range(20):
            chance = np.minimum(chance * rate * len(true) / chance.sum(), 0.8)
        return np.where(rng.random(len(true)) < chance, others.argmax(axis=1), true)
    shares, rates = np.ones((CLASSES, CLASSES)), np.full(CLASSES, rate)
    if noise == "pairs":
        shares = np.roll(np.eye(CLASSES), 1, axis=1)
    if noise == "classes":
        shares = rng.dirichlet(np.full(CLASSES, 0.3), CLASSES) + 1e-6
        rates = np.minimum(rate * rng.gamma(2, 0.5, CLASSES), 0.6)
    np.fill_diagonal(shares, 0)
    shares /= shares.sum(axis=1, keepdims=True)
    drawn = (shares[true].cumsum(axis=1) > rng.random((len(true), 1))).argmax(axis=1)
    return np.where(rng.random(len(true)) < rates[true], drawn, true)


def out_of_fold(classifier: str, vectors: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier

    models = {
        "few numbers": LogisticRegression(max_iter=100),
        "linear": LogisticRegression(max_iter=100),
        "two layers": MLPClassifier((128,), max_iter=25, random_state=seed),
        "neighbours": KNeighborsClassifier(20),
    }
    vectors = vectors[:, :8] if classifier == "few numbers" else vectors
    probabilities = np.zeros((len(labels), CLASSES))
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        for fit, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(vectors, labels):
            model = models[classifier].fit(vectors[fit], labels[fit])
            probabilities[np.ix_(held, model.classes_)] = model.predict_proba(vectors[held])
    probabilities = np.maximum(probabilities, 1e-3 if classifier == "neighbours" else 1e-6)
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def fashion(home: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return 128 principal components of lite0's vectors of the embedded images, and their classes."""
    images, classes = fashion_images()
    return components(embed(saved(images, home / "fashion"), home), 128), classes


def mosaics(home: Path, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what 2 x 2 mosaics of the embedded images show: lite0 vectors, thumbnails, and (n, k) classes in each."""
    images, classes = fashion_images()
    chosen = np.random.default_rng(seed).integers(0, len(images), (count, 4))
    present = np.zeros((count, CLASSES))
    np.put_along_axis(present, classes[chosen], 1, axis=1)
    return *vectors_and_thumbnails(saved(mosaic(images, chosen), home / "mosaics"), home), present


def mosaic(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return (m, 56, 56): for each of (m, 4) row numbers its images, two above two."""
    return images[chosen].reshape(-1, 2, 2, 28, 28).transpose(0, 1, 3, 2, 4).reshape(-1, 56, 56)


def fashion_images() -> tuple[np.ndarray, np.ndarray]:
    """Return the embedded images (n, 28, 28) and their classes (n,)."""
    names = sorted(path.stem for path in (FASHION / "train").glob("*.png"))
    images, classes = [], []
    for sheet in sorted(FASHION.glob("*/*.png")):
        pixels = np.asarray(Image.open(sheet))
        images.append(pixels.reshape(pixels.shape[0] // 28, 28, -1, 28).transpose(0, 2, 1, 3).reshape(-1, 28, 28))
        classes += [names.index(sheet.stem)] * len(images[-1])
    return np.concatenate(images), np.array(classes)


def saved(images: np.ndarray, folder: Path) -> list[str]:
    folder.mkdir()
    paths = [str(folder / f"{number:05d}.png") for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


def cifar(home: Path, data: Path, count: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the first images' paths, their true and their human labels."""
    with zipfile.ZipFile(data / "cifar10-train.zip") as archive:
        archive.extractall(home / "cifar10")
    paths = [str(home / "cifar10" / "train" / f"{number:05d}.jpg") for number in range(count)]
    labels = np.load(data / "labels.npz", allow_pickle=False)
    return paths, labels["train_true"][:count].astype(np.int64), labels["train_noisy"][:count].astype(np.int64)


def embed(paths: list[str], home: Path, name: str = "lite0", size: int = 160) -> np.ndarray:
    """Return (n, d) float32 vectors of a backbone at a size in pixels."""
    return vectors_and_thumbnails(paths, home, name, size)[0]


def vectors_and_thumbnails(
    paths: list[str], home: Path, name: str = "lite0", size: int = 160
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same and (n, 32, 32) uint8 thumbnails, which Winnow judges labels by as well."""
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.embeddings import embed_images
    from winnow.plugin.vision.preprocessing import Preprocessing

    backbone = load_backbone(name)
    preprocessing = Preprocessing(input=replace(backbone.input, size=size, mode="squash"))
    found = embed_images(paths, paths, backbone, preprocessing, cache_root=home / "cache")
    return found.vectors, found.thumbnails


def components(vectors: np.ndarray, count: int) -> np.ndarray:
    """Return (n, count) principal components, scaled as one."""
    from sklearn.decomposition import PCA

    found = PCA(count, random_state=0).fit_transform(vectors)
    return found / found.std()
