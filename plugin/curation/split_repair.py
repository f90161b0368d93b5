"""Repairs existing splits: moves the fewest images that leave nothing torn apart between two splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .splits import precedence


@dataclass(frozen=True, eq=False)
class RepairedSplits:
    """Splits after a repair.

    Attributes:
        split: (n,) object. Name of each image's split; "" = pool, as before.
        moved: (m,) int64. The rows that moved, in ascending order.
        origin: (m,) object. The split that each of them came from.
        conflicts: (c,) int64. Images of frozen splits whose unit lies in another frozen split too. They stay, so that
            these units straddle.
    """

    split: np.ndarray
    moved: np.ndarray
    origin: np.ndarray
    conflicts: np.ndarray

    @property
    def target(self) -> np.ndarray:
        """(m,) object. The split that each moved image went to."""
        return self.split[self.moved]


def repair_splits(
    splits: np.ndarray, labels: np.ndarray, units: np.ndarray, *, frozen: Sequence[str] = ()
) -> RepairedSplits:
    """Bring each unit into one split: the one that holds most of it already.

    No smaller number of moves would do. Where several splits hold the same number, the classes decide: the unit goes
    where it moves their counts least away from what they were; then test goes before validation before train.

    Args:
        splits: (n,) object. "" = in no split: such images stay, since nobody trains or tests with them.
        labels: (n,) int, -1 = unlabelled; or (n, k) in {0, 1, NaN}.
        units: (n,) int. Images with the same number belong together.
        frozen: Splits that lose no image. A unit that touches one goes there as a whole.

    Raises:
        ValueError: An array has another length, or a frozen split does not occur.
    """
    n = len(splits)
    if len(labels) != n or len(units) != n:
        raise ValueError(f"labels and units must have {n} values like splits, got {len(labels)} and {len(units)}")
    if unknown := sorted(set(frozen).difference(splits)):
        raise ValueError(f"there is no split {', '.join(unknown)} to freeze; there are: {', '.join(_names(splits))}")
    split = splits.astype(object, copy=True)
    drift = _Drift(labels)
    conflicts: list[int] = []
    for rows in _straddling(splits, units):
        held: dict[str, int] = defaultdict(int)
        for row in rows:
            held[splits[row]] += 1
        fixed = {name: count for name, count in held.items() if name in frozen}
        stay = set(fixed) if len(fixed) > 1 else set()
        movable = [row for row in rows if splits[row] not in stay]
        target = _target(fixed or held, splits, movable, drift)
        moving = [row for row in movable if splits[row] != target]
        conflicts += [row for row in rows if splits[row] in stay]
        drift.move(splits, moving, target)
        split[moving] = target
    moved = np.flatnonzero(split != splits)
    return RepairedSplits(split, moved, splits[moved], np.array(sorted(conflicts), np.int64))


class _Drift:
    """How far the moves so far have taken each split's classes away from what they were, in images."""

    def __init__(self, labels: np.ndarray) -> None:
        self._labels = labels
        self._images: dict[tuple[str, int], int] = defaultdict(int)

    def move(self, splits: np.ndarray, rows: list[int], target: str) -> None:
        for (name, label), change in self._changes(splits, rows, target).items():
            self._images[name, label] += change

    def cost(self, splits: np.ndarray, rows: list[int], target: str) -> int:
        """Return by how much moving the rows changes the sum of squares of all drifts."""
        changes = self._changes(splits, rows, target)
        return sum(change * (2 * self._images.get(cell, 0) + change) for cell, change in changes.items())

    def _changes(self, splits: np.ndarray, rows: list[int], target: str) -> dict[tuple[str, int], int]:
        changes: dict[tuple[str, int], int] = defaultdict(int)
        for row in rows:
            if splits[row] != target:
                for label in self._classes(row):
                    changes[splits[row], label] -= 1
                    changes[target, label] += 1
        return changes

    def _classes(self, row: int) -> list[int]:
        if self._labels.ndim == 1:
            return [int(self._labels[row])]
        return np.flatnonzero(self._labels[row] == 1).tolist() or [-1]


def _target(held: dict[str, int], splits: np.ndarray, rows: list[int], drift: _Drift) -> str:
    most = max(held.values())
    tied = [name for name, count in held.items() if count == most]
    if len(tied) == 1:
        return tied[0]
    return min(tied, key=lambda name: (drift.cost(splits, rows, name), precedence(name)))


def _straddling(splits: np.ndarray, units: np.ndarray) -> list[list[int]]:
    """Return the rows of each unit that lies in several splits, those of the pool left out, by their first row."""
    rows = np.flatnonzero(splits != "")
    _, unit = np.unique(units[rows], return_inverse=True)
    _, split = np.unique(splits[rows].astype(str), return_inverse=True)
    low, high = np.full(len(rows), len(rows)), np.full(len(rows), -1)
    np.minimum.at(low, unit, split)
    np.maximum.at(high, unit, split)
    torn: dict[int, list[int]] = defaultdict(list)
    for place in np.flatnonzero((low < high)[unit]):
        torn[int(unit[place])].append(int(rows[place]))
    return list(torn.values())


def _names(splits: np.ndarray) -> list[str]:
    return sorted(set(splits) - {""}, key=precedence)
