"""The pairs that a search for nearest neighbours leaves out of a crowd of copies.

An image has a few candidates. Of a thousand frames of one scene each meets another handful, and a group, whose members
all have to be close to its centre, would fall apart into dozens. So the best connected image of each crowd is compared
with all of it: one pair an image more.
"""

from __future__ import annotations

import numpy as np

from .pair_sets import each_once, pair_numbers
from .units import join_units

_SMALLEST_CROWD = 4  # of fewer images, each is a candidate of each


def hub_pairs(flagged: np.ndarray, known: np.ndarray, n: int) -> np.ndarray:
    """Return the pairs of the best connected image of each crowd with those that it was not compared with.

    Args:
        flagged: (m, 2) int64. Pairs of near-duplicates, each once.
        known: (k, 2) int64. Pairs that were compared, the smaller row first.
        n: Number of images.

    Returns:
        (p, 2) int64, the smaller row first, in ascending order; none of them is known.
    """
    partners = np.bincount(flagged.ravel(), minlength=n)
    crowd = join_units(n, flagged)
    members = np.flatnonzero(np.bincount(crowd, minlength=1)[crowd] >= _SMALLEST_CROWD)
    order = members[np.lexsort((members, -partners[members], crowd[members]))]
    first = np.unique(crowd[order], return_index=True)[1]
    hub = np.empty(n, np.int64)
    hub[crowd[order[first]]] = order[first]
    others = members[hub[crowd[members]] != members]
    pairs = np.sort(np.stack([hub[crowd[others]], others], axis=1), axis=1)
    return each_once(pairs[~np.isin(pair_numbers(pairs, n), pair_numbers(known, n))])
