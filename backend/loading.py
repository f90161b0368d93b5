"""A classifier folder made ready to answer at once."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from .hosting import HostedClassifier


def load_warm(directory: Path, *, vectors: bool = False) -> HostedClassifier:
    """Load a classifier and make its first prediction, which builds the engine: no annotator should wait for that.

    Args:
        directory: The Classifier folder.
        vectors: Have its predictions bring the images' features, to be remembered.

    Raises:
        ClassifierError: No classifier there, or a damaged one.
    """
    # imported in the loading thread: torch takes seconds, and the server should answer at once
    from ..plugin.training.classifier import load_classifier

    classifier = load_classifier(directory)
    if vectors:
        classifier = classifier.with_vectors()
    image = BytesIO()
    Image.new("RGB", (8, 8)).save(image, "PNG")
    classifier.predict([image])
    return classifier
