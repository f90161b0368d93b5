"""The two sets of images that `drift` compares, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .drift_space import blocks

FEWEST = 20

Pair = tuple[np.ndarray | None, np.ndarray | None]


@dataclass(frozen=True, eq=False)
class DriftSets:
    """Reference and current images.

    Attributes:
        reference, current: (n, d) and (m, d).
        reference_rows, current_rows: int64. Usable rows: vector and, where there are any, probabilities are finite.
        probs: (n, k) and (m, k), or None.
        statistics: (n, s) and (m, s), or None; statistic_names: s names.
        labels: (n,) int64, -1 = not known; or None.
        trained_on: (t, d) without unusable rows; or None.
    """

    reference: np.ndarray
    current: np.ndarray
    reference_rows: np.ndarray
    current_rows: np.ndarray
    probs: tuple[np.ndarray, np.ndarray] | None
    statistics: tuple[np.ndarray, np.ndarray] | None
    statistic_names: tuple[str, ...]
    labels: np.ndarray | None
    trained_on: np.ndarray | None


def read_sets(
    reference: np.ndarray,
    current: np.ndarray,
    probs: Pair,
    statistics: Pair,
    statistic_names: Sequence[str],
    labels: np.ndarray | None,
    trained_on: np.ndarray | None,
) -> DriftSets:
    """Check what `check_drift` was given.

    Raises:
        ValueError: Shapes that do not fit, or one side only.
        DataError: Fewer than 20 usable rows on a side.
    """
    reference, current = np.asarray(reference), np.asarray(current)
    if reference.ndim != 2 or not reference.shape[1]:
        raise ValueError(f"reference must have shape (n, d) with d >= 1, got {reference.shape}")
    _check_width("current", current, reference.shape[1])
    counts = len(reference), len(current)
    both_probs = _both("probs", probs, counts)
    both_statistics = _both("statistics", statistics, counts)
    names = tuple(statistic_names)
    if len(names) != (0 if both_statistics is None else both_statistics[0].shape[1]):
        raise ValueError(f"statistic_names must name each column of the statistics, got {len(names)} names")
    rows = [
        np.flatnonzero(_finite(vectors) & (True if both_probs is None else _finite(both_probs[side])))
        for side, vectors in enumerate((reference, current))
    ]
    for name, usable, count in zip(("reference", "current"), rows, counts, strict=True):
        if len(usable) < FEWEST:
            raise DataError(
                f"only {len(usable)} of the {count} {name} images can be compared; at least {FEWEST} are needed to "
                "tell a drift from chance. Choose more images, or embed and predict those that have no vector yet."
            )
    if trained_on is not None:
        trained_on = np.asarray(trained_on)
        _check_width("trained_on", trained_on, reference.shape[1])
        trained_on = trained_on[_finite(trained_on)]
        if not len(trained_on):
            raise ValueError("trained_on has no row without NaN; leave it out to measure novelty from the reference")
    return DriftSets(
        reference,
        current,
        rows[0],
        rows[1],
        both_probs,
        both_statistics,
        names,
        _labels(labels, counts[0], both_probs),
        trained_on,
    )


def _check_width(name: str, rows: np.ndarray, width: int) -> None:
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"{name} must have shape (n, {width}) like the reference, got {rows.shape}")


def _both(kind: str, pair: Pair, counts: tuple[int, int]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a value of both sides, or None where there is none of either."""
    then, now = pair
    if then is None and now is None:
        return None
    if then is None or now is None:
        absent, given = ("reference", "current") if then is None else ("current", "reference")
        raise ValueError(f"{given}_{kind} without {absent}_{kind}: give both, or neither")
    then, now = np.asarray(then), np.asarray(now)
    for side, rows, count in (("reference", then, counts[0]), ("current", now, counts[1])):
        if rows.ndim != 2 or len(rows) != count or not rows.shape[1]:
            raise ValueError(f"{side}_{kind} must have shape ({count}, k) like the vectors' rows, got {rows.shape}")
    if then.shape[1] != now.shape[1]:
        raise ValueError(f"current_{kind} must have {then.shape[1]} columns like reference_{kind}, got {now.shape[1]}")
    return then, now


def _labels(labels: np.ndarray | None, count: int, probs: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray | None:
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.shape != (count,):
        raise ValueError(f"reference_labels must have shape ({count},) like the reference's rows, got {labels.shape}")
    if probs is None:
        raise ValueError("reference_labels need reference_probs and current_probs: a label shift is read from these")
    classes = probs[0].shape[1]
    if len(labels) and not -1 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"reference_labels must lie in -1..{classes - 1}, got {labels.min()} to {labels.max()}")
    return labels.astype(np.int64)


def _finite(rows: np.ndarray) -> np.ndarray:
    """Return (n,) bool, block by block."""
    found = np.empty(len(rows), bool)
    for part in blocks(len(rows)):
        found[part] = np.isfinite(rows[part]).all(axis=1)
    return found
