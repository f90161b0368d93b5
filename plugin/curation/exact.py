"""Exact duplicates: equal files, and equal pixels in different files (re-wrapped, without EXIF data, re-named).

They are found by digests, so that a crowd of a thousand equal images costs no more than a thousand others: only one of
them in each split stands for all where near-duplicates are searched, and its findings are handed on to the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from .duplicates import DuplicatePairs, Kind
from .pair_sets import each_once


@dataclass(frozen=True, eq=False)
class ExactCopies:
    """Which of n images are equal.

    Attributes:
        file: (n,) int64. The first row with the same file content.
        picture: (n,) int64. The first row with the same pixels; equal files are equal pictures.
    """

    file: np.ndarray
    picture: np.ndarray

    def stand_ins(self, splits: np.ndarray | None) -> np.ndarray:
        """Return the (k,) ascending rows that stand for all: the first of each picture in each of the (n,) splits."""
        return np.unique(self._stand_in(splits))

    def hand_on(self, pairs: DuplicatePairs, splits: np.ndarray | None) -> DuplicatePairs:
        """Return the pairs of all n images, best first.

        Args:
            pairs: Of the stand-ins, which its `rows` number from 0.
            splits: (n,) as `stand_ins` was given them.

        Each image is paired with the stand-ins of its picture in all splits, and shares the flagged pairs of its own.
        So every image has its best partner in every split, in a number of pairs that grows with the images and not
        with their square.
        """
        stand_in = self._stand_in(splits)
        standing = np.unique(stand_in)
        others = np.flatnonzero(stand_in != np.arange(len(stand_in)))
        found = standing[pairs.rows]
        equal = self.picture[found[:, 0]] == self.picture[found[:, 1]]
        near, score = found[~equal], pairs.score[~equal]
        exact = self._exact_pairs(standing)
        rows, scores = [near, exact], [score, np.ones(len(exact))]
        flagged = score >= pairs.threshold
        for side in (0, 1):
            shared, row = _matches(near[flagged, side], stand_in[others])
            rows.append(np.stack([others[row], near[flagged][shared, 1 - side]], axis=1))
            scores.append(score[flagged][shared])
        together = np.sort(np.concatenate(rows), axis=1).reshape(-1, 2)
        value = np.concatenate(scores).astype(np.float32)
        order = np.lexsort((together[:, 1], together[:, 0], -value))
        together = together[order]
        return DuplicatePairs(together, value[order], pairs.threshold, pairs.recall, self.kinds(together))

    def kinds(self, rows: np.ndarray) -> np.ndarray:
        """Return the (m,) uint8 `Kind` of (m, 2) pairs."""
        first, second = rows.T
        same_picture = np.where(self.picture[first] == self.picture[second], Kind.SAME_PIXELS, Kind.NEAR)
        return np.where(self.file[first] == self.file[second], Kind.SAME_FILE, same_picture).astype(np.uint8)

    def _stand_in(self, splits: np.ndarray | None) -> np.ndarray:
        """Return each row's (n,) stand-in: the first row with its picture and its split."""
        split = np.zeros(len(self.picture), int) if splits is None else np.unique(splits, return_inverse=True)[1]
        place = np.stack([self.picture, split], axis=1)
        _, first, which = np.unique(place, axis=0, return_index=True, return_inverse=True)
        return first[which.ravel()]

    def _exact_pairs(self, standing: np.ndarray) -> np.ndarray:
        """Return each image with every stand-in of its picture: as many as there are splits."""
        which, row = _matches(self.picture[standing], self.picture)
        pairs = np.sort(np.stack([standing[which], row], axis=1), axis=1)
        return each_once(pairs[pairs[:, 0] != pairs[:, 1]])


def find_exact_copies(
    digests: np.ndarray, thumbnails: np.ndarray, pixel_digests: Callable[[np.ndarray], Iterable[bytes | None]]
) -> ExactCopies:
    """Find equal files, and equal pixels in different files.

    Args:
        digests: (n, 32) uint8. Of the files' bytes.
        thumbnails: (n, 32, 32) uint8. Equal pixels have equal ones, so that only files that share one are decoded.
        pixel_digests: Called once with (k,) rows; gives the digest of each one's pixels, None where it can't be read.
    """
    file = _first_with_same(digests)
    distinct = np.unique(file)
    # A kilobyte each would be sorted slowly; what shares a key by chance is told apart by its pixels.
    keys = b"".join(hashlib.blake2b(thumbnails[row].tobytes(), digest_size=16).digest() for row in distinct)
    alike = _first_with_same(np.frombuffer(keys, np.uint8).reshape(-1, 16))
    _, group, sizes = np.unique(alike, return_inverse=True, return_counts=True)
    asked = distinct[sizes[group] > 1]
    picture = np.arange(len(digests))
    first: dict[bytes, int] = {}
    for row, digest in zip(asked.tolist(), pixel_digests(asked), strict=True) if len(asked) else ():
        if digest is not None:
            picture[row] = first.setdefault(digest, row)
    return ExactCopies(file, picture[file])


def _first_with_same(rows: np.ndarray) -> np.ndarray:
    """Return (n,) int64: for each of the (n, w) uint8 rows the first one that equals it."""
    if not len(rows):
        return np.empty(0, np.int64)
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, which = np.unique(whole, return_index=True, return_inverse=True)
    return first[which]


def _matches(values: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all (i, j) with values[i] == wanted[j], as two arrays."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    start, stop = np.searchsorted(ordered, wanted, "left"), np.searchsorted(ordered, wanted, "right")
    count = stop - start
    j = np.repeat(np.arange(len(wanted)), count)
    i = np.arange(len(j)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(start, count)
    return order[i], j
