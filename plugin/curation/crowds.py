"""The crowd: how alike an image's surroundings are. Plain product shots all agree with each other."""

from __future__ import annotations

import numpy as np

from .calibration import GENERAL_CURVE
from .evidence import Evidence
from .units import join_units

_CROWD = 5  # look-alikes; no more pairs than that are sure to have been aligned
_WEAKEST = 1.0
# No surroundings of look-alikes are more alike, but for one garment in fifty of Fashion-MNIST's; those of a frame of a
# video are.
_LARGEST = 4.2
_SURE_STRENGTH = 7.0  # that no look-alike reaches
_SURE = 0.9  # probability, once the crowd is known
_ROUNDS = 3


def crowd_of_look_alikes(evidence: Evidence, n: int) -> np.ndarray:
    """Return (n,) crowds: what proves to be copies in one round is no crowd of each other in the next."""
    crowd = crowds(evidence.strength, evidence.pairs, n)
    for _ in range(_ROUNDS):
        crowd = crowds(evidence.strength, evidence.pairs, n, copies_beyond_doubt(evidence, crowd))
    return crowd


def copies_beyond_doubt(evidence: Evidence, crowd: np.ndarray) -> np.ndarray:
    """Return (m,) bool: the pair is one of copies for sure, given the images' (n,) crowds."""
    return GENERAL_CURVE(evidence.with_crowd(crowd).margin) >= _SURE


def crowds(strength: np.ndarray, pairs: np.ndarray, n: int, sure: np.ndarray | None = None) -> np.ndarray:
    """Return (n,) how alike each image's surroundings are.

    It is the mean strength of the five look-alikes that follow an image's best partner, within limits; where there are
    fewer, the rest counts as the weakest that a pair can be. Images that are copies beyond doubt are one look-alike,
    and none of each other: else the copies of one image would be each other's crowd, and hide its less similar copies.

    Args:
        strength: (m,) of each pair.
        pairs: (m, 2) int64.
        n: Number of images.
        sure: (m,) bool. Which pairs are copies beyond doubt; None = those stronger than any look-alike.
    """
    shot = join_units(n, pairs[strength >= _SURE_STRENGTH if sure is None else sure])
    images, partners = np.concatenate([pairs, pairs[:, ::-1]]).T
    values = np.concatenate([strength, strength]).astype(np.float64)
    others = shot[images] != shot[partners]
    images, of, values = images[others], shot[partners[others]], values[others]
    # The best pair with each look-alike, the look-alikes of an image in descending order.
    order = np.lexsort((-values, of, images))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(images[order]) != 0) | (np.diff(of[order]) != 0)
    images, values = images[order[first]], values[order[first]]
    order = np.lexsort((-values, images))
    images, values = images[order], values[order]
    place = np.arange(len(images)) - np.searchsorted(images, images)
    counted = (place >= 1) & (place <= _CROWD)
    missing = _CROWD - np.bincount(images[counted], minlength=n)
    total = np.bincount(images[counted], values[counted], minlength=n) + missing * _WEAKEST
    return np.minimum(total / _CROWD, _LARGEST)
