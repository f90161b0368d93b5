"""The pairs that a search for near-duplicates or leaks flagged, looked up by their samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import fiftyone as fo
import numpy as np

from ..datasets import runs
from ..datasets.views import Collection, dataset_of

_EXACT = ("same_file", "same_pixels", "same file", "same pixels")


@dataclass(frozen=True, eq=False)
class FoundPairs:
    """m flagged pairs.

    Attributes:
        keys: (m,) bytes. The two ids of each pair, the smaller one first; in ascending order.
        scores: (m,) float64 in 0..1.
        exact: (m,) bool. The images have the same file or the same pixels.
    """

    keys: np.ndarray
    scores: np.ndarray
    exact: np.ndarray

    def score(self, a: str, b: str) -> float | None:
        """Return the score of a pair, None where it was not flagged."""
        row = self._row(a, b)
        return None if row is None else float(self.scores[row])

    def is_exact(self, a: str, b: str) -> bool:
        """Whether a pair was flagged as exact copies."""
        row = self._row(a, b)
        return row is not None and bool(self.exact[row])

    def _row(self, a: str, b: str) -> int | None:
        key = _key(a, b)
        row = int(np.searchsorted(self.keys, key))
        return row if row < len(self.keys) and self.keys[row] == key else None


def read_found_pairs(view: Collection, key: str) -> FoundPairs:
    """Return the pairs of a run of `find_duplicates` or `find_leaks`; none where it was deleted or never ran."""
    run = next((run for run in runs.list_runs(view) if run.key == key), None)
    if run is None:
        return _of([], [], [])
    return _read(dataset_of(view).name, key, run.made)


@lru_cache(maxsize=2)
def _read(name: str, key: str, _made: str) -> FoundPairs:
    """Read a run's results once: `_made` tells them from those of the next run."""
    found = runs.load_results(fo.load_dataset(name), key) or {}
    return _of(found.get("pairs", []), found.get("scores", []), found.get("kinds", []))


def _of(pairs: list[list[str]], scores: list[float], kinds: list[str]) -> FoundPairs:
    keys = np.array([_key(a, b) for a, b in pairs], dtype="S48")
    order = np.argsort(keys, kind="stable")
    exact = np.array([kind in _EXACT for kind in kinds], bool)
    return FoundPairs(keys[order], np.array(scores, np.float64)[order], exact[order])


def _key(a: str, b: str) -> bytes:
    return (min(a, b) + max(a, b)).encode()
