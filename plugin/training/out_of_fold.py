"""Out-of-fold fine-tuning: what networks that were trained without an image say of its class.

The images are dealt to three folds. Each fold takes a training on all the others, so three folds cost twice one
training on everything (3 x 2/3), where five would cost four times one (5 x 4/5), to give each network a fifth more
images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..curation.probe import stratified_folds
from ..errors import DataError
from ..progress import Progress, silent
from ..vision.backbones import Backbone
from ..vision.preprocessing import Preprocessing
from ..vision.torch_engine import TorchEngine
from .recipe import Recipe
from .training import LabelledImages, train

FINE_TUNING_FOLDS = 3


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What networks say of images that they were not trained on.

    Attributes:
        probabilities: (n, k) float32, calibrated; each row sums to 1. All classes alike where the image could not be
            read.
        kept: "fine-tuned" or "probe" for each fold: the better one on the images that its training set aside.
    """

    probabilities: np.ndarray
    kept: tuple[str, ...]


def fine_tuned_probabilities(
    images: LabelledImages,
    classes: Sequence[str],
    backbone: Backbone,
    preprocessing: Preprocessing,
    recipe: Recipe,
    *,
    folds: int = FINE_TUNING_FOLDS,
    progress: Progress = silent,
) -> OutOfFold:
    """Train on all folds but one, predict that one, and do so for each of them; the networks are thrown away.

    Args:
        images: n labelled images. Members of a duplicate group share a fold.
        classes: k names.
        backbone: Stays unchanged.
        preprocessing: How files become its input.
        recipe: Of each training. What it sets aside to choose and calibrate with lies within the training folds.
        folds: How many.
        progress: Told after each batch; what it raises ends the work.

    Raises:
        DataError: A fold leaves too few images or a single class to train on, or a loss diverges.
    """
    fold_of = stratified_folds(images.labels, images.groups, recipe.seed, folds)
    probabilities = np.full((len(images), len(classes)), 1 / len(classes), np.float32)
    kept = []
    for fold in range(folds):
        told = _numbered(progress, fold, folds)
        try:
            part = images[fold_of != fold]
            trained = train(part, None, classes, backbone, preprocessing, recipe, told, with_reference=False)
        except DataError as error:
            raise DataError(
                f"fine-tuning without fold {fold + 1} of {folds}: {error} Look for label issues without fine-tuning, "
                "or in more images."
            ) from error
        kept.append(trained.kept)
        held_out = np.flatnonzero(fold_of == fold)
        # Torch predicts, as exporting a network that is thrown away would leave its file in Winnow's home.
        trained.classifier.use_engine(TorchEngine(trained.classifier.network, preprocessing.input))
        predicted = trained.classifier.predict(images.paths[held_out].tolist(), recipe.batch_size, told).probabilities
        readable = np.isfinite(predicted).all(axis=1)
        probabilities[held_out[readable]] = predicted[readable]
    return OutOfFold(probabilities, tuple(kept))


def _numbered(progress: Progress, fold: int, folds: int) -> Progress:
    """Return a progress that says which fold a step belongs to."""
    return lambda step, done, total: progress(f"fold {fold + 1} of {folds}: {step}", done, total)
