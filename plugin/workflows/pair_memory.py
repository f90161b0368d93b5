"""Keeps what a search for near-duplicates found, by the content of the files, for the next search of the same dataset.

The search for leaks after one for duplicates, and one after 1,000 new images, then compare only what is new.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..curation.evidence import Evidence
from ..curation.made_copies import Met
from ..curation.pair_sets import each_once, pair_numbers
from ..curation.proofs import Verify
from ..curation.search import Search
from ..progress import Progress
from ..vision.cache_store import pairs_root
from .kept_steps import KeptSteps

_VERSION = 2  # of everything that a search does
_SUFFIX = ".npz"
_AT_ONCE = 4096  # pairs, between two looks at the clock
_KEEP_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Matched:
    """Pairs whose keypoints were compared.

    Attributes:
        pairs: (k, 2) int64, in ascending order.
        found: (k, 2) float32, see `curation.proofs.Verify`.
    """

    pairs: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    found: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.float32))


class RememberingVerifier:
    """Compares pairs that were not compared before; `matched` is all that is known by then.

    Args:
        verify: Compares pairs.
        matched: What is known.
        n: Number of images.
        keep: Called with all that is known, at most once a minute: a job that is killed then goes on from there.
    """

    def __init__(
        self, verify: Verify, matched: Matched, n: int, keep: Callable[[Matched], None] = lambda matched: None
    ) -> None:
        self._verify, self._n, self._keep = verify, n, keep
        self._kept_at = time.monotonic()
        self.matched = matched

    def __call__(self, pairs: np.ndarray, progress: Progress) -> np.ndarray:
        known, asked = pair_numbers(self.matched.pairs, self._n), pair_numbers(pairs, self._n)
        missing = each_once(pairs[~np.isin(asked, known)])
        for start in range(0, len(missing), _AT_ONCE):

            def told(step: str, done: int, total: int, start: int = start) -> None:
                progress(step, start + done, len(missing))

            block = missing[start : start + _AT_ONCE]
            self._add(block, self._verify(block, told))
        return self.matched.found[np.searchsorted(pair_numbers(self.matched.pairs, self._n), asked)]

    def _add(self, pairs: np.ndarray, found: np.ndarray) -> None:
        together = np.concatenate([self.matched.pairs, pairs])
        order = np.argsort(pair_numbers(together, self._n))
        self.matched = Matched(together[order], np.concatenate([self.matched.found, found])[order])
        if time.monotonic() - self._kept_at > _KEEP_SECONDS:
            self._keep(self.matched)
            self._kept_at = time.monotonic()


@dataclass(frozen=True, eq=False)
class Remembered:
    """What is known of the images of a search.

    Attributes:
        search: What was found; None = nothing is known.
        matched: Pairs whose keypoints were compared.
        new: (k,) int64 rows that nothing is known of.
    """

    search: Search | None
    matched: Matched
    new: np.ndarray

    @classmethod
    def nothing(cls, n: int) -> Remembered:
        """Return what is known of n images that were never seen."""
        return cls(None, Matched(), np.arange(n))


class PairMemory:
    """The memory of one collection and one way of embedding, in a file. What cannot be read or written costs only time.

    Args:
        name: The collection's key.
        space: What the vectors depend on.
    """

    def __init__(self, name: str, space: str) -> None:
        key = hashlib.sha256(f"{_VERSION} {space}".encode()).hexdigest()[:16]
        self._path = pairs_root() / f"{name}-{key}{_SUFFIX}"

    def load(self, digests: np.ndarray, splits: np.ndarray | None) -> Remembered:
        """Return what is known of images.

        Args:
            digests: (n, 32) uint8. Of their files.
            splits: (n,) split names: an image in another split than before counts as new. None = no splits.
        """
        keys = _keys(digests, splits)
        try:
            with np.load(self._path, allow_pickle=False) as held:
                known = _renumbered({name: held[name] for name in held.files}, keys)
            os.utime(self._path)
        except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile):
            return Remembered.nothing(len(keys))
        return known

    def steps(self, digests: np.ndarray, splits: np.ndarray | None) -> KeptSteps:
        """Return what keeps the steps of a search of these images, in this order, until its result is saved."""
        return KeptSteps(self._path.stem, _keys(digests, splits))

    def save(self, digests: np.ndarray, splits: np.ndarray | None, search: Search, matched: Matched) -> None:
        """Keep what is known, in place of what was."""
        temporary = self._path.with_name(f"{self._path.stem}-{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(
                    file,
                    keys=np.array(_keys(digests, splits), "S16"),
                    centre=search.centre,
                    candidates=search.candidates.astype(np.int32),
                    cosine=search.cosine,
                    pairs=search.evidence.pairs.astype(np.int32),
                    values=search.evidence.values,
                    matched=matched.pairs.astype(np.int32),
                    found=matched.found,
                    margin=search.met.margin if search.met else np.empty(0, np.float32),
                    proof=search.met.proof if search.met else np.empty(0, np.float32),
                )
            os.replace(temporary, self._path)
        except OSError as cause:
            logger.warning("the next search starts anew, as '%s' cannot be written: %s", self._path, cause)
            with contextlib.suppress(OSError):
                temporary.unlink()


def _renumbered(held: dict[str, np.ndarray], keys: list[bytes]) -> Remembered:
    """Turn what was kept into what is known of the images with these keys."""
    # A picture may stand in two splits, but never twice in one: its key is its own.
    row_of = {key: row for row, key in enumerate(keys)}
    row = np.array([row_of.get(key, -1) for key in held["keys"].tolist()], np.int64)
    met = Met(held["margin"], held["proof"]) if len(held["margin"]) else None
    evidence = Evidence(held["pairs"].astype(np.int64), held["values"])
    candidates = held["candidates"].astype(np.int64)
    search = Search(held["centre"], candidates, held["cosine"], evidence, met).renumbered(row)
    matched = np.sort(row[held["matched"].astype(np.int64)], axis=1)
    (kept,) = np.nonzero(matched[:, 0] >= 0)
    kept = kept[np.lexsort(matched[kept].T[::-1])]
    return Remembered(search, Matched(matched[kept], held["found"][kept]), np.setdiff1d(np.arange(len(keys)), row))


def _keys(digests: np.ndarray, splits: np.ndarray | None) -> list[bytes]:
    names = [""] * len(digests) if splits is None else splits.tolist()
    return [
        hashlib.blake2b(digest.tobytes() + name.encode(), digest_size=8).hexdigest().encode()
        for digest, name in zip(digests, names, strict=True)
    ]
