"""What a classifier's images looked like when it was trained, kept beside it for later ones to be held against.

No image is kept: only what the network made of some of them, and what `vision.statistics` measures.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.special import expit, softmax

from ..curation.probe import unit_length
from ..errors import ClassifierError, DataError
from ..progress import Progress, silent
from .classifier_files import REFERENCE

if TYPE_CHECKING:
    from ..curation.drift import Drift

MOST_IMAGES, MOST_TRAINING_IMAGES = 2_000, 4_000
_MOST_BYTES = 512 * 2**20  # as much as vectors of 16,384 numbers and 20,000 classes take; more is no reference of ours
_FORMAT = "1"
_LAYERS = "layers."
_ARRAYS = ("vectors", "probabilities", "labels", "statistics", "training_vectors")


@dataclass(frozen=True, eq=False)
class Layers:
    """Linear layers in place of a classifier's own, which was trained on the m images of its reference.

    An image that a layer learnt and one that it did not are no more alike to it than two layers are to each other: so
    new images are judged by layers that were fitted without some of the images, as these were by them.

    Attributes:
        of_row: (m,) int64. Which of f layers has not seen the image.
        weights: (f, d, k) float32, for features of length 1.
        bias: (f, k) float32.
    """

    of_row: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def logits(self, vectors: np.ndarray, seed: int) -> np.ndarray:
        """Return (n, k) float64 logits of (n, d) features, by layers that are drawn as often as `of_row` has them."""
        rng = np.random.default_rng(seed)
        repeats = -(-len(vectors) // max(len(self.of_row), 1))
        layer = rng.permutation(np.tile(rng.permutation(self.of_row), repeats)[: len(vectors)])
        unit, found = unit_length(vectors), np.empty((len(vectors), self.bias.shape[1]))
        for number in np.unique(layer):
            rows = layer == number
            found[rows] = unit[rows] @ self.weights[number] + self.bias[number]
        return found


@dataclass(frozen=True, eq=False)
class Reference:
    """What a classifier's images looked like.

    Attributes:
        vectors: (m, d) float16. Its backbone's features, not normalised, of m <= 2,000 images that the backbone was not
            trained on.
        probabilities: (m, k) float32. What it says of them without having been trained on them: out-of-fold where its
            last layer was. Those of training images would look too certain.
        labels: (m,) int64 in [0, k); or (m, k) float32 in {0, 1, NaN}: absent, present, not annotated.
        statistics: (m, s) float32, see `vision.statistics`; rows of NaN were not measured.
        statistic_names: The s columns.
        training_vectors: (t, d) float16. Features of t <= 4,000 other images, which it was trained on; none where the
            backbone was trained on none and the m say more of what is known.
        classes: k names, those of the classifier.
        layers: By whose word the probabilities are, where that is not the classifier's own.
    """

    vectors: np.ndarray
    probabilities: np.ndarray
    labels: np.ndarray
    statistics: np.ndarray
    statistic_names: tuple[str, ...]
    training_vectors: np.ndarray
    classes: tuple[str, ...]
    layers: Layers | None = None

    def __post_init__(self) -> None:
        (m, d), k = self.vectors.shape, len(self.classes)
        wanted = {
            "probabilities": (m, k),
            "labels": (m,) if self.labels.ndim == 1 else (m, k),
            "statistics": (m, len(self.statistic_names)),
            "training_vectors": (len(self.training_vectors), d),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")
        if (layers := self.layers) is not None:
            f = len(layers.bias)
            shapes = (layers.of_row.shape, layers.weights.shape, layers.bias.shape)
            if shapes != ((m,), (f, d, k), (f, k)) or not ((layers.of_row >= 0) & (layers.of_row < f)).all():
                raise ValueError(f"layers of shapes {shapes} do not fit {m} images, {d} numbers and {k} classes")
        if m > MOST_IMAGES or len(self.training_vectors) > MOST_TRAINING_IMAGES:
            raise ValueError(f"at most {MOST_IMAGES:,} images and {MOST_TRAINING_IMAGES:,} training images are kept")

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several labels."""
        return self.labels.ndim == 2

    def check(
        self,
        vectors: np.ndarray,
        probabilities: np.ndarray,
        statistics: np.ndarray | None = None,
        *,
        alpha: float = 0.05,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Drift:
        """Tell whether other images have drifted away from these; see `curation.drift.check_drift`.

        Args:
            vectors: (n, d) float32. Features of the same backbone.
            probabilities: (n, k) float32. What the classifier says of them; where the reference's are by the word of
                other layers, these are asked instead.
            statistics: (n, s) float, columns as in `statistic_names`; None = not measured.
            alpha: Share of false alarms.
            seed: Of everything random.
            progress: Told along the way.

        Raises:
            DataError: The vectors or probabilities are of another classifier.
        """
        d, k = self.vectors.shape[1], len(self.classes)
        if vectors.shape[1:] != (d,) or probabilities.shape[1:] != (k,):
            raise DataError(
                f"the reference is of {k} classes and vectors of {d} numbers, and it is to be held against "
                f"probabilities of shape {probabilities.shape} and vectors of shape {vectors.shape}. Use those of the "
                "same classifier."
            )
        from ..curation.drift import check_drift  # late: whoever only keeps a reference needs no test

        # Rounded like the reference, so that rounding tells nothing.
        vectors = vectors.astype(np.float16).astype(np.float32)
        if self.layers is not None:
            logits = self.layers.logits(vectors, seed)
            probabilities = (expit(logits) if self.multilabel else softmax(logits, axis=1)).astype(np.float32)
        measured = statistics is not None
        return check_drift(
            self.vectors.astype(np.float32),
            vectors,
            reference_probs=self.probabilities,
            current_probs=probabilities,
            alpha=alpha,
            seed=seed,
            reference_labels=None if self.multilabel else self.labels,
            reference_statistics=self.statistics if measured else None,
            current_statistics=statistics,
            statistic_names=self.statistic_names if measured else (),
            trained_on=self.training_vectors.astype(np.float32) if len(self.training_vectors) else None,
            multilabel=self.multilabel,
            progress=progress,
        )

    def save(self, directory: Path) -> None:
        """Write it into a classifier's folder, whole or not at all.

        Raises:
            ClassifierError: The folder cannot be written.
        """
        about = {"classes": self.classes, "statistic_names": self.statistic_names}
        metadata = {"format": _FORMAT, **{name: json.dumps(names) for name, names in about.items()}}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if self.layers is not None:
            arrays |= {f"{_LAYERS}{each.name}": getattr(self.layers, each.name) for each in fields(Layers)}
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        try:
            with tempfile.TemporaryDirectory(dir=directory) as temporary:
                save_file(arrays, Path(temporary) / REFERENCE, metadata)
                os.replace(Path(temporary) / REFERENCE, Path(directory) / REFERENCE)
        except OSError as cause:
            raise ClassifierError(f"cannot write {REFERENCE} to '{directory}': {cause}") from cause

    @classmethod
    def load(cls, directory: Path) -> Reference | None:
        """Read it from a classifier's folder; None where the classifier has none.

        Raises:
            ClassifierError: It is damaged, far too large, or of a later format.
        """
        path = Path(directory) / REFERENCE
        if not path.exists():
            return None
        try:
            return cls(**dict(_read(path)))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as cause:
            raise ClassifierError(
                f"{REFERENCE} in '{directory}' is damaged ({type(cause).__name__}: {cause}). Train the classifier "
                "again, or delete that file: the classifier serves without it."
            ) from cause


def _read(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a reference."""
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise ValueError(f"{size:,} bytes are more than any reference has")
    with safe_open(path, framework="np") as stored:
        metadata = stored.metadata() or {}
        if metadata.get("format") != _FORMAT:
            raise ClassifierError(f"'{path}' was not written by this version of Winnow; upgrade to read it.")
        for name in ("classes", "statistic_names"):
            yield name, tuple(str(each) for each in json.loads(metadata[name]))
        for name in _ARRAYS:
            yield name, stored.get_tensor(name)
        if f"{_LAYERS}bias" in stored.keys():  # noqa: SIM118 - no mapping
            yield "layers", Layers(**{each.name: stored.get_tensor(f"{_LAYERS}{each.name}") for each in fields(Layers)})
