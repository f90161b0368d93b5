"""A classifier as a folder: `model.safetensors` and `classifier.json`. Never a pickle.

What is loaded predicts exactly as what was saved: the folder holds classes, preprocessing, backbone and weights, and
its `version` is a hash of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from scipy.special import expit, log_softmax
from torch import nn

from ..errors import ClassifierError, UnreadableImageError
from ..failures import Failure
from ..progress import Progress, silent
from ..vision.backbones import Backbone, hash_weights
from ..vision.engines import Engine, engine_for
from ..vision.pipeline import run_images
from ..vision.preprocessing import Preprocessing
from ..vision.readers import Apart
from ..vision.regions import Prepared, Region
from .classifier_files import DESCRIPTION, EXPORTED, LOGS, REFERENCE, WEIGHTS
from .network import ClassifierNetwork, LogitsAndFeature, create_classifier_network
from .reading import ImageReader
from .reference import Reference

Item = TypeVar("Item")

_FORMAT = 1
_CACHED = "classifier"  # in names of engines, and of spaces of the cache


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a classifier says of n images.

    Attributes:
        probabilities: (n, k) float32; each row sums to 1 (single-label) or holds independent probabilities
            (multi-label). NaN where the image could not be read.
        failures: The images that could not be read; `id` is the row number as a string.
        vectors: (n, d) float32. The backbone's features, not normalised, of a classifier `with_vectors`; NaN where the
            image could not be read. None = not asked for.
    """

    probabilities: np.ndarray
    failures: list[Failure]
    vectors: np.ndarray | None = None


