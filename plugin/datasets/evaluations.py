"""Writes a comparison of predictions with labels as FiftyOne's own, for the App's Model Evaluation panel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .fields import is_own, mark_own
from .views import Collection, dataset_of

_MOST = 200_000  # ids that a view can hold: MongoDB's documents end at 16 MB


def evaluation_key(prediction_field: str) -> str:
    """Return the name of the evaluation of a field of predictions, and of the field of what is right."""
    return f"{prediction_field}_evaluation"


def write_evaluation(
    view: Collection, key: str, ids: np.ndarray, *, prediction_field: str, label_field: str, classes: Sequence[str]
) -> str | None:
    """Make `key` FiftyOne's evaluation of these samples, in place of an earlier one of Winnow's.

    FiftyOne counts a missing label or prediction as an error, so that it is given only samples that have both.

    Args:
        view: The collection.
        key: Name of the evaluation, and of the field that tells whether a prediction is right.
        ids: (n,) object. Samples with both a label and a prediction.
        prediction_field: A field of `fo.Classification`.
        label_field: Likewise.
        classes: Names of the rows and columns of the confusion matrix.

    Returns:
        Why nothing was written, None where it was.
    """
    dataset = dataset_of(view)
    if (dataset.has_evaluation(key) or dataset.has_field(key)) and not is_own(dataset, key):
        return f"`{key}` exists and was not made by Winnow, so the App's Model Evaluation panel does not get this one"
    if dataset.has_evaluation(key):
        dataset.delete_evaluation(key)
    if not len(ids):
        return None
    if len(ids) > _MOST:
        return f"the App's Model Evaluation panel gets no evaluation of more than {_MOST:,} images"
    judged = view.select(ids.tolist())
    judged.evaluate_classifications(
        prediction_field, gt_field=label_field, eval_key=key, classes=list(classes), progress=False
    )
    mark_own(dataset, key)
    return None
