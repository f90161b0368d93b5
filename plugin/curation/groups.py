"""From pairs to groups in which every member is a near-duplicate of the group's centre: stars, not chains.

Connected components would chain unrelated images through look-alikes into one huge group.
"""

from __future__ import annotations

import heapq

import numpy as np

from .duplicates import DuplicatePairs


def group_duplicates(pairs: DuplicatePairs, n: int) -> np.ndarray:
    """Return (n,) int64 group numbers from 0, in the order of their first member; -1 for images without a duplicate.

    The image with the most flagged partners that are still free (ties: the larger sum of scores, then the smaller row)
    becomes a centre and takes them all; repeated until no flagged pair has two free images.
    """
    partners: dict[int, dict[int, float]] = {}
    flagged = pairs.flagged
    for (first, second), score in zip(pairs.rows[flagged].tolist(), pairs.score[flagged].tolist(), strict=True):
        partners.setdefault(first, {})[second] = score
        partners.setdefault(second, {})[first] = score
    raw = np.full(n, -1, np.int64)
    queue = [_rank(row, found) for row, found in partners.items()]
    heapq.heapify(queue)
    number = 0
    while queue:
        *_, centre = heapq.heappop(queue)
        free = {row: score for row, score in partners[centre].items() if raw[row] < 0}
        if raw[centre] >= 0 or not free:
            continue
        if len(free) < len(partners[centre]):  # lost partners since it was ranked: back into the queue
            partners[centre] = free
            heapq.heappush(queue, _rank(centre, free))
            continue
        raw[[centre, *free]] = number
        number += 1
    return _numbered_by_first_member(raw)


def _rank(row: int, partners: dict[int, float]) -> tuple[int, float, int]:
    return -len(partners), -round(sum(partners.values()), 4), row


def _numbered_by_first_member(raw: np.ndarray) -> np.ndarray:
    members = np.flatnonzero(raw >= 0)
    _, first, group = np.unique(raw[members], return_index=True, return_inverse=True)
    numbered = np.full(len(raw), -1, np.int64)
    numbered[members] = np.argsort(np.argsort(first))[group]
    return numbered
