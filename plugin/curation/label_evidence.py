"""Evidence of an image's true class from the images around it: a probe's word, and its neighbours' votes.

Each kind of evidence is a function of row numbers, so that the scores of a million images for a thousand classes never
lie in memory at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import log_softmax

from ..progress import Progress, silent
from .nearest_rows import MakeNearest
from .neighbors import NeighborIndex
from .probe import Probe, fit_temperature
from .vote_space import LAYOUT_WEIGHTS, VoteSpace

LabelEvidence = Callable[[np.ndarray], np.ndarray]
"""From (m,) int row numbers to (m, k) float64 logarithms of probabilities, made without those rows' own labels."""

NEIGHBORS = 30
_CHOOSING_AMONG, _CHOOSING_ASKED = 50_000, 2_000  # images that the weight of the layout is chosen among, and by
# Up to here all rows are compared: an inexact search finds seven in ten of the 30 nearest, and the votes' average
# precision on CIFAR-10N falls by .02.
_EXACT_UP_TO = 200_000
_VOTE_SHARPNESS = 0.1
_VOTE_FLOOR = 0.05
_LEAST = 1e-12  # a probability of the probe below this says no more than this
_LEAST_GIVEN = 1e-6  # the same for probabilities that somebody else calibrated
_BLOCK = 8_192
# Shares of votes lie in groups: apart by more than the gap, narrower than the spread (a floor under "no vote" shifts
# them by that much), and with many members each, where other probabilities are all different.
_STEP_ROWS = 5_000
_STEP_GAP, _STEP_SPREAD, _PER_STEP, _WIDE_SHARE = 0.002, 0.01, 10, 0.01
_AT_ONCE = 1_024
_STEP = "neighbour votes"


@dataclass(frozen=True, eq=False)
class ProbeEvidence:
    """What a probe says of the (n, d) embeddings that it was fitted on while they were held out."""

    probe: Probe
    embeddings: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return np.maximum(log_softmax(self.probe.held_out_logits(self.embeddings, rows), axis=1), np.log(_LEAST))


@dataclass(frozen=True, eq=False)
class GivenEvidence:
    """Somebody's out-of-sample probabilities.

    Attributes:
        probabilities: (n, k), any float type; may be memory-mapped.
    """

    probabilities: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        likely = np.asarray(self.probabilities[rows], np.float64) + self._step / 2
        return np.log(np.maximum(likely, _LEAST_GIVEN))

    @cached_property
    def _step(self) -> float:
        """What one vote adds. Half a vote more for each class (Jeffreys 1946) keeps "no vote" from meaning "never":
        taken by its word, it makes labels look wrong that a few neighbours merely do not share.
        """
        return vote_step(self.probabilities)


