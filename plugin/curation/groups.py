"""From pairs to groups in which every member is a near-duplicate of the group's centre: stars, not chains.

Connected components would chain unrelated images through look-alikes into one huge group.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .duplicates import DuplicatePairs
from .units import number_by_first


@dataclass(frozen=True, eq=False)
class DuplicateGroups:
    """Groups of near-duplicates among n images, numbered from 0 in the order of their first member.

    Attributes:
        group: (n,) int64. The image's group, -1 = none.
        centre: (g,) int64. The image that every other member of the group forms a flagged pair with.
        lowest: (g,) float32 in [0, 1]. The lowest score of those pairs.
        bridges: Flagged pairs that no group holds: they would have chained groups together.
    """

    group: np.ndarray
    centre: np.ndarray
    lowest: np.ndarray
    bridges: int

    def __len__(self) -> int:
        return len(self.centre)

    @property
    def sizes(self) -> np.ndarray:
        """(g,) int64. Number of members."""
        return np.bincount(self.group[self.group >= 0], minlength=len(self))

    def best(self, preferences: Sequence[np.ndarray]) -> np.ndarray:
        """Return the (g,) int64 member of each group that is to be kept.

        Args:
            preferences: (n,) numbers each, the larger the better; a later one decides between members that are equal
                in those before it, and the smaller row between members that are equal in all.
        """
        members = np.flatnonzero(self.group >= 0)
        keys = [-np.nan_to_num(values[members].astype(np.float64), nan=-np.inf) for values in reversed(preferences)]
        order = members[np.lexsort((members, *keys, self.group[members]))]
        return order[np.unique(self.group[order], return_index=True)[1]]

    def in_conflict(self, labels: np.ndarray) -> np.ndarray:
        """Return (g,) bool: members carry different labels; of (n,) int, where -1 = none conflicts with nothing."""
        named = np.flatnonzero((self.group >= 0) & (labels >= 0))
        different = np.unique(np.stack([self.group[named], labels[named]], axis=1), axis=0)
        return np.bincount(different[:, 0], minlength=len(self)) > 1


def group_duplicates(pairs: DuplicatePairs, n: int) -> DuplicateGroups:
    """Group n images by their flagged pairs.

    The image with the most flagged partners that are still free (ties: the larger sum of scores, then the smaller row)
    becomes a centre and takes them all; repeated until no flagged pair has two free images.
    """
    partners: dict[int, dict[int, float]] = {}
    flagged = pairs.flagged
    for (first, second), score in zip(pairs.rows[flagged].tolist(), pairs.score[flagged].tolist(), strict=True):
        partners.setdefault(first, {})[second] = score
        partners.setdefault(second, {})[first] = score
    group = np.full(n, -1, np.int64)
    centres: list[int] = []
    lowest: list[float] = []
    queue = [_rank(row, found) for row, found in partners.items()]
    heapq.heapify(queue)
    while queue:
        *_, centre = heapq.heappop(queue)
        free = {row: score for row, score in partners[centre].items() if group[row] < 0}
        if group[centre] >= 0 or not free:
            continue
        if len(free) < len(partners[centre]):  # lost partners since it was ranked: back into the queue
            partners[centre] = free
            heapq.heappush(queue, _rank(centre, free))
            continue
        group[[centre, *free]] = len(centres)
        centres.append(centre)
        lowest.append(min(free.values()))
    first, second = group[pairs.rows[flagged]].T
    return _numbered_by_first_member(group, centres, lowest, int((first != second).sum()))


def _rank(row: int, partners: dict[int, float]) -> tuple[int, float, int]:
    return -len(partners), -round(sum(partners.values()), 4), row


def _numbered_by_first_member(
    raw: np.ndarray, centres: list[int], lowest: list[float], bridges: int
) -> DuplicateGroups:
    members = np.flatnonzero(raw >= 0)
    group = np.full(len(raw), -1, np.int64)
    group[members] = number_by_first(raw[members])
    order = np.empty(len(centres), np.int64)
    order[group[members]] = raw[members]
    return DuplicateGroups(group, np.array(centres, np.int64)[order], np.array(lowest, np.float32)[order], bridges)
