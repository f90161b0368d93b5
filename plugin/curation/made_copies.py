"""Copies that were made on purpose take the same way as the images: what they show, a real copy shows too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .calibration import GENERAL_CURVE, Curve
from .candidates import Candidates
from .centred_rows import Rows
from .crowds import crowd_of_look_alikes
from .evidence import gather_evidence
from .proofs import SETTLED, proof, tried_per_image


@dataclass(frozen=True, eq=False)
class Copies:
    """Copies that were made on purpose of some of n images.

    Attributes:
        source: (c,) int64. The image that each one is a copy of.
        embeddings: (c, d) float32.
        thumbnails: (c, 32, 32) uint8.
        verify: Compares the keypoints of the (k,) copies that it is given with their sources'; returns what `Verify`
            does. None = their score stands on thumbnails alone.
    """

    source: np.ndarray
    embeddings: np.ndarray
    thumbnails: np.ndarray
    verify: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True, eq=False)
class Met:
    """How c copies meet their sources, or in place of the source another image of the same shot.

    Attributes:
        margin: (c,) float32; minus infinity where the thumbnails give the pair up.
        proof: (c,) float32 probability in [0, 1] by keypoints; 0 where they were not compared: the embeddings were not
            close enough, or the thumbnails settled it.
    """

    margin: np.ndarray
    proof: np.ndarray


def meet_sources(
    copies: Copies,
    cosine_of_copies: np.ndarray,
    candidates: Candidates,
    cosine_rows: Rows,
    thumbnails: np.ndarray,
    crowd: np.ndarray,
    shot: np.ndarray,
) -> Met:
    """Send the copies through what the images themselves went through.

    Args:
        copies: The copies.
        cosine_of_copies: (c, d) float32, of length 1.
        candidates: The images' neighbours.
        cosine_rows: (n, d) float32, of length 1.
        thumbnails: (n, 32, 32) uint8.
        crowd: (n,) of the images.
        shot: (n,) int64. Images with the same number are copies beyond doubt. Of a thousand frames of one scene a copy
            meets any eight, seldom its own source; they are as right.
    """
    pairs = candidates.of(cosine_of_copies, copies.embeddings, copies.thumbnails)
    met, rows = np.unique(pairs[:, 1], return_inverse=True)
    together = np.stack([rows, len(met) + pairs[:, 0]], axis=1)
    found = gather_evidence(
        together,
        np.concatenate([cosine_rows[met], cosine_of_copies]),
        np.concatenate([thumbnails[met], copies.thumbnails]),
    )
    # A copy's surroundings are its own; those of the images it meets are known already.
    own = crowd_of_look_alikes(found, len(met) + len(copies.source))
    found = found.with_crowd(np.concatenate([crowd[met], own[len(met) :]]))
    image, copy = met[found.pairs[:, 0]], found.pairs[:, 1] - len(met)
    same_shot, own_source = shot[image] == shot[copies.source[copy]], image == copies.source[copy]
    margin = np.full(len(copies.source), -np.inf, np.float32)
    np.maximum.at(margin, copy[same_shot], found.margin[same_shot])
    margin[copy[own_source]] = found.margin[own_source]
    is_right = shot[pairs[:, 1]] == shot[copies.source[pairs[:, 0]]]
    close = _among_closest(pairs, cosine_of_copies, cosine_rows, is_right, len(margin))
    proofs = np.zeros(len(margin), np.float32)
    (undecided,) = np.nonzero(close & (GENERAL_CURVE(margin) < SETTLED))
    if copies.verify is not None and len(undecided):
        proofs[undecided] = proof(copies.verify(undecided))
    return Met(margin, proofs)


def _among_closest(pairs: np.ndarray, copies: np.ndarray, rows: Rows, is_right: np.ndarray, count: int) -> np.ndarray:
    """Return (count,) bool: a right image is one of those that a copy's keypoints would be compared with."""
    cosine = np.einsum("ij,ij->i", copies[pairs[:, 0]], rows[pairs[:, 1]])
    order = np.lexsort((pairs[:, 1], -np.round(cosine, 4), pairs[:, 0]))
    copy = pairs[order, 0]
    place = np.arange(len(copy)) - np.searchsorted(copy, copy)
    found = np.zeros(count, bool)
    found[copy[(place < tried_per_image(len(rows))) & is_right[order]]] = True
    return found


def recall_of(met: Met, curve: Curve, threshold: float) -> float:
    """Return the share of the copies that reach the threshold."""
    return float((np.maximum(np.round(curve(met.margin), 4), met.proof) >= threshold).mean())
