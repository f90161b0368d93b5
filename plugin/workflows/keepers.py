"""Which image of each group of near-duplicates is the one to keep."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from ..curation.groups import DuplicateGroups
from ..curation.leaks import is_evaluation
from ..datasets.samples import Samples
from ..errors import DataError
from ..vision.preprocessing import Preprocessing
from ..vision.quality import file_ages, file_sizes, image_sizes, sharpness

# What "the one to keep" may mean; several are tried one after the other.
POLICIES = {
    "evaluation": "the one in an evaluation split: a test set stays as it is",
    "labelled": "the one that has a label",
    "largest": "the one with most pixels, then most bytes",
    "sharpest": "the one with most fine detail (decodes every member)",
    "oldest": "the one whose file was changed longest ago",
}
DEFAULT_KEEP = ("evaluation", "labelled", "largest", "oldest")


def check_keep(keep: tuple[str, ...]) -> None:
    """Make sure that each policy is known.

    Raises:
        DataError: One is not.
    """
    for name in keep:
        if name not in POLICIES:
            raise DataError(f"there is no policy '{name}' for what to keep; choose from: {', '.join(POLICIES)}.")


def choose_keepers(
    groups: DuplicateGroups,
    samples: Samples,
    preprocessing: Preprocessing,
    keep: tuple[str, ...],
    keep_paths: tuple[str, ...],
) -> np.ndarray:
    """Return the (g,) row of the member of each group that is to be kept.

    Args:
        groups: Among the samples.
        samples: The samples.
        preprocessing: How files are read, to measure sharpness.
        keep: Policies, each deciding between members that those before it leave equal.
        keep_paths: Folders whose files go before all others, the first one first; they go before `keep`.
    """
    members = np.flatnonzero(groups.group >= 0)
    paths = samples.paths[members]
    measures: dict[str, Callable[[], list[np.ndarray]]] = {
        "evaluation": lambda: [is_evaluation(samples.splits[members]), samples.splits[members] == "test"],
        "labelled": lambda: [samples.labels[members] >= 0],
        "largest": lambda: [image_sizes(paths), file_sizes(paths)],
        "sharpest": lambda: [sharpness(paths, preprocessing)],
        "oldest": lambda: [file_ages(paths)],
    }
    preferences = [_below(paths, folder) for folder in keep_paths]
    preferences += [values for name in keep for values in measures[name]()]
    return groups.best([_of_all(values, members, len(samples)) for values in preferences])


def _below(paths: np.ndarray, folder: str) -> np.ndarray:
    root = os.path.join(os.path.abspath(os.path.expanduser(folder)), "")
    return np.array([path.startswith(root) for path in paths], bool)


def _of_all(values: np.ndarray, members: np.ndarray, n: int) -> np.ndarray:
    whole = np.full(n, np.nan)
    whole[members] = values
    return whole
