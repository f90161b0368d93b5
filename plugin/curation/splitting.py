"""Makes splits in which every class has its share, and nothing that belongs together is torn apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from .dealing import deal, with_size
from .quotas import deal_singles
from .splits import precedence
from .units import number_by_first

_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Splits:
    """Which of n images lie in which split, and how near that comes to the fractions.

    The c columns are the classes and what has none: with one label an image, the k classes and the unlabelled; with
    several, the k classes, the images without any of them, and those not annotated at all.

    Attributes:
        split: (n,) object. Name of each image's split.
        names: The s splits that were dealt to, in the order of the fractions.
        counts: (c, s) int64 images; without those that are frozen in other splits.
        ideal: (c, s) float64 images that each split would have if images could be divided. A split that holds more
            frozen images than its share keeps them; the others share the rest.
        conflicts: (m,) int64. Frozen images that lie in one unit with images frozen in another split. They stay, so
            that these units straddle.
    """

    split: np.ndarray
    names: tuple[str, ...]
    counts: np.ndarray
    ideal: np.ndarray
    conflicts: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """(c, s) float64. Images above the ideal, below it where negative."""
        return self.counts - self.ideal

    @property
    def largest_deviation(self) -> float:
        """How many images the worst class and split are off the ideal."""
        return float(np.abs(self.deviation).max(initial=0))


def make_splits(
    labels: np.ndarray,
    units: np.ndarray,
    fractions: Mapping[str, float],
    *,
    frozen: np.ndarray | None = None,
    seed: int = 0,
) -> Splits:
    """Deal n images to splits, by whole units.

    Args:
        labels: (n,) int, -1 = unlabelled; or (n, k) in {0, 1, NaN} where an image has several, NaN = not annotated.
        units: (n,) int. Images with the same number stay together.
        fractions: Split -> its share of the images; the shares sum to 1.
        frozen: (n,) object. The split that an image must keep, "" where it is free. The other images of its unit
            follow it. A split without a fraction gets nothing else, and the fractions are those of the rest.
        seed: Decides which of the units of the same kind go where.

    Returns:
        Splits in which single images of each class are within one of the ideal, and sizes too. Larger units are placed
        as well as a search by moves and swaps finds. Rows should be in the order of the ids: the result depends on it.

    Raises:
        ValueError: The fractions do not sum to 1, or one of them is not positive; an array has another length.
    """
    names, shares = check_fractions(fractions)
    n = len(labels)
    held = np.full(n, "", object) if frozen is None else frozen
    if len(units) != n or len(held) != n:
        raise ValueError(f"units and frozen must have {n} values like labels, got {len(units)} and {len(held)}")
    unit = number_by_first(units)
    split, conflicts = follow_frozen(unit, held)
    free = np.flatnonzero(split == "")
    columns = _columns(labels)
    given = _tally(columns, split, names)
    ideal = _ideal(columns, given, shares, np.flatnonzero(np.isin(split, ["", *names])))
    split[free] = np.array(names, object)[_deal_free(columns[free], unit[free], ideal, given, seed)]
    counts = _tally(columns, split, names)[:-1]
    return Splits(split, names, counts.astype(np.int64), ideal[:-1], conflicts)


def check_fractions(fractions: Mapping[str, float]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the splits and (s,) their shares.

    Raises:
        ValueError: The shares are not positive or do not sum to 1, or a split has no name.
    """
    told = ", ".join(f"{name}={share:g}" for name, share in fractions.items())
    shares = np.array(list(fractions.values()), np.float64)
    if "" in fractions or not (shares > 0).all() or abs(shares.sum() - 1) > _SUM_TOLERANCE:
        raise ValueError(
            f"the fractions must be positive and sum to 1, got {told or 'none'} (sum {shares.sum():g}). "
            "For example: train=0.8, validation=0.1, test=0.1."
        )
    return tuple(fractions), shares / shares.sum()


def count_classes(labels: np.ndarray, split: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return (c, s) int64: the images of each column of `Splits` in each of the named splits."""
    return _tally(_columns(labels), split, names)[:-1].astype(np.int64)


def follow_frozen(unit: np.ndarray, frozen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the images of units with frozen ones the split of these.

    Args:
        unit: (n,) int.
        frozen: (n,) object, "" = free.

    Returns:
        (n,) object splits, "" where the unit is free. In a unit with several frozen splits the frozen images stay, and
        the others go to the one with most of them (ties: test, validation, train, then by name). And (m,) int64 rows
        of the frozen images of such units.
    """
    split = frozen.astype(object, copy=True)
    kept = np.flatnonzero(frozen != "")
    votes: dict[int, dict[str, int]] = {}
    for row in kept:
        held = votes.setdefault(int(unit[row]), {})
        held[frozen[row]] = held.get(frozen[row], 0) + 1
    winner = {number: min(held, key=lambda name: (-held[name], *precedence(name))) for number, held in votes.items()}
    for row in np.flatnonzero((frozen == "") & np.isin(unit, list(winner))):
        split[row] = winner[int(unit[row])]
    torn = [number for number, held in votes.items() if len(held) > 1]
    return split, kept[np.isin(unit[kept], torn)]


def _columns(labels: np.ndarray) -> csr_array:
    """Return (n, c) 0 or 1: the classes of each image, and what it is where it has none."""
    n = len(labels)
    if labels.ndim == 1:
        k = int(labels.max(initial=-1)) + 1
        where = np.where(labels < 0, k, labels)
        return csr_array((np.ones(n), (np.arange(n), where)), shape=(n, k + 1))
    row, column = np.nonzero(labels == 1)
    missing = np.flatnonzero(~(labels == 1).any(axis=1))
    unknown = np.isnan(labels[missing]).all(axis=1)
    rows, columns = np.concatenate([row, missing]), np.concatenate([column, labels.shape[1] + unknown])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, labels.shape[1] + 2))


