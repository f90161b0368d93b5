"""Registers vectors and points with FiftyOne's brain, for *sort by similarity* and the *Embeddings panel* of the App.

Read in fiftyone-brain 0.25: its scikit-learn index keeps the vectors as JSON text, and subtracts their mean in place
when it is first used, so that with the cosine metric the order is that of the *centred* vectors. Euclidean distances
don't mind being shifted, and order vectors of length 1 as the cosine does.
"""

from __future__ import annotations

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np

from ... import __version__
from ..curation.neighbors import unit_rows
from ..curation.projection import reduce_width
from ..errors import DataError
from .views import Collection, dataset_of

SIMILARITY_KEY = "winnow_similarity"
POINTS_KEY = "winnow_points"

# Present in the configuration of our brain runs only.
_OURS = "winnow"
# 26 million numbers took 25 s to save, 8 s to load whenever an App starts, and 2.3 GB of memory in both.
_MOST_NUMBERS = 8_000_000
_DECIMALS = 5  # the numbers are text: float32's own digits would take twice the space


def register_similarity(view: Collection, ids: np.ndarray, vectors: np.ndarray) -> float:
    """Let the App sort by cosine similarity, in place of what an earlier run registered.

    Where the index would have more than 8 million numbers it keeps as many principal components as it can, and the
    order becomes an approximation.

    Args:
        view: The collection that the job ran on; the index belongs to its dataset, and holds these samples only.
        ids: (n,) sample ids, n at least 1.
        vectors: (n, d) float32.

    Returns:
        The share of the vectors' variance that the index keeps, in 0..1; 1 = all, the order is exact.

    Raises:
        DataError: Somebody else's brain run has the name.
    """
    dataset = dataset_of(view)
    forget(dataset, SIMILARITY_KEY)
    rows, kept = unit_rows(vectors, centered=False), 1.0
    width = max(1, _MOST_NUMBERS // len(rows))
    if width < rows.shape[1]:
        rows, kept = reduce_width(rows, width)
    index = fob.compute_similarity(
        dataset,
        embeddings=False,
        brain_key=SIMILARITY_KEY,
        backend="sklearn",
        metric="euclidean",
        **{_OURS: __version__},
    )
    index.add_to_index(np.round(rows.astype(np.float64), _DECIMALS), ids.astype(str), reload=False)
    index.save()
    return kept


def register_points(view: Collection, ids: np.ndarray, points: np.ndarray) -> None:
    """Let the Embeddings panel show these points, in place of what an earlier run registered.

    Args:
        view: The collection that the job ran on; the plot belongs to its dataset, and shows these samples only.
        ids: (n,) sample ids, n at least 1.
        points: (n, 2) points.

    Raises:
        DataError: Somebody else's brain run has the name.
    """
    dataset = dataset_of(view)
    forget(dataset, POINTS_KEY)
    by_id = dict(zip(ids.astype(str), points, strict=True))
    fob.compute_visualization(dataset, points=by_id, brain_key=POINTS_KEY, **{_OURS: __version__})


def forget(view: Collection, key: str) -> None:
    """Remove what an earlier run registered under the key, if there is anything.

    Raises:
        DataError: Somebody else's brain run has the name.
    """
    check_free(view, key)
    dataset = dataset_of(view)
    if dataset.has_brain_run(key):
        dataset.delete_brain_run(key)


def check_free(view: Collection, key: str) -> None:
    """Make sure that a key may be registered: to be called before long work.

    Raises:
        DataError: Somebody else's brain run has the name.
    """
    dataset = dataset_of(view)
    if dataset.has_brain_run(key) and not _is_ours(dataset, key):
        raise DataError(
            f"the brain run '{key}' of '{dataset.name}' was not made by Winnow, so it is not overwritten. "
            f"Rename it first: dataset.rename_brain_run('{key}', 'NAME')."
        )


def _is_ours(dataset: fo.Dataset, key: str) -> bool:
    return hasattr(dataset.get_brain_info(key).config, _OURS)
