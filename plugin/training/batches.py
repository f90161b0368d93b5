"""The images of a run, batch by batch: which ones an epoch sees, in what order, and their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch

from ..vision.preprocessing import Preprocessing
from ..vision.readers import read_ahead
from ..vision.regions import regions_of
from .reading import ImageReader
from .recipe import Recipe

_AHEAD = 3  # batches that are read before they are needed


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a network is fine-tuned on.

    Attributes:
        paths: (n,) object.
        targets: (n, k) float32. Shares of classes that sum to 1 or, with several labels an image, 1, 0 and NaN for
            present, absent and not annotated.
        weights: (n,) float32. How much each image counts; 1 is usual.
        multilabel: Which of the two kinds of targets.
        boxes: (n, 4) float64: what to look at in each file, see `vision.boxes`; None = the whole image.
        lacking: (k,) bool. Classes of an earlier classifier that no image shows; None = there are none.
    """

    paths: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    multilabel: bool = False
    boxes: np.ndarray | None = None
    lacking: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def counts(self) -> np.ndarray:
        """Return (k,) float32 weights of each class, or (2, k): of those that have it, and of those that lack it.

        A class that no image shows counts as often as the others do on average: it is not known to be rare.
        """
        has = [self.targets == 1, self.targets == 0] if self.multilabel else [self.targets]
        counts = np.stack([self.weights @ each for each in has]).astype(np.float32)
        if self.lacking is not None and not self.lacking.all():
            counts[:, self.lacking] = counts[:, ~self.lacking].mean(axis=1, keepdims=True)
        return counts if self.multilabel else counts[0]


@dataclass(frozen=True, eq=False)
class Batch:
    """The part of a batch that one process works on.

    Attributes:
        epoch: Counted from 0.
        number: Of the batch within the epoch, from 0.
        images: (b, h, w, 3) uint8.
        targets: (b, k) float32.
        weights: (b,) float32; 0 for the blank image that stands where none of the part could be read.
    """

    epoch: int
    number: int
    images: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


def batches_an_epoch(images: int, recipe: Recipe) -> int:
    """Return how many batches an epoch has; the last one may be short."""
    return -(-images // recipe.batch_size)


def epoch_order(data: TrainingSet, recipe: Recipe, epoch: int) -> np.ndarray:
    """Return (n,) row numbers in the order of an epoch, which seed and epoch alone decide.

    Balanced sampling draws rows so that classes come equally often; with several labels an image, an image is drawn
    for the rarest class that it has.
    """
    rng = np.random.default_rng([recipe.seed, epoch])
    if recipe.sampling == "natural":
        return rng.permutation(len(data))
    has = np.nan_to_num(data.targets) >= 0.5
    frequency = np.maximum(has.sum(axis=0), 1)
    rarest = np.where(has, frequency, len(data)).min(axis=1)  # an image without a class counts as usual
    return rng.choice(len(data), len(data), p=(1 / rarest) / (1 / rarest).sum())


def read_batches(
    data: TrainingSet,
    preprocessing: Preprocessing,
    recipe: Recipe,
    *,
    start: int,
    rank: int = 0,
    processes: int = 1,
    on_gpu: bool = False,
) -> Iterator[Batch]:
    """Yield all batches of a run from number `start` on, while threads or processes read the next ones.

    An image that cannot be read is passed over: it is gone or damaged since its embedding was made.

    Args:
        data: All images.
        preprocessing: How a file becomes pixels.
        recipe: Epochs, batch size, sampling, seed.
        start: Batches of the whole run that are done already.
        rank: Of this process, which gets every `processes`-th image of each batch.
        processes: How many share each batch.
        on_gpu: Whether a GPU learns from them: the images then lie in pinned memory.
    """
    per_epoch = batches_an_epoch(len(data), recipe)
    size = preprocessing.input.size

    reader = ImageReader(preprocessing)

    def parts() -> Iterator[tuple[int, int, np.ndarray]]:
        for epoch in range(start // per_epoch, recipe.epochs):
            order = epoch_order(data, recipe, epoch)
            first = start % per_epoch if epoch == start // per_epoch else 0
            for number in range(first, per_epoch):
                whole = order[number * recipe.batch_size : (number + 1) * recipe.batch_size]
                yield epoch, number, whole[rank::processes]

    regions = regions_of(data.paths, data.boxes, (int(row) for *_, rows in parts() for row in rows))
    window = _AHEAD * recipe.batch_size
    read = read_ahead(regions, reader, on_gpu=on_gpu, window=window, apart=reader.apart)
    images = chain.from_iterable(read)
    for epoch, number, rows in parts():
        kept: list[int] = []
        room = torch.empty((len(rows), size, size, 3), dtype=torch.uint8, pin_memory=on_gpu)
        pixels = room.numpy()
        for row, image in zip(rows, images, strict=False):
            if image.pixels is not None:
                pixels[len(kept)] = image.pixels  # at once: its memory is used again
                kept.append(row)
        if not kept:
            blank, nothing = np.zeros((1, size, size, 3), np.uint8), np.zeros((1, data.targets.shape[1]), np.float32)
            yield Batch(epoch, number, torch.from_numpy(blank), torch.from_numpy(nothing), torch.zeros(1))
            continue
        yield Batch(
            epoch, number, room[: len(kept)], torch.from_numpy(data.targets[kept]), torch.from_numpy(data.weights[kept])
        )
