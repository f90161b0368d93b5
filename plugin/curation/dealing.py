"""Deals units of images to splits, so that each class is spread as the fractions say.

Iterative stratification (Sechidis et al. 2011, "On the stratification of multi-label data", ECML PKDD), carried over
from images to units of several: the largest units are dealt first, those of the rarest class first among equals, each
to the split that lags furthest behind. Units with the same number of images of each class are one kind, and a kind is
dealt at once. Then units move and swap splits as long as that brings the classes nearer to their ideal. Where few
units leave a class more than one image off, the search is repeated from places near the best one (iterated local
search, Lourenco et al. 2003).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, hstack

_SIZE_WEIGHT = 1e-3  # the size of a split decides between equals: it must not push a class off its ideal
_SHORTLIST = 1024
_ROUNDS = 500
_RESTARTS = 100
_RESTARTED_UNITS = 20_000  # restarts times units: a bound on the time that they take
_KICKED = 3
_GAIN = 1e-9  # below it, rounding errors would move units back and forth


class Table:
    """Kinds of units, how many of each kind lie in which split, and how far that is off the ideal.

    Attributes:
        kinds: (p, c) sparse float64. Images of each class in a unit of each kind; the last column counts all images.
        dealt: (p, s) int64. Units of each kind in each split.
        off: (c, s) float64. Images too many (too few where negative).
    """

    def __init__(self, kinds: csr_array, off: np.ndarray) -> None:
        self.kinds = kinds
        self.dealt = np.zeros((kinds.shape[0], off.shape[1]), np.int64)
        self.off = off
        weights = np.ones(len(off))
        weights[-1] = _SIZE_WEIGHT
        self.weighted = csr_array(kinds * weights)
        self.square = np.asarray((kinds * self.weighted).sum(axis=1)).ravel()

    def columns(self, kind: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns in which a unit has images, and how many."""
        part = slice(self.kinds.indptr[kind], self.kinds.indptr[kind + 1])
        return self.kinds.indices[part], self.kinds.data[part]

    def pull(self, kind: int) -> np.ndarray:
        """Return (s,) float64: half of what the sum of squares grows by, to first order, with one more unit."""
        part = slice(self.kinds.indptr[kind], self.kinds.indptr[kind + 1])
        return self.weighted.data[part] @ self.off[self.kinds.indices[part]]

    def add(self, kind: int, units: np.ndarray) -> None:
        """Add (s,) int64 units, fewer where negative."""
        columns, images = self.columns(kind)
        self.dealt[kind] += units
        self.off[columns] += images[:, None] * units

    def cost(self) -> float:
        """Return the weighted sum of the squares of what is off."""
        squares = (self.off**2).sum(axis=1)
        return float(squares[:-1].sum() + _SIZE_WEIGHT * squares[-1])


