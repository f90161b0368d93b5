"""The images that a batch is chosen from, and the batch so far, in which no image looks like another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .neighbors import unit_rows_around

_SHARE = 0.3  # of the usual distance to the tenth neighbour: nearer than that is a look-alike
_FURTHEST = 0.1  # cosine distance beyond which nothing is a look-alike
_COPY_SHARE = 0.2  # of a look-alike's distance: what is left of the promise where there is nothing else to choose
_NEIGHBOUR = 10
_ASKED, _AMONG = 500, 20_000
_EQUAL = 2e-6  # what float32 leaves of the distance between equal rows


@dataclass(eq=False)
class Pool:
    """m candidates and what was taken of them.

    Attributes:
        rows: (m, d) float32, of length 1.
        numbers: (m,) int64. Which images they are, in ascending order.
        labelled: (l, d) float32, of length 1. What is labelled already, or out for labelling.
        others: (v, d) float32, of length 1. More images that none of the batch may look like.
        groups: (m,) int. Candidates with the same number >= 0 show the same; -1 = alone.
        reach: Cosine distance up to which two images look alike.
        free: (m,) bool. May still be taken.
        taken: Candidates in the order in which they were taken; scores and reasons beside them.
    """

    rows: np.ndarray
    numbers: np.ndarray
    labelled: np.ndarray
    others: np.ndarray
    groups: np.ndarray
    reach: float
    free: np.ndarray = field(init=False)
    taken: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free = np.ones(len(self.rows), bool)

    def take(self, row: int, score: float, reason: str) -> np.ndarray | None:
        """Put a free candidate into the batch, and let go of all that look like it.

        Returns:
            (m,) float32 cosine similarities of all candidates to it; None where it looked like an image that is
            labelled or to be avoided, and was let go of instead.
        """
        for known in (self.labelled, self.others):
            if len(known) and float((known @ self.rows[row]).max()) >= 1 - self.reach:
                self.free[row] = False
                return None
        similar = self.rows @ self.rows[row]
        self.taken.append(row)
        self.scores.append(score)
        self.reasons.append(reason)
        self._let_go(row, similar)
        return similar

    def tighten(self) -> None:
        """From now on only plain copies look alike: for a batch that cannot be filled otherwise."""
        self.reach *= _COPY_SHARE
        self.free[:] = True
        for row in self.taken:
            self._let_go(row, self.rows @ self.rows[row])

    def _let_go(self, row: int, similar: np.ndarray) -> None:
        self.free[similar >= 1 - self.reach] = False
        self.free[row] = False
        if self.groups[row] >= 0:
            self.free[self.groups == self.groups[row]] = False


def look_alike_distance(rows: np.ndarray, rng: np.random.Generator) -> float:
    """Return the cosine distance up to which two of (m, d) rows of length 1 look alike.

    It is a share of how far apart similar but different images of this collection usually are, since no fixed distance
    suits every network and subject.
    """
    if len(rows) < 2:
        return _EQUAL
    asked = rows[np.sort(rng.choice(len(rows), min(len(rows), _ASKED), replace=False))]
    among = rows[np.sort(rng.choice(len(rows), min(len(rows), _AMONG), replace=False))]
    similar = asked @ among.T
    place = min(_NEIGHBOUR + 1, len(among))  # the first is the row itself
    usual = float(np.median(1 - np.partition(similar, -place, axis=1)[:, -place]))
    return float(np.clip(_SHARE * usual, _EQUAL, _FURTHEST))


def unit_sample(embeddings: np.ndarray, numbers: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return (m, d) float32 rows of length 1 around a centre, of some images; all that lie on it are the same."""
    rows = unit_rows_around(embeddings[numbers], centre)
    rows[~rows.any(axis=1), :1] = 1
    return rows
