"""What a drift check compares of each image: its vector, what a classifier says of it, what is measured of its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.fields import set_own_values
from ..datasets.model_outputs import read_outputs
from ..datasets.samples import Samples
from ..datasets.views import Collection
from ..errors import ClassifierError, DataError
from ..failures import Failure
from ..progress import Progress, silent
from ..training.as_backbone import as_backbone
from ..training.earlier import EarlierHead
from ..training.reference import Reference
from ..vision.embeddings import Embeddings, embed_images
from ..vision.preprocessing import Preprocessing
from ..vision.statistics import image_statistics
from .classifiers import classifier_folder
from .drift_settings import DriftParams
from .drift_sides import Side
from .vectors import FAILURE_FIELD, RUN, check_any, embed_files, select_samples

if TYPE_CHECKING:
    from ..training.classifier import Classifier

_MEASURED = 500  # images of each side whose files are decoded whole for their statistics


@dataclass(frozen=True, eq=False)
class Judge:
    """The classifier through whose eyes images are compared.

    Attributes:
        classifier: It.
        folder: Its folder.
        reference: What is stored with it; None = nothing.
    """

    classifier: Classifier
    folder: Path
    reference: Reference | None

    @classmethod
    def load(cls, view: Collection, name: Path | str) -> Judge:
        """Return the classifier of this folder, name or version.

        Raises:
            ClassifierError: There is no such one, or it is damaged.
            DataError: It judges patches.
        """
        from ..training.classifier import load_classifier  # late: it loads torch, for which a form should not wait

        folder = classifier_folder(view, name)
        classifier, reference = load_classifier(folder), Reference.load(folder)
        if field := classifier.details.get("patches_field"):
            raise DataError(
                f"the classifier in '{folder}' judges patches of '{field}', and whole images cannot be held against "
                "them. Name a classifier of whole images, or none."
            )
        return cls(classifier, folder, reference)

    def stored(self) -> Reference:
        """Return what is stored with it.

        Raises:
            ClassifierError: Nothing is.
        """
        if self.reference is None:
            raise ClassifierError(
                f"nothing is stored in '{self.folder}' about the images that classifier {self.classifier.version} was "
                "made for: an earlier version of Winnow trained it. Train it again, or name reference images: a split, "
                "a saved view, a tag, or another dataset."
            )
        return self.reference

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """Return (n, k) float32: what it says of images with these features."""
        logits = EarlierHead.of(self.classifier).logits(vectors)
        return self.classifier.probabilities(logits).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Described:
    """The readable images of one side.

    Attributes:
        samples: n samples.
        vectors: (n, d) float32.
        probabilities: (n, k) float32; None where nobody said anything.
        classes: k names.
        statistics: (n, s) float64, NaN = not measured.
        digests: (n, 32) uint8. SHA-256 of each file's bytes.
        failures: The samples that could not be read.
    """

    samples: Samples
    vectors: np.ndarray
    probabilities: np.ndarray | None
    classes: tuple[str, ...]
    statistics: np.ndarray
    digests: np.ndarray
    failures: tuple[Failure, ...]

    def labels(self) -> np.ndarray | None:
        """Return (n,) int64 labels by the numbers of `classes`, -1 = none or another one; None where there is none."""
        number = {name: place for place, name in enumerate(self.classes)}
        own = np.array([*(number.get(name, -1) for name in self.samples.classes), -1])[self.samples.labels]
        return own if (own >= 0).any() else None


def describe_sides(
    view: Collection, sides: Sequence[Side], judge: Judge | None, params: DriftParams, progress: Progress = silent
) -> list[Described]:
    """Look at the images of each side in one way: with the classifier's eyes, or else by the backbone.

    Raises:
        DataError: No image of a side can be read; the predictions that are named have no logits.
        FieldError: See `datasets.model_outputs.read_outputs`.
    """
    said = [None] * len(sides) if judge is not None else _predictions(sides, params)
    paths = np.concatenate([side.samples.paths for side in sides])
    found, preprocessing = _embedded(view, paths, judge, params, progress)
    rows = found.ids.astype(np.int64)
    reasons = {int(failure.id): failure.reason for failure in found.failures}
    described, start = [], 0
    for side, predicted in zip(sides, said, strict=True):
        end = start + len(side.samples)
        own = (rows >= start) & (rows < end)
        failures = tuple(
            Failure(side.samples.ids[row - start], str(paths[row]), reason)
            for row, reason in sorted(reasons.items())
            if start <= row < end
        )
        check_any(rows[own], failures, f"images of {side.name}")
        readable = rows[own] - start
        samples = select_samples(side.samples, np.isin(np.arange(len(side.samples)), readable))
        vectors, probabilities, classes = found.vectors[own], None, side.samples.classes
        if judge is not None:
            probabilities, classes = judge.probabilities(vectors), judge.classifier.classes
        elif predicted is not None:
            probabilities, classes = predicted[0][readable], predicted[1]
        statistics = _statistics(samples.paths, preprocessing, params.seed, progress)
        described.append(Described(samples, vectors, probabilities, classes, statistics, found.digests[own], failures))
        start = end
    return described


def mark_failures_of(view: Collection, looked_at: np.ndarray, failures: Sequence[Failure]) -> None:
    """Write why samples could not be read; of those that could, an earlier mark is taken away.

    Args:
        view: Any collection of the dataset.
        looked_at: (n,) object. Sample ids.
        failures: By sample id.
    """
    if not failures and not view.has_field(FAILURE_FIELD):
        return
    reasons = {failure.id: failure.reason for failure in failures}
    set_own_values(view, FAILURE_FIELD, looked_at, [reasons.get(each) for each in looked_at], kind="str")


def _embedded(
    view: Collection, paths: np.ndarray, judge: Judge | None, params: DriftParams, progress: Progress
) -> tuple[Embeddings, Preprocessing]:
    """Return the vectors by row number, all made in one way, and that way."""
    rows = np.arange(len(paths))
    if judge is None:
        made = embed_files(view, RUN, rows, paths, params.vectors, progress=progress)
        return made.found, made.preprocessing
    preprocessing = judge.classifier.preprocessing
    backbone = as_backbone(judge.classifier, str(judge.folder))
    return embed_images(rows, paths, backbone, preprocessing, thumbnails=False, progress=progress), preprocessing


def _statistics(paths: np.ndarray, preprocessing: Preprocessing, seed: int, progress: Progress) -> np.ndarray:
    rows = np.arange(len(paths))
    if len(rows) > _MEASURED:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MEASURED, replace=False))
    progress("image statistics", 0, len(rows))
    measured = image_statistics(paths[rows], preprocessing)
    progress("image statistics", len(rows), len(rows))
    statistics = np.full((len(paths), measured.shape[1]), np.nan)
    statistics[rows] = measured
    return statistics


def _predictions(sides: Sequence[Side], params: DriftParams) -> list[tuple[np.ndarray, tuple[str, ...]] | None]:
    """Return each side's (n, k) probabilities of a field and the k classes, alike on both sides."""
    field = params.predictions_field
    if field is None:
        return [None] * len(sides)
    said: list[tuple[np.ndarray, tuple[str, ...]] | None] = []
    order: tuple[str, ...] = ()
    for side in sides:
        outputs = read_outputs(side.collection, field, side.samples, np.ones(len(side.samples), bool))
        if outputs.probabilities is None:
            why = "; ".join(outputs.notes) or "apply the classifier with logits, or name the classifier itself"
            raise DataError(f"the predictions in `{field}` of {side.name} tell no probability of each class: {why}.")
        names = outputs.classes[: outputs.probabilities.shape[1]]
        order = order or names
        if set(names) != set(order):
            raise DataError(f"the predictions in `{field}` are of different classes on both sides; they say nothing.")
        said.append((outputs.probabilities[:, [names.index(name) for name in order]], order))
    return said
