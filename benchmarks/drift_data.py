"""What `benchmarks.drift` draws: vectors of real images, of the same images changed, and what probes say of them."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from scipy.special import softmax

from .label_cells import embed, fashion_images, saved

if TYPE_CHECKING:
    from winnow.plugin.training.reference import Reference

_TRAINED, _POOL, _CHANGED = 3_000, 12_000, 2_000
_FEW_TRAINED, _FEW_POOL, _FEW_CHANGED = 300, 600, 100
_NOISE = 25.0  # standard deviation, of 255


CLASSES = 10
NONE = -1  # no class is unseen


@dataclass(frozen=True, eq=False)
class Trial:
    """Two sets of images to compare, n of each, and what a classifier was trained on that predicted them."""

    reference: np.ndarray
    current: np.ndarray
    reference_probs: np.ndarray
    current_probs: np.ndarray
    trained_on: np.ndarray


@dataclass(eq=False)
class ImageSet:
    """Images that a classifier is trained on, and others to draw trials from: `same`, `different`, `shifted`, `unseen`.

    These take the number of the trial, which tells the class that they are about, and n images of each side.

    Attributes:
        trained, trained_labels: (t, d) float32 and (t,) int64.
        pool, labels: (n, d) float32 and (n,) int64.
        changed: By the name of a change, (c, d) float32 vectors of the first c images of the pool after it.
    """

    name: str
    trained: np.ndarray
    trained_labels: np.ndarray
    pool: np.ndarray
    labels: np.ndarray
    changed: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        self._probes: dict[int, Callable[[np.ndarray], np.ndarray]] = {}

    def same(self, number: int, rng: np.random.Generator, *, n: int) -> Trial:
        """Return two sets of the same source."""
        rows = rng.permutation(len(self.pool))
        return self._trial(self.pool[rows[:n]], self.pool[rows[n : 2 * n]])

    def different(self, number: int, rng: np.random.Generator, *, n: int, change: str) -> Trial:
        """Return images as they are, and other ones that were changed."""
        after = self.changed[change]
        others = len(after) + rng.permutation(len(self.pool) - len(after))
        return self._trial(self.pool[others[:n]], after[rng.permutation(len(after))[:n]])

    def shifted(self, number: int, rng: np.random.Generator, *, n: int, points: float) -> Trial:
        """Return sets in one of which one class is more frequent by so many points, the others alike."""
        own, others = self._of(number, rng)
        before = round(n / CLASSES)
        now = before + round(n * points / 100)
        reference = np.concatenate([own[:before], others[: n - before]])
        current = np.concatenate([own[before : before + now], others[n - before : 2 * n - before - now]])
        return self._trial(self.pool[reference], self.pool[current])

    def unseen(self, number: int, rng: np.random.Generator, *, n: int, share: float) -> Trial:
        """Return a reference without one class, and images of which a share has it; no classifier knows it."""
        own, others = self._of(number, rng)
        new = round(n * share)
        current = np.concatenate([others[n : 2 * n - new], own[:new]])
        return self._trial(self.pool[others[:n]], self.pool[current], number % CLASSES)

    def stored_reference(self, seed: int) -> Reference:
        """Return what is kept with a probe that was trained on half of the images, another half for each seed."""
        from winnow.plugin.training.labelled_images import LabelledImages
        from winnow.plugin.training.probes import fit_head
        from winnow.plugin.training.reference_sample import ReferenceSample
        from winnow.plugin.vision.preprocessing import Preprocessing

        rows = np.random.default_rng(seed).permutation(len(self.trained))[: len(self.trained) // 2]
        alone, no_files = np.full(len(rows), -1), np.full(len(rows), "", object)
        images = LabelledImages(no_files, self.trained_labels[rows], self.trained[rows], alone)
        head = fit_head(images.vectors, images.labels, CLASSES, groups=alone, seed=seed)
        sample = ReferenceSample(tuple(str(number) for number in range(CLASSES)), Preprocessing(), seed)
        reference = sample.of_probe(images, head)
        assert reference is not None
        return reference

    def _of(self, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of one class, another for each number, and of all others, in random order."""
        own = self.labels == number % CLASSES
        return rng.permutation(np.flatnonzero(own)), rng.permutation(np.flatnonzero(~own))

    def _trial(self, reference: np.ndarray, current: np.ndarray, without: int = NONE) -> Trial:
        if without not in self._probes:
            self._probes[without] = self._probe(without)
        probe = self._probes[without]
        return Trial(reference, current, probe(reference), probe(current), self.trained[self.trained_labels != without])

    def _probe(self, without: int) -> Callable[[np.ndarray], np.ndarray]:
        """Return what gives (n, k) probabilities of (n, d) vectors, trained without the images of one class."""
        from winnow.plugin.curation.probe import fit_probe

        rows = np.flatnonzero(self.trained_labels != without)
        known, labels = np.unique(self.trained_labels[rows], return_inverse=True)
        probe = fit_probe(self.trained[rows], labels, len(known))
        return lambda vectors: softmax(probe.logits(vectors), axis=1).astype(np.float32)