def vote_step(probabilities: np.ndarray) -> float:
    """Return the step by which probabilities grow that are shares of a few votes, or are rounded; 0 where they are not.

    Args:
        probabilities: (n, k). Some thousand rows are looked at.
    """
    n = len(probabilities)
    looked_at = np.asarray(probabilities[:: max(1, n // _STEP_ROWS)], np.float64)
    values = np.sort(looked_at[(looked_at > _STEP_GAP) & (looked_at < 1 - _STEP_GAP)])
    if len(values) < 2 * _PER_STEP:
        return 0.0
    groups = np.split(values, np.flatnonzero(np.diff(values) > _STEP_GAP) + 1)
    wide = sum(len(group) for group in groups if group[-1] - group[0] > _STEP_SPREAD)
    if len(groups) < 2 or len(values) < _PER_STEP * len(groups) or wide > _WIDE_SHARE * len(values):
        return 0.0
    return float(np.diff([group.mean() for group in groups]).min())


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest other images of each of n images.

    Attributes:
        rows: (n, v) int. Their row numbers, nearest first.
        weight: (n, v) float32 >= 0. How much the vote of each counts; 0 for members of the image's own group.
    """

    rows: np.ndarray
    weight: np.ndarray

    def of(self, images: np.ndarray) -> Nearest:
        """Return those of some images, by (m,) int row numbers; the neighbours' own numbers stay."""
        return Nearest(self.rows[images], self.weight[images])


@dataclass(frozen=True, eq=False)
class VoteEvidence:
    """How the 30 nearest images that have a label vote on an image's class.

    Attributes:
        nearest: Of m images, among n.
        labels: (n,) int in [0, k), the classes; -1 = has no vote.
        n_classes: k.
    """

    nearest: Nearest
    labels: np.ndarray
    n_classes: int

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        labels = self.labels[self.nearest.rows[rows]]
        weight = np.where(labels >= 0, self.nearest.weight[rows], 0).astype(np.float64)
        weight[np.cumsum(weight > 0, axis=1) > NEIGHBORS] = 0
        votes = np.zeros((len(rows), self.n_classes))
        np.add.at(votes, (np.arange(len(rows))[:, None], labels), weight)
        # No class gets less than a twentieth of an average vote, so that thirty neighbours never rule one out.
        votes += _VOTE_FLOOR * self._usual_vote
        return np.log(votes / votes.sum(axis=1, keepdims=True))

    @cached_property
    def _usual_vote(self) -> float:
        weight = self.nearest.weight
        return max(float(weight.sum(dtype=np.float64)) / max(np.count_nonzero(weight), 1), _LEAST)


def nearest_images(
    embeddings: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    thumbnails: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    spare: int = 0,
    seed: int = 0,
    make_nearest: MakeNearest | None = None,
    progress: Progress = silent,
) -> Nearest:
    """Find the 30 nearest other images of each image, by the cosine in a `VoteSpace`.

    Args:
        embeddings: (n, d).
        groups: (n,) int. Members of a group (numbers >= 0) do not vote on each other; -1 = alone.
        thumbnails: (n, 32, 32) uint8, grey, or None. Layout counts by as much as helps the votes on `labels`.
        labels: (n,) int in [0, k), or (n, k) in {0, 1}: what the neighbours vote on; -1 = not known.
        spare: Find so many more, where some may turn out to have no label.
        seed: Of the images that the weight of the layout is chosen by.
        make_nearest: What knows the neighbours of the space's rows; None = they are compared here.
        progress: Told after each block.
    """
    groups = np.full(len(embeddings), -1) if groups is None else groups
    space = VoteSpace(embeddings, thumbnails)
    weight = 0.0
    if thumbnails is not None and labels is not None:
        weight = _weight_of_layout(space, groups, labels, seed, progress)
    white = space.rows(weight)
    largest = int(np.bincount(groups[groups >= 0], minlength=1).max(initial=0))
    wanted = min(NEIGHBORS + spare + largest, 4 * NEIGHBORS)
    if make_nearest is None:
        index = NeighborIndex(white, exact=True if len(white) <= _EXACT_UP_TO else None)
        similarity, rows = index.search_itself(wanted, step=_STEP, progress=progress)
    else:
        rows = make_nearest(white).of_all(wanted, step=_STEP, progress=progress)
        similarity = _similarity(white, rows)
    return Nearest(rows, _votes_of(similarity, groups[rows], groups))


def _votes_of(similarity: np.ndarray, groups: np.ndarray, own_group: np.ndarray) -> np.ndarray:
    """Return (n, v) float32: how much each neighbour's vote counts, by its similarity and its group."""
    usual = similarity.mean(where=np.isfinite(similarity)) if similarity.size else 0.0
    weight = np.exp((similarity - usual) / _VOTE_SHARPNESS)  # 0 where an inexact search found no more
    weight[(groups == own_group[:, None]) & (own_group[:, None] >= 0)] = 0
    return np.asarray(weight)


def _weight_of_layout(space: VoteSpace, groups: np.ndarray, labels: np.ndarray, seed: int, progress: Progress) -> float:
    """Return the weight with which the neighbours' votes, at their best temperature, make the labels likeliest."""
    rng = np.random.default_rng(seed)
    among = np.arange(len(labels))
    if len(among) > _CHOOSING_AMONG:
        among = np.sort(rng.choice(among, _CHOOSING_AMONG, replace=False))
    asked = np.sort(rng.choice(len(among), min(len(among), _CHOOSING_ASKED), replace=False))
    groups, labels = groups[among], labels[among]
    questions = [(labels, int(labels.max()) + 1)] if labels.ndim == 1 else [(column, 2) for column in labels.T]

    def surprise(weight: float) -> float:
        white = space.rows(weight, among)
        similarity, rows = NeighborIndex(white, exact=True).search(white[asked], NEIGHBORS + 1)
        votes = _votes_of(similarity, groups[rows], groups[asked])
        votes[rows == asked[:, None]] = 0
        nearest, total = Nearest(rows, votes), 0.0
        for own, n_classes in questions:
            known = np.flatnonzero(own[asked] >= 0)
            if len(known):
                scores = VoteEvidence(nearest, own, n_classes)(known)
                total += fit_temperature(scores, own[asked][known])[1] * len(known)
        progress("weight of the layout", LAYOUT_WEIGHTS.index(weight) + 1, len(LAYOUT_WEIGHTS))
        return total

    return min(LAYOUT_WEIGHTS, key=surprise)


def _similarity(rows: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Return the (n, v) float32 inner products of rows with their neighbours, minus infinity where there is none."""
    found = np.full(neighbors.shape, -np.inf, np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        found[part] = np.einsum("nd,nvd->nv", rows[part], rows[neighbors[part]])
    return np.where(neighbors < 0, -np.inf, found).astype(np.float32)