def _members(groups: np.ndarray, n_groups: int) -> csr_array:
    """Return (n, n_groups) 0 or 1: the group of each row; -1 = none."""
    rows = np.flatnonzero(groups >= 0)
    return csr_array((np.ones(len(rows)), (rows, groups[rows])), shape=(len(groups), n_groups))


def _tally(columns: csr_array, split: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return (c + 1, s) the images of each column, and of all, in each split."""
    number = np.full(len(split), -1)
    for index, name in enumerate(names):
        number[split == name] = index
    return (with_size(columns, np.ones(len(split))).T @ _members(number, len(names))).toarray()


def _ideal(columns: csr_array, given: np.ndarray, shares: np.ndarray, dealt: np.ndarray) -> np.ndarray:
    """Return (c + 1, s) the images that each split should have of each column, and of all."""
    rest = columns[dealt]
    totals = np.append(np.asarray(rest.sum(axis=0)), len(dealt))
    ideal = np.array([_share_out(total, held, shares) for total, held in zip(totals, given, strict=True)])
    if rest.nnz == len(dealt):  # one label an image: then the size of a split is the sum of its classes
        ideal[-1] = ideal[:-1].sum(axis=0)
    return ideal


def _share_out(total: float, held: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return (s,) numbers that sum to `total`, proportional to the shares, except where more is held already."""
    full = np.zeros(len(shares), bool)
    while True:
        level = (total - held[full].sum()) / shares[~full].sum() if not full.all() else 0.0
        over = ~full & (held > level * shares + _SUM_TOLERANCE)
        if not over.any():
            return np.where(full, held, level * shares)
        full |= over


def _deal_free(columns: csr_array, units: np.ndarray, ideal: np.ndarray, given: np.ndarray, seed: int) -> np.ndarray:
    """Return (f,) the split of each free image, as a number."""
    if not len(units):
        return np.zeros(0, np.int64)
    unit = number_by_first(units)
    size = np.bincount(unit)
    content = with_size(csr_array(_members(unit, len(size)).T @ columns), size)
    kind, kinds = _kinds(content)
    counts = np.bincount(kind)
    rng = np.random.default_rng(seed)
    dealt = deal(kinds, counts, ideal, given, _order(kinds), rng)
    single = np.flatnonzero((kinds[:, [-1]].toarray().ravel() == 1) & (np.diff(kinds.indptr) == 2))
    _deal_singles_again(kinds, counts, dealt, single, ideal - given)
    shuffled = rng.permutation(len(size))
    by_kind = shuffled[np.argsort(kind[shuffled], kind="stable")]
    split = np.empty(len(size), np.int64)
    split[by_kind] = np.repeat(np.tile(np.arange(dealt.shape[1]), len(dealt)), dealt.ravel())
    return split[unit]


def _deal_singles_again(
    kinds: csr_array, counts: np.ndarray, dealt: np.ndarray, single: np.ndarray, missing: np.ndarray
) -> None:
    """Replace how images that stand alone with one label are dealt: for them there is an exact solution."""
    dealt[single] = 0
    wanted = missing - np.asarray(kinds.T @ dealt)
    column = kinds[single].indices.reshape(-1, 2).min(axis=1)
    dealt[single] = deal_singles(counts[single], wanted[column], wanted[-1])


def _kinds(content: csr_array) -> tuple[np.ndarray, csr_array]:
    """Return (u,) the kind of each unit, numbered by the first unit, and (p, c + 1) what a unit of each kind holds."""
    key = np.random.default_rng(0).integers(1, 2**62, content.shape[1])
    content.sort_indices()
    kind = number_by_first(csr_array(content.astype(np.int64)) @ key)  # equal rows and, but for 1 in 2**62, no others
    _, first = np.unique(kind, return_index=True)
    kinds = csr_array(content[first])
    kinds.sort_indices()
    return kind, kinds


def _order(kinds: csr_array) -> np.ndarray:
    """Return the kinds with the largest units first, those of the rarest class first among equals."""
    totals = np.asarray(kinds.sum(axis=0))
    rarest = np.minimum.reduceat(totals[kinds.indices], kinds.indptr[:-1])
    return np.lexsort((rarest, -kinds[:, [-1]].toarray().ravel()))
