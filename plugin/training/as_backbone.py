"""A trained classifier without its last layer, as a backbone: what it learnt about the classes shapes its vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..vision.backbones import Backbone, hash_weights, load_backbone
from .classifier_files import DESCRIPTION
from .earlier import EarlierHead

if TYPE_CHECKING:
    from .classifier import Classifier


def is_classifier(name: str) -> bool:
    """Tell whether the name is the folder of a classifier."""
    return (Path(name) / DESCRIPTION).is_file()


def backbone_of(name: str) -> Backbone:
    """Load a backbone by name; the folder of a classifier is one too, with the input that it was trained with.

    Raises:
        ClassifierError, MissingPartError: See `vision.backbones.load_backbone` and `classifier.load_classifier`.
    """
    if not is_classifier(name):
        return load_backbone(name)
    from .classifier import load_classifier  # late: it loads torch, for which a form should not wait

    return as_backbone(load_classifier(Path(name)), name)


def as_backbone(classifier: Classifier, name: str) -> Backbone:
    """Return the backbone of a classifier, known by the name of its folder."""
    network = classifier.network.backbone
    return Backbone(
        name=name,
        architecture=classifier.architecture,
        network=network,
        weights_hash=hash_weights(network),
        width=classifier.width,
        input=classifier.preprocessing.input,
        resizable=False,
    )


def earlier_head(name: str) -> EarlierHead | None:
    """Return what a classifier's last layer knows, None where the name is no classifier's folder."""
    if not is_classifier(name):
        return None
    from .classifier import load_classifier

    return EarlierHead.of(load_classifier(Path(name)))
