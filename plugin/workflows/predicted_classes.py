"""What models that have not seen an image say of its class: the user's own, and networks fine-tuned out of fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..datasets.predictions import read_predictions
from ..datasets.views import Collection
from ..progress import Progress
from ..training.recipe import preset_recipe
from .label_audit import same_classes
from .vectors import Embedded

_PRESET = "quick"
_LEAST = 1e-6  # a probability below this says no more than this


def predicted_classes(
    view: Collection,
    embedded: Embedded,
    groups: np.ndarray,
    *,
    predictions_field: str | None,
    fine_tune: bool,
    backbone: str,
    seed: int,
    progress: Progress,
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Gather the out-of-sample predictions that were asked for.

    Args:
        view: The collection.
        embedded: Its m readable samples.
        groups: (m,) int. Near-duplicates share a number >= 0, and a fold; -1 = none.
        predictions_field: Field of the user's predictions, or None.
        fine_tune: Whether to fine-tune out of fold.
        backbone: Name of the embedded backbone, for the recipe.
        seed: Of the fine-tuning.
        progress: Told along the way.

    Returns:
        (m, k) float32 probabilities of the classes after `same_classes`, or None where nothing was asked for; and
        sentences for the user.

    Raises:
        FieldError: See `datasets.predictions.read_predictions`.
        DataError: See `fine_tuned_probabilities`.
    """
    _, merged, original = same_classes(embedded.samples)
    if len(original) < 2:
        return None, ()  # an error that is raised where labels are judged
    found: list[np.ndarray] = []
    notes: list[str] = []
    if predictions_field is not None:
        probabilities, told = read_predictions(view, predictions_field, embedded.samples, merged)
        found.append(probabilities)
        notes += told
    if fine_tune:
        probabilities, note = _fine_tuned(embedded, merged, original, groups, backbone, seed, progress)
        found.append(probabilities)
        notes.append(note)
    return _pooled(found), tuple(notes)


def _fine_tuned(
    embedded: Embedded,
    merged: np.ndarray,
    original: np.ndarray,
    groups: np.ndarray,
    backbone: str,
    seed: int,
    progress: Progress,
) -> tuple[np.ndarray, str]:
    """Return (m, k) float32 out-of-fold probabilities, all classes alike for samples without a label, and a note."""
    # Late: they load torch, for which a form should not wait.
    from ..training.labelled_images import LabelledImages
    from ..training.out_of_fold import fine_tuned_probabilities

    samples, classes = embedded.samples, [embedded.samples.classes[row] for row in original]
    rows = np.flatnonzero(samples.labels >= 0)
    images = LabelledImages(samples.paths, merged[samples.labels], embedded.vectors, groups)[rows]
    recipe = replace(preset_recipe(_PRESET, seed), backbone=backbone)
    made = fine_tuned_probabilities(
        images, classes, embedded.backbone, embedded.preprocessing, recipe, progress=progress
    )
    probabilities = np.full((len(samples), len(classes)), 1 / len(classes), np.float32)
    probabilities[rows] = made.probabilities
    better, folds = made.kept.count("fine-tuned"), len(made.kept)
    return probabilities, (
        f"fine-tuned out of fold: {folds} networks, each asked about the images that it was not trained on; the "
        f"fine-tuned network was better than the probe, and used, in {better} of {folds}"
    )


def _pooled(found: list[np.ndarray]) -> np.ndarray | None:
    """Return the geometric mean of probabilities, renormalised.

    `find_label_issues` takes one array of probabilities, which it weighs against the images' evidence. The mean of
    log-probabilities is what it would make of several itself with equal weights.
    """
    if len(found) < 2:
        return found[0] if found else None
    logs = np.mean([np.log(np.maximum(each, _LEAST)) for each in found], axis=0)
    pooled = np.exp(logs - logs.max(axis=1, keepdims=True))
    return pooled / pooled.sum(axis=1, keepdims=True)
