"""Chooses the images of a classifier's reference, and has its network look at them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, softmax

from ..progress import Progress, silent
from ..vision.engines import Engine
from ..vision.pipeline import run_images
from ..vision.preprocessing import Preprocessing
from ..vision.regions import regions_of
from ..vision.statistics import STATISTICS, image_statistics
from .labelled_images import LabelledImages
from .probes import LinearHead
from .reading import ImageReader
from .reference import MOST_IMAGES, MOST_TRAINING_IMAGES, Layers, Reference

_MEASURED = 300
_TOLD_EVERY = 256
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class ReferenceSample:
    """Makes the reference of one classifier.

    Attributes:
        classes: k names.
        preprocessing: How files become its input.
        seed: Of which images are taken.
    """

    classes: tuple[str, ...]
    preprocessing: Preprocessing
    seed: int

    def of_probe(
        self, images: LabelledImages, head: LinearHead, adjustment: np.ndarray | float = 0, progress: Progress = silent
    ) -> Reference | None:
        """Return the reference of a linear layer on vectors that know nothing of the images.

        Args:
            images: n images that the layer was trained on.
            head: That layer, with what those say which were fitted without a fold of the images.
            adjustment: (k,). Taken from all logits.
            progress: Told along the way.

        Returns:
            The reference; None where no image can be kept.
        """
        rows = head.held_out_rows
        chosen = self._sampled(len(rows), MOST_IMAGES)
        others = np.setdiff1d(np.arange(len(images)), rows[chosen])
        if len(others) <= len(chosen):  # the reference itself says more of what is known
            others = others[:0]
        training_vectors = images.vectors[others[self._sampled(len(others), MOST_TRAINING_IMAGES)]]
        layers = Layers(
            head.held_out_folds[chosen].astype(np.int64),
            head.fold_weights.astype(np.float32),
            (head.fold_bias - adjustment).astype(np.float32),
        )
        logits = head.held_out[chosen] - adjustment
        return self._made(images[rows[chosen]], logits, training_vectors, layers, progress)

    def of_network(
        self,
        engine: Engine,
        images: LabelledImages,
        logits: np.ndarray,
        seen: LabelledImages,
        progress: Progress = silent,
    ) -> Reference | None:
        """Return the reference of a network that was trained as a whole.

        Args:
            engine: Runs its backbone.
            images: m images that it was not trained on; the vectors that they come with are another network's.
            logits: (m, k). What it says of them.
            seen: Images that it was trained on.
            progress: Told along the way.

        Returns:
            The reference; None where no image can be kept.
        """
        chosen = self._sampled(len(images), MOST_IMAGES)
        judged, learnt = images[chosen], seen[self._sampled(len(seen), MOST_TRAINING_IMAGES)]
        looked_at = replace(judged, vectors=self._features(engine, judged, progress))
        return self._made(looked_at, logits[chosen], self._features(engine, learnt, progress), None, progress)

    def _made(
        self,
        images: LabelledImages,
        logits: np.ndarray,
        training_vectors: np.ndarray,
        layers: Layers | None,
        progress: Progress,
    ) -> Reference | None:
        usable = np.flatnonzero(_fit_half_precision(images.vectors) & np.isfinite(logits).all(axis=1))
        if not len(usable):
            return None
        images, logits = images[usable], logits[usable]
        return Reference(
            vectors=images.vectors.astype(np.float16),
            probabilities=(expit(logits) if images.multilabel else softmax(logits, axis=1)).astype(np.float32),
            labels=images.labels.astype(np.float32 if images.multilabel else np.int64),
            statistics=self._statistics(images, progress),
            statistic_names=STATISTICS,
            training_vectors=training_vectors[_fit_half_precision(training_vectors)].astype(np.float16),
            classes=self.classes,
            layers=None if layers is None else replace(layers, of_row=layers.of_row[usable]),
        )

    def _statistics(self, images: LabelledImages, progress: Progress) -> np.ndarray:
        """Return (m, s) float32, of 300 images at most: to decode a large photo whole takes a tenth of a second."""
        statistics = np.full((len(images), len(STATISTICS)), np.nan, np.float32)
        rows = self._sampled(len(images), _MEASURED)
        for start in range(0, len(rows), _TOLD_EVERY):
            progress("reference", start, len(rows))
            part = rows[start : start + _TOLD_EVERY]
            boxes = None if images.boxes is None else images.boxes[part]
            statistics[part] = image_statistics(images.paths[part], self.preprocessing, boxes)
        return statistics

    def _features(self, engine: Engine, images: LabelledImages, progress: Progress) -> np.ndarray:
        """Return (n, d) float32, NaN where an image cannot be read."""
        found: list[np.ndarray | None] = []
        reader = ImageReader(self.preprocessing)
        regions = regions_of(images.paths, images.boxes)
        for _, output in run_images(regions, reader, engine, apart=reader.apart):
            found.append(output)
            if len(found) % _TOLD_EVERY == 0:
                progress("reference", len(found), len(images))
        width = next((len(output) for output in found if output is not None), 1)
        unread = np.full(width, np.nan, np.float32)
        rows = [unread if output is None else output for output in found]
        return np.array(rows, np.float32).reshape(len(images), width)

    def _sampled(self, count: int, most: int) -> np.ndarray:
        """Return at most so many of `count` rows, ascending.

        They are drawn alike, so that they are spread as all are; chosen for variety, rare images would look common.
        """
        if count <= most:
            return np.arange(count)
        return np.sort(np.random.default_rng(self.seed).choice(count, most, replace=False))


def _fit_half_precision(vectors: np.ndarray) -> np.ndarray:
    """Return (n,) bool: which vectors are finite, and stay so as float16."""
    return np.isfinite(vectors).all(axis=1) & (np.abs(np.nan_to_num(vectors)).max(axis=1, initial=0) <= _LARGEST)
