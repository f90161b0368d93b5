"""The default way to choose a batch: typical images while labels are few, then uncertain ones that differ.

With few labels the classifier does not know yet what it does not know, and what is typical of many images teaches it
most (Hacohen et al. 2022, arXiv:2202.02794, "phase transition"); later what it is unsure of does. The figures here were
chosen on a development part of two data sets, see `benchmarks/active_learning.py`.
"""

from __future__ import annotations

import numpy as np

from . import selection_strategies as strategies
from .selection_pool import Pool
from .uncertainty import Outputs

_FEW = 10  # labels a class
_POWER = 4.0
_SHORTLIST = 5  # candidates for each image that is to be chosen, where it goes for some classes


def is_cold(outputs: Outputs | None, labelled: int) -> bool:
    """Whether labels are too few to go by what a classifier is unsure of."""
    return outputs is None or labelled < _FEW * outputs.probs.shape[1]


def take_auto(
    pool: Pool,
    n: int,
    doubt: np.ndarray,
    describe: strategies.Describe,
    rng: np.random.Generator,
    *,
    targeted: bool = False,
) -> None:
    """Take of as many clusters as there are images to choose the one in the middle, doubt being what counts.

    Args:
        pool: The candidates.
        n: Size of the batch.
        doubt: (m,) in 0..1. The classifier's margin, or what is promised of target classes.
        describe: Tells a candidate's score and reason.
        rng: Of the clustering.
        targeted: Take only candidates of the largest doubt, which is the promise of some classes then.
    """
    rows = np.flatnonzero(pool.free)
    if targeted:
        rows = rows[np.argsort(-np.round(doubt[rows], 4), kind="stable")][: _SHORTLIST * (n - len(pool.taken))]
    strategies.take_centres(pool, n, np.sort(rows), np.maximum(doubt, 0) ** _POWER, describe, rng)