def embedded_images(home: Path) -> ImageSet:
    """Return some of the images that come with the repository."""
    pixels, labels = fashion_images()
    return _image_set("embedded", pixels, labels, (_FEW_TRAINED, _FEW_TRAINED + _FEW_POOL, _FEW_CHANGED), home)


def image_sets(home: Path, fashion: Path | None, cifar: Path | None, keep: Path | None) -> Iterator[ImageSet]:
    """Yield Fashion-MNIST and CIFAR-10, each where its folder is named; `keep`: folder to keep their vectors in."""
    for name, read, folder in (("Fashion-MNIST", _fashion, fashion), ("CIFAR-10", _cifar, cifar)):
        if folder is None:
            continue
        file = None if keep is None else keep / f"{name}.npz"
        if file is not None and file.is_file():
            yield _read(name, file)
            continue
        pixels, labels = read(folder)
        images = _image_set(name, pixels, labels, (_TRAINED, _TRAINED + _POOL, _CHANGED), home)
        if file is not None:
            _keep(images, file)
        yield images


def _image_set(name: str, pixels: np.ndarray, labels: np.ndarray, sizes: tuple[int, int, int], home: Path) -> ImageSet:
    trained, last, changed = sizes
    rows = np.random.default_rng(0).permutation(len(pixels))[:last]
    vectors = embed(saved(pixels[rows], home / name), home)
    own = pixels[rows[trained : trained + changed]]
    return ImageSet(
        name,
        vectors[:trained],
        labels[rows[:trained]].astype(np.int64),
        vectors[trained:],
        labels[rows[trained:]].astype(np.int64),
        {
            kind: embed(
                saved(np.stack([change(image, row) for row, image in enumerate(own)]), home / f"{name} {kind}"), home
            )
            for kind, change in CHANGES.items()
        },
    )


def _blurred(image: np.ndarray, row: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1)))


def _darker(image: np.ndarray, row: int) -> np.ndarray:
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(0.7))


def _flatter(image: np.ndarray, row: int) -> np.ndarray:
    return np.asarray(ImageEnhance.Contrast(Image.fromarray(image)).enhance(0.6))


def _noisy(image: np.ndarray, row: int) -> np.ndarray:
    noise = np.random.default_rng(row).normal(0, _NOISE, image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


def _compressed(image: np.ndarray, row: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=10)
    return np.asarray(Image.open(file))


CHANGES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "blur": _blurred,
    "brightness": _darker,
    "contrast": _flatter,
    "noise": _noisy,
    "JPEG quality 10": _compressed,
}


def _fashion(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels = _idx(folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    return pixels, _idx(folder / "train-labels-idx1-ubyte.gz", 8)


def _idx(path: Path, header: int) -> np.ndarray:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def _cifar(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    labels = np.load(folder / "labels.npz", allow_pickle=False)["train_true"]
    with zipfile.ZipFile(folder / "cifar10-train.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        return np.stack([np.asarray(Image.open(BytesIO(archive.read(name)))) for name in names]), labels


def _keep(images: ImageSet, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    plain = ("trained", "trained_labels", "pool", "labels")
    np.savez(file, **{name: getattr(images, name) for name in plain}, **images.changed)


def _read(name: str, file: Path) -> ImageSet:
    kept = dict(np.load(file, allow_pickle=False))
    plain = [kept.pop(part) for part in ("trained", "trained_labels", "pool", "labels")]
    return ImageSet(name, *plain, changed=kept)