def deal(
    kinds: csr_array,
    counts: np.ndarray,
    ideal: np.ndarray,
    given: np.ndarray,
    order: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Deal units to s splits.

    Args:
        kinds: (p, c) sparse. Images of each class in a unit of each kind; the last column counts all images.
        counts: (p,) int64 units of each kind.
        ideal: (c, s) float64 images that each split should end up with.
        given: (c, s) float64 images that each split has already.
        order: (p,) the kinds in the order in which they are dealt.
        rng: Chooses where the search is repeated.

    Returns:
        (p, s) int64 units of each kind in each split.
    """
    missing = ideal - given
    shares = missing / np.maximum(missing.sum(axis=1, keepdims=True), _GAIN)
    table = Table(kinds, np.zeros_like(ideal))
    for kind in order:
        columns, images = table.columns(kind)
        table.off[columns] -= (counts[kind] * images)[:, None] * shares[columns]
        lag = -table.pull(kind) / table.square[kind]
        table.add(kind, round_to_sum(fill(lag, counts[kind]), counts[kind]))
    table.off = (kinds.T @ table.dealt) - missing
    _improve(table)
    _search_nearby(table, counts, rng)
    return table.dealt


def _improve(table: Table) -> None:
    """Move and swap units until that brings nothing."""
    for _ in range(_ROUNDS):
        if not _move(table) and not _swap(table):
            return


def _search_nearby(table: Table, counts: np.ndarray, rng: np.random.Generator) -> None:
    """Improve again after moving a few units at random, and keep the best that is found."""
    kind_of_unit = np.repeat(np.arange(len(counts)), counts) if counts.sum() <= _RESTARTED_UNITS else counts[:0]
    best = table.cost()
    for _ in range(min(_RESTARTS, _RESTARTED_UNITS // max(1, int(counts.sum())))):
        if np.abs(table.off[:-1]).max() < 1:
            return
        dealt, off = table.dealt.copy(), table.off.copy()
        for kind in rng.choice(kind_of_unit, _KICKED):
            source = rng.choice(np.flatnonzero(table.dealt[kind]))
            table.add(kind, _transfer(table, source, rng.integers(off.shape[1]), 1))
        _improve(table)
        if table.cost() < best - _GAIN:
            best = table.cost()
        else:
            table.dealt, table.off = dealt, off


def fill(wanted: np.ndarray, total: float) -> np.ndarray:
    """Return the non-negative numbers nearest to (s,) `wanted` that sum to `total` (projection onto the simplex)."""
    falling = np.sort(wanted)[::-1]
    excess = (np.cumsum(falling) - total) / np.arange(1, len(wanted) + 1)
    level = excess[np.flatnonzero(falling >= excess)[-1]]
    return np.maximum(wanted - level, 0)


def round_to_sum(values: np.ndarray, total: int) -> np.ndarray:
    """Round (s,) non-negative numbers that sum to `total` by largest remainder; ties go to the first."""
    low = np.floor(values + _GAIN).astype(np.int64)
    up = np.argsort(-np.round(values - low, 9), kind="stable")[: int(total) - int(low.sum())]
    low[up] += 1
    return low


def _move(table: Table) -> bool:
    """Move units, the most useful first, and tell whether any was."""
    gain, source, target = _best_moves(table)
    useful = np.flatnonzero(gain < -_GAIN)
    moved = False
    for kind in useful[np.argsort(gain[useful], kind="stable")]:
        a, b = source[kind], target[kind]
        pull, square = table.pull(kind), table.square[kind]
        if table.dealt[kind, a] and pull[b] - pull[a] + square < -_GAIN:  # earlier moves may have used it up
            units = min(table.dealt[kind, a], int((pull[a] - pull[b]) / (2 * square) + 0.5))
            table.add(kind, _transfer(table, a, b, units))
            moved = True
    return moved


def _best_moves(table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each kind the best move of one unit: half its change of the sum of squares, from where, to where."""
    pull = table.weighted @ table.off
    source = np.where(table.dealt > 0, pull, -np.inf).argmax(axis=1)
    target = pull.argmin(axis=1)
    rows = np.arange(len(pull))
    gain = pull[rows, target] - pull[rows, source] + table.square
    return np.where(source == target, np.inf, gain), source, target


def _swap(table: Table) -> bool:
    """Swap units between two splits, among those that move at the least cost, and tell whether any were."""
    splits = table.off.shape[1]
    return any([_swap_between(table, a, b) for a in range(splits) for b in range(a + 1, splits)])


def _swap_between(table: Table, a: int, b: int) -> bool:
    pull = table.weighted @ table.off
    forth = pull[:, b] - pull[:, a] + table.square
    back = pull[:, a] - pull[:, b] + table.square
    left = _cheapest(forth, table.dealt[:, a])
    right = _cheapest(back, table.dealt[:, b])
    shared = (table.weighted[left] @ table.kinds[right].T).toarray()
    change = forth[left][:, None] + back[right] - 2 * shared
    swapped = False
    useful = np.flatnonzero(change.ravel() < -_GAIN)
    for place in useful[np.argsort(change.ravel()[useful], kind="stable")][:_SHORTLIST]:
        row, column = divmod(int(place), len(right))
        first, second = left[row], right[column]
        if table.dealt[first, a] and table.dealt[second, b]:
            ahead, behind = table.pull(first), table.pull(second)
            now = (ahead - behind)[b] - (ahead - behind)[a] + table.square[first] + table.square[second]
            if now - 2 * shared[row, column] < -_GAIN:
                table.add(first, _transfer(table, a, b, 1))
                table.add(second, _transfer(table, b, a, 1))
                swapped = True
    return swapped


def _cheapest(cost: np.ndarray, units: np.ndarray) -> np.ndarray:
    there = np.flatnonzero(units)
    return there[np.argsort(cost[there], kind="stable")[:_SHORTLIST]]


def _transfer(table: Table, a: int, b: int, units: int) -> np.ndarray:
    change = np.zeros(table.off.shape[1], np.int64)
    change[a] -= units
    change[b] += units
    return change


def with_size(classes: csr_array, size: np.ndarray) -> csr_array:
    """Return (p, k) images of each class with a last column for (p,) all images."""
    return csr_array(hstack([classes, csr_array(size[:, None])]).astype(np.float64))
