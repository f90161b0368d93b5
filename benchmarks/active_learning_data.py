"""What `benchmarks.active_learning` labels: vectors of real images, pools drawn from them, and a probe on top."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import expit, softmax

from .label_cells import fashion_images, saved

_SIZE = 160
_WIDTH = 256
_CLASSES = 10
_FEWEST = 10  # labels that a probe can be fitted on
_MOSAICS, _TEST_MOSAICS, _TILES_A_SIDE, _MOST_KINDS = 4_000, 1_000, 2, 3

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of a training and a test part, the training part first.

    Attributes:
        vectors: (n, d) float32.
        labels: (n,) int64; or (n, k) float32 of several labels an image.
        trained: Number of images of the training part.
        pixels: (n, h, w) uint8, where mosaics can be made of them.
    """

    name: str
    vectors: np.ndarray
    labels: np.ndarray
    trained: int
    pixels: np.ndarray | None = None

    def drawn(self, half: int, seed: int, pool: int, rarer: int = 1) -> World:
        """Return a pool drawn from every other training image, and every other test image.

        Args:
            half: 0 or 1: which of the two halves.
            seed: Of the draw.
            pool: Images of the pool at most.
            rarer: Half of the classes, another half for each seed, are so many times rarer in the pool.
        """
        rng = np.random.default_rng([half, seed])
        train, test = np.arange(half, self.trained, 2), np.arange(self.trained + half, len(self.vectors), 2)
        rare = np.sort(rng.permutation(_CLASSES)[: _CLASSES // 2])
        if rarer > 1:
            kept = ~np.isin(self.labels[train], rare) | (rng.random(len(train)) < 1 / rarer)
            train = train[kept]
        train = rng.permutation(train)[:pool]
        return World(self.vectors[train], self.labels[train], self.vectors[test], self.labels[test], rare)


@dataclass(frozen=True, eq=False)
class World:
    """A pool whose labels are revealed on demand, and test images; `rare`: the classes that may be rarer."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    rare: np.ndarray

    def fit(self, rows: np.ndarray, seed: int) -> Predict:
        """Fit a probe on some of the pool."""
        from winnow.plugin.curation.probe import fit_probe
        from winnow.plugin.training.probes import fit_head

        vectors, labels = self.train[rows], self.train_labels[rows]
        if labels.ndim == 2:
            head = fit_head(vectors, labels, labels.shape[1], groups=np.full(len(rows), -1), seed=seed)
            return lambda asked: expit(head.logits(asked)).astype(np.float32)
        if len(rows) < _FEWEST or len(np.unique(labels)) < 2:
            always = np.eye(_CLASSES, dtype=np.float32)[np.bincount(labels).argmax()]
            return lambda asked: np.tile(always, (len(asked), 1))
        probe = fit_probe(vectors, labels, _CLASSES, seed=seed)
        return lambda asked: softmax(probe.logits(asked), axis=1).astype(np.float32)

    def score(self, predict: Predict) -> np.ndarray:
        """Return (2,): accuracy and mean recall of the `rare` classes; of several labels, mean average precision twice.

        Measured on all test images.
        """
        found = predict(self.test)
        if self.test_labels.ndim == 2:
            from sklearn.metrics import average_precision_score

            return np.repeat(average_precision_score(self.test_labels, found, average="macro"), 2)
        right = found.argmax(axis=1) == self.test_labels
        return np.array([right.mean(), np.mean([right[self.test_labels == label].mean() for label in self.rare])])


def embedded_images(home: Path) -> ImageSet:
    """Return the few images that come with the repository."""
    pixels, classes = fashion_images()
    rows = np.random.default_rng(0).permutation(len(pixels))[:480]
    vectors = _embed(saved(pixels[rows], home / "few"), home)
    return ImageSet("embedded", _cut_to(vectors, 360), classes[rows].astype(np.int64), 360, pixels[rows])


def image_sets(home: Path, fashion: Path | None, cifar: Path | None, keep: Path | None) -> Iterator[ImageSet]:
    """Yield Fashion-MNIST and CIFAR-10, each where its folder is named."""
    kept = dict(np.load(keep, allow_pickle=False)) if keep is not None and keep.is_file() else {}
    if fashion is not None:
        pixels = np.concatenate([_idx(fashion / f"{side}-images-idx3-ubyte.gz", 16) for side in ("train", "t10k")])
        labels = np.concatenate([_idx(fashion / f"{side}-labels-idx1-ubyte.gz", 8) for side in ("train", "t10k")])
        pixels = pixels.reshape(-1, 28, 28)
        if "fashion" not in kept:
            kept["fashion"] = _cut_to(_embed(saved(pixels, home / "fashion"), home), 60_000)
        yield ImageSet("Fashion-MNIST", kept["fashion"], labels.astype(np.int64), 60_000, pixels)
    if cifar is not None:
        given = np.load(cifar / "labels.npz", allow_pickle=False)
        if "cifar" not in kept:
            paths = [path for side in ("train", "test") for path in _unpacked(cifar / f"cifar10-{side}.zip", home)]
            kept["cifar"] = _cut_to(_embed(paths, home), 50_000)
        labels = np.concatenate([given["train_true"], given["test_given"]]).astype(np.int64)
        yield ImageSet("CIFAR-10", kept["cifar"], labels, 50_000)
    if keep is not None:
        np.savez(keep, **kept)


def mosaic_set(images: ImageSet, home: Path) -> ImageSet:
    """Return images of four tiles that show one to three classes each, from the images of a set."""
    pixels = images.pixels
    if pixels is None:
        raise ValueError(f"{images.name} has no pixels to make mosaics of")
    rng = np.random.default_rng(0)
    few = len(images.vectors) < _MOSAICS
    sizes = (160, 40) if few else (_MOSAICS, _TEST_MOSAICS)
    sheets, labels = [], np.zeros((sum(sizes), _CLASSES), np.float32)
    for number in range(sum(sizes)):
        part = np.arange(images.trained) if number < sizes[0] else np.arange(images.trained, len(images.labels))
        part = part[number % 2 :: 2]  # the halves share no tile
        kinds = rng.choice(_CLASSES, rng.integers(1, _MOST_KINDS + 1), replace=False)
        shown = kinds[np.arange(_TILES_A_SIDE**2) % len(kinds)]
        tiles = [pixels[rng.choice(part[images.labels[part] == kind])] for kind in shown]
        sheets.append(np.block([tiles[:2], tiles[2:]]))
        labels[number, kinds] = 1
    vectors = _embed(saved(np.array(sheets), home / f"mosaics of {images.name}"), home)
    return ImageSet(f"mosaics of {images.name}", _cut_to(vectors, sizes[0]), labels, sizes[0])


def _embed(paths: list[str], home: Path) -> np.ndarray:
    from winnow.plugin.vision.backbones import load_backbone
    from winnow.plugin.vision.embeddings import embed_images
    from winnow.plugin.vision.preprocessing import Preprocessing

    backbone = load_backbone()
    preprocessing = Preprocessing(input=replace(backbone.input, size=_SIZE, mode="squash"))
    files = np.array(paths, object)
    return embed_images(files, files, backbone, preprocessing, thumbnails=False, cache_root=home / "cache").vectors


def _cut_to(vectors: np.ndarray, trained: int, width: int = _WIDTH) -> np.ndarray:
    """Return (n, width) vectors in the main directions of the training part, rotated at random.

    Rotated, since a probe standardises its columns: the last directions would count as much as the first ones.
    """
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = unit - unit[:trained].mean(axis=0)
    width = min(width, trained, vectors.shape[1])
    directions = np.linalg.eigh(np.cov(centred[:trained], rowvar=False))[1][:, ::-1][:, :width]
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))[0]
    return np.asarray(centred @ (directions @ rotation).astype(np.float32), np.float32)


def _idx(path: Path, header: int) -> np.ndarray:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def _unpacked(archive: Path, home: Path) -> list[str]:
    target = home / archive.stem
    with zipfile.ZipFile(archive) as file:
        file.extractall(target)
    return sorted(str(path) for path in target.rglob("*.jpg"))
