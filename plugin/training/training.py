"""Train a classifier: a linear probe on the embeddings, then, where the recipe asks for it, the backbone from there.

The fine-tuned network has to earn its place: it is kept only where it beats the probe on validation images that neither
was trained on.
"""

from __future__ import annotations

import copy
import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from ..curation.probe import Probe, fit_probe, fit_temperature, stratified_folds
from ..errors import DataError
from ..progress import Progress, silent
from ..vision.backbones import Backbone
from ..vision.preprocessing import Preprocessing
from ..vision.torch_engine import TorchEngine
from .classifier import Classifier
from .network import ClassifierNetwork
from .recipe import Recipe
from .trainer import fine_tune


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images to train or validate on.

    Attributes:
        paths: (n,) object.
        labels: (n,) int64 in [0, k).
        vectors: (n, d) float32. Their embeddings, from the backbone and preprocessing that is trained.
        groups: (n,) int64. Duplicates of each other share a number >= 0.
    """

    paths: np.ndarray
    labels: np.ndarray
    vectors: np.ndarray
    groups: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> LabelledImages:
        """Return the images at these rows (numbers or a mask)."""
        return LabelledImages(self.paths[rows], self.labels[rows], self.vectors[rows], self.groups[rows])

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Trained:
    """The outcome of `train`.

    Attributes:
        classifier: Ready to predict and to save; its temperature is fitted on images it was not trained on.
        kept: "probe" or "fine-tuned".
        validation_accuracy: Of each candidate, on the validation images; the probe preset uses its out-of-fold scores.
    """

    classifier: Classifier
    kept: str
    validation_accuracy: dict[str, float]


def train(
    images: LabelledImages,
    validation: LabelledImages | None,
    classes: Sequence[str],
    backbone: Backbone,
    preprocessing: Preprocessing,
    recipe: Recipe,
    progress: Progress = silent,
) -> Trained:
    """Train a classifier.

    Args:
        images: To train on.
        validation: To choose and calibrate with; None = a part of `images`, by duplicate groups.
        classes: k names.
        backbone: Stays unchanged.
        preprocessing: How files become its input.
        recipe: What to do.
        progress: Told along the way.

    Raises:
        DataError: Fewer than two classes, too few images, or a loss that diverges.
    """
    if recipe.epochs == 0:
        probe = fit_probe(
            images.vectors, images.labels, len(classes), groups=images.groups, seed=recipe.seed, progress=progress
        )
        predicted = probe.held_out_logits(images.vectors).argmax(axis=1)
        accuracy = {"probe": float((predicted == images.labels).mean())}
        network = _with_probe(backbone, probe, classes)
        return _trained(network, "probe", accuracy, images, classes, backbone, preprocessing, recipe)

    fitting = images
    if validation is None or not len(validation):
        folds = stratified_folds(images.labels, images.groups, recipe.seed, round(1 / recipe.validation_share))
        fitting, validation = images[folds != 0], images[folds == 0]
    if not len(validation):
        raise DataError("too few images to set any aside for validation; train with preset 'probe'.")
    probe = fit_probe(
        fitting.vectors, fitting.labels, len(classes), groups=fitting.groups, seed=recipe.seed, progress=progress
    )
    tuned = _with_probe(backbone, probe, classes)
    fine_tune(tuned, fitting.paths.tolist(), fitting.labels, preprocessing, recipe, progress)

    judge = Classifier(tuned, backbone.architecture, backbone.width, tuple(classes), preprocessing)
    judge.use_engine(TorchEngine(tuned, preprocessing.input))
    predicted = judge.predict(validation.paths.tolist(), progress=progress).probabilities
    readable = np.isfinite(predicted).all(axis=1)
    truth, predicted = validation.labels[readable], predicted[readable]
    probe_logits = probe.logits(validation.vectors[readable])
    accuracy = {
        "probe": float((probe_logits.argmax(axis=1) == truth).mean()),
        "fine-tuned": float((predicted.argmax(axis=1) == truth).mean()),
    }
    if accuracy["fine-tuned"] >= accuracy["probe"]:
        factor, _ = fit_temperature(np.log(np.maximum(predicted.astype(np.float64), 1e-12)), truth)
        tuned.scale_logits(factor)
        return _trained(tuned, "fine-tuned", accuracy, fitting, classes, backbone, preprocessing, recipe)
    probe = fit_probe(
        images.vectors, images.labels, len(classes), groups=images.groups, seed=recipe.seed, progress=progress
    )
    network = _with_probe(backbone, probe, classes)
    return _trained(network, "probe", accuracy, images, classes, backbone, preprocessing, recipe)


def _with_probe(backbone: Backbone, probe: Probe, classes: Sequence[str]) -> ClassifierNetwork:
    network = ClassifierNetwork(copy.deepcopy(backbone.network), backbone.width, len(classes)).eval()
    network.set_head(probe.weights, probe.bias)
    return network


def _trained(
    network: ClassifierNetwork,
    kept: str,
    accuracy: dict[str, float],
    images: LabelledImages,
    classes: Sequence[str],
    backbone: Backbone,
    preprocessing: Preprocessing,
    recipe: Recipe,
) -> Trained:
    details: dict[str, Any] = {
        "recipe": recipe.to_dict(),
        "kept": kept,
        "validation_accuracy": accuracy,
        "training_images": len(images),
        "training_fingerprint": _fingerprint(images, classes),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "timm", "pillow", "numpy")},
        },
    }
    classifier = Classifier(
        network, backbone.architecture, backbone.width, tuple(classes), preprocessing, details=details
    )
    return Trained(classifier, kept, accuracy)


def _fingerprint(images: LabelledImages, classes: Sequence[str]) -> str:
    """Hash what was trained on: each image's embedding and its class, whatever the order."""
    rows = sorted(
        hashlib.sha256(vector.tobytes() + classes[label].encode()).digest()
        for vector, label in zip(images.vectors, images.labels, strict=True)
    )
    return hashlib.sha256(b"".join(rows)).hexdigest()[:16]