@dataclass(eq=False)
class Classifier:
    """A trained network with all that it needs to judge an image file.

    Attributes:
        network: (n, 3, h, w) float32, normalised -> (n, k) logits, calibrated.
        architecture: timm's name of the backbone.
        width: d, the length of the backbone's feature.
        classes: Names in the order of the outputs.
        preprocessing: How a file becomes the network's input.
        multilabel: Outputs are independent (sigmoid) instead of exclusive (softmax).
        thresholds: k probabilities from which each class is decided for (see `calibration.decide`), or None.
        details: What a reader may want to know: recipe, metrics, fingerprint of the training data, versions.
    """

    network: ClassifierNetwork
    architecture: str
    width: int
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    multilabel: bool = False
    thresholds: tuple[float, ...] | None = None
    details: dict[str, Any] = field(default_factory=dict)
    _engine: Engine | None = field(default=None, repr=False)
    _gives_vectors: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if self.thresholds is not None:
            self.thresholds = tuple(float(threshold) for threshold in self.thresholds)
            if len(self.thresholds) != len(self.classes):
                raise ValueError(f"{len(self.thresholds)} thresholds, but {len(self.classes)} classes")

    @cached_property
    def version(self) -> str:
        """What predictions carry everywhere: a hash of all that decides them, which no longer changes."""
        if self.thresholds is None:
            return self._outputs_version
        return hashlib.sha256((self._outputs_version + json.dumps(self.thresholds)).encode()).hexdigest()[:12]

    @cached_property
    def _outputs_version(self) -> str:
        """What the probabilities depend on, and an engine with them: all but the thresholds."""
        parts = [hash_weights(self.network), *self.classes, json.dumps(self.preprocessing.to_dict(), sort_keys=True)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    @property
    def concurrent(self) -> bool:
        """Whether threads may predict at the same time, each on a core of its own; else one caller at a time."""
        return self._ready_engine().concurrent

    @property
    def engine_network(self) -> nn.Module:
        """What an engine runs: (n, 3, h, w) float32, normalised -> (n, k) logits, with vectors (n, k + d)."""
        return LogitsAndFeature(self.network) if self._gives_vectors else self.network

    def use_engine(self, engine: Engine) -> None:
        """Predict with this engine of `engine_network` instead of the machine's fastest, which takes time to make."""
        self._engine = engine

    def with_vectors(self) -> Classifier:
        """Return the same classifier, of the same version, whose predictions bring the vectors of the same pass."""
        return replace(self, _engine=None, _gives_vectors=True)

    def as_backbone(self) -> Backbone:
        """Return the whole network, calibrated logits being its vectors: they are cached by content like any others."""
        return Backbone(
            name=f"{_CACHED}-{self.architecture}",
            architecture=_CACHED,
            network=self.network,
            weights_hash=self._outputs_version,
            width=len(self.classes),
            input=self.preprocessing.input,
            resizable=False,
            thumbnails=False,
        )

    def predict(
        self,
        images: Sequence[str | Path | BinaryIO],
        batch_size: int = 32,
        progress: Progress = silent,
    ) -> Predictions:
        """Return the class probabilities of image files; one that cannot be read costs only its own row."""
        outputs, failures = self._all_outputs(images, batch_size, progress)
        k = len(self.classes)
        return Predictions(
            self.probabilities(outputs[:, :k]), failures, outputs[:, k:].copy() if self._gives_vectors else None
        )

    def logits(
        self,
        images: Sequence[str | Path | BinaryIO],
        batch_size: int = 32,
        progress: Progress = silent,
    ) -> tuple[np.ndarray, list[Failure]]:
        """Return (n, k) float32 calibrated logits, NaN where an image could not be read, and those images."""
        outputs, failures = self._all_outputs(images, batch_size, progress)
        return outputs[:, : len(self.classes)], failures

    def run(
        self,
        items: Iterable[Item],
        read: Callable[[Item], Prepared],
        batch_size: int = 32,
        *,
        apart: Apart | None = None,
    ) -> Iterator[tuple[Prepared, np.ndarray | None]]:
        """Yield what `read` made of each item, with its (k,) float32 calibrated logits; see `pipeline.run_images`."""
        for prepared, output in run_images(items, read, self._ready_engine(), batch_size, apart=apart):
            yield prepared, None if output is None else output[: len(self.classes)]

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return (n, k) probabilities of (n, k) logits: rows that sum to 1, or with several labels each by itself."""
        return expit(logits) if self.multilabel else np.exp(log_softmax(logits, axis=1))

    def _all_outputs(
        self, images: Sequence[str | Path | BinaryIO], batch_size: int, progress: Progress
    ) -> tuple[np.ndarray, list[Failure]]:
        """Return the (n, k) or (n, k + d) float32 outputs, NaN where an image could not be read, and those images."""
        outputs = np.full((len(images), len(self.classes) + self.width * self._gives_vectors), np.nan, np.float32)
        failures: list[Failure] = []
        for row, (read, output) in enumerate(self._run_sources(images, batch_size)):
            if output is None:
                failures.append(Failure(str(row), _name(images[row]), read.reason))
            else:
                outputs[row] = output
            if (row + 1) % batch_size == 0 or row + 1 == len(images):
                progress("predictions", row + 1, len(images))
        return outputs, failures

    def _run_sources(
        self, images: Sequence[str | Path | BinaryIO], batch_size: int
    ) -> Iterator[tuple[Prepared, np.ndarray | None]]:
        if not all(isinstance(image, (str, Path)) for image in images):  # an open file is nothing to hand on
            return run_images(images, self._read, self._ready_engine(), batch_size)
        reader = ImageReader(self.preprocessing)
        regions = (Region(str(image)) for image in images)
        return run_images(regions, reader, self._ready_engine(), batch_size, apart=reader.apart)

    def _ready_engine(self) -> Engine:
        if self._engine is None:
            kind = f"{_CACHED}-vectors" if self._gives_vectors else _CACHED
            key = f"{kind}-{self._outputs_version}"
            self._engine = engine_for(self.engine_network, self.preprocessing.input, key)
        return self._engine

    def _read(self, source: str | Path | BinaryIO) -> Prepared:
        try:
            return Prepared(self.preprocessing(source))
        except UnreadableImageError as error:
            return Prepared(reason=error.reason)


def check_folder(directory: Path) -> None:
    """Make the folder, and make sure that a classifier may be written there: to be called before the work.

    Raises:
        ClassifierError: It cannot be made, or holds something else than a classifier.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        others = [entry.name for entry in directory.iterdir() if entry.name != LOGS]
        if others and not (directory / DESCRIPTION).exists():
            raise ClassifierError(f"'{directory}' holds other files; choose an empty or new folder for the classifier.")
    except OSError as cause:
        raise ClassifierError(f"cannot write the classifier to '{directory}': {cause}") from cause


def save_classifier(classifier: Classifier, directory: Path, reference: Reference | None = None) -> Path:
    """Write the folder, each file whole or not at all; an earlier classifier in it is replaced.

    Args:
        classifier: To be saved.
        directory: The folder.
        reference: What its images looked like; its version does not depend on it.

    Raises:
        ClassifierError: The folder cannot be written, or holds something else.
    """
    directory = Path(directory)
    description = {
        "format": _FORMAT,
        "version": classifier.version,
        "classes": list(classifier.classes),
        "multilabel": classifier.multilabel,
        "architecture": classifier.architecture,
        "width": classifier.width,
        "preprocessing": classifier.preprocessing.to_dict(),
        **({} if classifier.thresholds is None else {"thresholds": list(classifier.thresholds)}),
        **classifier.details,
    }
    check_folder(directory)
    try:
        with tempfile.TemporaryDirectory(dir=directory) as temporary:
            tensors = {key: tensor.contiguous() for key, tensor in classifier.network.state_dict().items()}
            save_file(tensors, Path(temporary) / WEIGHTS)
            text = json.dumps(description, indent=2, ensure_ascii=False)
            (Path(temporary) / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
            for name in (EXPORTED, REFERENCE):  # an earlier classifier's would pass for this one's
                (directory / name).unlink(missing_ok=True)
            for name in (WEIGHTS, DESCRIPTION):
                os.replace(Path(temporary) / name, directory / name)
        if reference is not None:
            reference.save(directory)
    except OSError as cause:
        raise ClassifierError(f"cannot write the classifier to '{directory}': {cause}") from cause
    return directory


def load_classifier(directory: Path) -> Classifier:
    """Read a classifier folder.

    Raises:
        ClassifierError: No classifier there, a damaged one, or one of a later format.
    """
    directory = Path(directory)
    for name in (DESCRIPTION, WEIGHTS):
        if not (directory / name).exists():
            raise ClassifierError(f"no classifier in '{directory}': {name} is missing. `winnow train` makes one.")
    try:
        description = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))
        tensors = load_file(directory / WEIGHTS)
        if description["format"] > _FORMAT:
            raise ClassifierError(f"'{directory}' was written by a later version of Winnow; upgrade to read it.")
        classes = tuple(description["classes"])
        network = create_classifier_network(description["architecture"], description["width"], len(classes))
        network.load_state_dict(tensors)
        known = {"format", "version", "classes", "multilabel", "architecture", "width", "preprocessing", "thresholds"}
        thresholds = description.get("thresholds")
        classifier = Classifier(
            network=network,
            architecture=description["architecture"],
            width=description["width"],
            classes=classes,
            preprocessing=Preprocessing.from_dict(description["preprocessing"]),
            multilabel=description["multilabel"],
            thresholds=None if thresholds is None else tuple(thresholds),
            details={key: value for key, value in description.items() if key not in known},
        )
        unchanged = classifier.version == description["version"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as cause:
        raise ClassifierError(
            f"the classifier in '{directory}' is damaged ({type(cause).__name__}: {cause})"
        ) from cause
    if not unchanged:
        raise ClassifierError(
            f"the classifier in '{directory}' is damaged: weights, classes, preprocessing or thresholds are not the "
            "saved ones."
        )
    return classifier


def _name(source: str | Path | BinaryIO) -> str:
    return str(source) if isinstance(source, (str, Path)) else getattr(source, "name", "<bytes>")
