"""Registers vectors and points with FiftyOne's brain, for *sort by similarity* and the *Embeddings panel* of the App.

Read in fiftyone-brain 0.25: its scikit-learn index keeps the vectors as JSON text, and subtracts their mean in place
when it is first used, so that with the cosine metric the order is that of the *centred* vectors. Euclidean distances
don't mind being shifted, and order vectors of length 1 as the cosine does.
"""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np

from ... import __version__
from ..curation.neighbors import unit_rows
from ..curation.projection import reduce_width
from ..errors import DataError
from .views import Collection, dataset_of

# Present in the configuration of our brain runs only.
_OURS = "winnow"
# 26 million numbers took 25 s to save, 8 s to load whenever an App starts, and 2.3 GB of memory in both.
_MOST_NUMBERS = 8_000_000
_DECIMALS = 5  # the numbers are text: float32's own digits would take twice the space


@dataclass(frozen=True)
class BrainKeys:
    """Under which keys the vectors of a dataset's images, or of the patches of one of its fields, are registered.

    Attributes:
        patches_field: Field of detections, None = the vectors are those of whole images.
    """

    patches_field: str | None = None

    @property
    def similarity(self) -> str:
        """Key of the index to sort by."""
        return self._key("winnow_similarity")

    @property
    def points(self) -> str:
        """Key of the plot."""
        return self._key("winnow_points")

    def _key(self, name: str) -> str:
        return f"{name}_{self.patches_field}" if self.patches_field else name


def register_similarity(
    view: Collection,
    keys: BrainKeys,
    sample_ids: np.ndarray,
    vectors: np.ndarray,
    label_ids: np.ndarray | None = None,
) -> float:
    """Let the App sort by cosine similarity, in place of what an earlier run registered.

    Where the index would have more than 8 million numbers it keeps as many principal components as it can, and the
    order becomes an approximation.

    Args:
        view: The collection that the job ran on; the index belongs to its dataset, and holds these samples only.
        keys: Where it is registered.
        sample_ids: (n,) sample ids, n at least 1.
        vectors: (n, d) float32.
        label_ids: (n,) label ids where the vectors are those of patches.

    Returns:
        The share of the vectors' variance that the index keeps, in 0..1; 1 = all, the order is exact.

    Raises:
        DataError: Somebody else's brain run has the name.
    """
    dataset = dataset_of(view)
    forget(dataset, keys.similarity)
    rows, kept = unit_rows(vectors, centered=False), 1.0
    width = max(1, _MOST_NUMBERS // len(rows))
    if width < rows.shape[1]:
        rows, kept = reduce_width(rows, width)
    index = fob.compute_similarity(
        dataset,
        patches_field=keys.patches_field,
        embeddings=False,
        brain_key=keys.similarity,
        backend="sklearn",
        metric="euclidean",
        **{_OURS: __version__},
    )
    index.add_to_index(
        np.round(rows.astype(np.float64), _DECIMALS),
        sample_ids.astype(str),
        label_ids=None if label_ids is None else label_ids.astype(str),
        reload=False,
    )
    index.save()
    return kept


def register_points(
    view: Collection, keys: BrainKeys, sample_ids: np.ndarray, points: np.ndarray, label_ids: np.ndarray | None = None
) -> None:
    """Let the Embeddings panel show these points, in place of what an earlier run registered.

    Args:
        view: The collection that the job ran on; the plot belongs to its dataset, and shows these samples only.
        keys: Where it is registered.
        sample_ids: (n,) sample ids, n at least 1.
        points: (n, 2) points.
        label_ids: (n,) label ids where the points are those of patches.

    Raises:
        DataError: Somebody else's brain run has the name.
    """
    dataset = dataset_of(view)
    forget(dataset, keys.points)
    ids = sample_ids if label_ids is None else label_ids
    fob.compute_visualization(
        dataset,
        patches_field=keys.patches_field,
        points=dict(zip(ids.astype(str), points, strict=True)),
        brain_key=keys.points,
        **{_OURS: __version__},
    )


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
    if dataset.has_brain_run(key) and not is_ours(dataset, key):
        raise DataError(
            f"the brain run '{key}' of '{dataset.name}' was not made by Winnow, so it is not overwritten. "
            f"Rename it first: dataset.rename_brain_run('{key}', 'NAME')."
        )


def is_ours(dataset: fo.Dataset, key: str) -> bool:
    """Whether a brain run was made by Winnow."""
    return hasattr(dataset.get_brain_info(key).config, _OURS)
