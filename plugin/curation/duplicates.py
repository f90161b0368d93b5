"""Near-duplicates: candidates, confirmed on aligned pixels, with the probability that two images show the same shot.

Candidates come from `candidates`, what speaks for them from `evidence`, as one number: the margin. A logistic curve
turns it into a probability (Platt 1999). It is fitted to the user's own images: the margins of copies come from copies
made of some of them on purpose, those of look-alikes from all candidate pairs, each weighed by the probability that it
is none. The share of copies among the candidates is then found by the EM algorithm of Saerens et al. 2002, "Adjusting
the outputs of a classifier to new a priori probabilities".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from scipy.special import expit, logit

from ..progress import Progress, silent
from .alignment import SIDE
from .candidates import Candidates
from .evidence import Evidence, across_splits, crowds, gather_evidence, inner_products
from .neighbors import unit_rows
from .proofs import Verify, add_proofs, proof, tried_per_image

EXPECTED_PRECISION = 0.95
_SMALLEST_THRESHOLD = 0.5
_FEWEST_COPIES = 30
_CROWD_ROUNDS = 3
_SURE = 0.9
_TRUST = 30.0  # in the general slope, in pairs; it is trusted to within 30 %
_NEWTON_STEPS = 50
_EM_ROUNDS = 100


class Kind(IntEnum):
    """What kind of copies two images are of each other."""

    NEAR = 0
    SAME_PIXELS = 1
    SAME_FILE = 2


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
class DuplicatePairs:
    """Candidate pairs of near-duplicates among n images, best first; ties by rows.

    Attributes:
        rows: (m, 2) int64. The two images; the smaller row first.
        score: (m,) float32 in [0, 1], rounded to 1e-4: the probability that both show the same shot.
        threshold: Smallest score that counts as a near-duplicate.
        recall: Share of copies made on purpose that reach the threshold, in [0, 1]; None where none were made.
        kind: (m,) uint8 `Kind`; where none is given, all are near-duplicates.
    """

    rows: np.ndarray
    score: np.ndarray
    threshold: float
    recall: float | None = None
    kind: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))

    def __post_init__(self) -> None:
        if not len(self.kind):
            object.__setattr__(self, "kind", np.full(len(self.score), Kind.NEAR, np.uint8))
        if self.rows.shape != (len(self.score), 2):
            raise ValueError(f"rows must have shape ({len(self.score)}, 2), got {self.rows.shape}")
        if self.kind.shape != self.score.shape:
            raise ValueError(f"kind must have shape {self.score.shape} like score, got {self.kind.shape}")

    def where(self, chosen: np.ndarray) -> DuplicatePairs:
        """Return the chosen pairs: (m,) bool, or their indexes."""
        return replace(self, rows=self.rows[chosen], score=self.score[chosen], kind=self.kind[chosen])

    def apart(self, different: np.ndarray) -> DuplicatePairs:
        """Return the same, but with score 0 and last where (m,) `different` is true: somebody knows better."""
        score = np.where(different, 0, self.score).astype(np.float32)
        order = np.argsort(different, kind="stable")
        return replace(self, score=score).where(order)

    @property
    def flagged(self) -> np.ndarray:
        """(m,) bool. The pairs at or above the threshold."""
        return self.score >= self.threshold

    @property
    def precision(self) -> float:
        """Expected share of true copies among the flagged pairs, in [0, 1]; 1 where none is flagged."""
        return float(self.score[self.flagged].mean()) if self.flagged.any() else 1.0


@dataclass(frozen=True)
class Curve:
    """Probability that a pair shows the same shot, by its margin.

    Attributes:
        slope: Change of the log-odds with the margin.
        middle: Margin where the probability is 1/2.
    """

    slope: float
    middle: float

    def __call__(self, margin: np.ndarray) -> np.ndarray:
        """Return (m,) float64 in [0, 1] for (m,) margins."""
        return expit(self.slope * (margin.astype(np.float64) - self.middle))


# Read off synthetic copies of Fashion-MNIST images; holds where there are too few images to learn from.
GENERAL_CURVE = Curve(5.0, 2.1)


def find_duplicates(
    embeddings: np.ndarray,
    thumbnails: np.ndarray,
    splits: np.ndarray | None = None,
    *,
    copies: Copies | None = None,
    verify: Verify | None = None,
    threshold: float | None = None,
    progress: Progress = silent,
) -> DuplicatePairs:
    """Score the pairs of images that may be near-duplicates.

    Args:
        embeddings: (n, d) float32, finite.
        thumbnails: (n, 32, 32) uint8, grey: the whole image, squashed.
        splits: (n,) split names, "" = none. Where given, each image's neighbours in other splits are candidates too,
            so that a crowd of copies inside its own split cannot hide a leak.
        copies: What the score is fitted to; None, or fewer than 30, = a general curve is used as it is.
        verify: Compares pairs of images by their keypoints; it raises scores and never lowers one. None = thumbnails
            decide alone.
        threshold: Score that counts as a near-duplicate; None = so that 95 % of the flagged pairs are expected to be
            right, at least 0.5.
        progress: Told after each block.

    Raises:
        ValueError: Shapes that do not fit each other, or embeddings that are not finite.
    """
    if thumbnails.shape != (len(embeddings), SIDE, SIDE):
        raise ValueError(f"thumbnails must have shape ({len(embeddings)}, {SIDE}, {SIDE}), got {thumbnails.shape}")
    n = len(embeddings)
    cosine_rows = unit_rows(embeddings)
    index = Candidates(cosine_rows, thumbnails)
    candidates = index.among_themselves(splits, progress)
    evidence = gather_evidence(candidates, cosine_rows, thumbnails, splits, progress)
    crowd = crowd_of_look_alikes(evidence, n)
    evidence = evidence.with_crowd(crowd)
    margin, curve, of_copies = evidence.margin, GENERAL_CURVE, None
    if copies is not None and len(copies.source) >= _FEWEST_COPIES:
        centred = unit_rows(copies.embeddings - embeddings.mean(axis=0, dtype=np.float64), centered=False)
        of_copies = _margins_of_copies(copies, centred, index, cosine_rows, thumbnails, crowd)
        curve = fit_curve(margin, of_copies.margin[np.isfinite(of_copies.margin)])
    pairs, score = evidence.pairs, np.round(curve(margin), 4).astype(np.float32)
    if verify is not None:
        cosine, across = inner_products(cosine_rows, candidates), across_splits(candidates, splits)
        pairs, score = add_proofs(pairs, score, candidates, cosine, tried_per_image(n), verify, progress, across)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -score))
    pairs, score = pairs[order], score[order]
    if threshold is None:
        threshold = automatic_threshold(score)
    recall = None if copies is None or of_copies is None else _recall(copies, of_copies, curve, threshold)
    return DuplicatePairs(pairs, score, threshold, recall)


def crowd_of_look_alikes(evidence: Evidence, n: int) -> np.ndarray:
    """Return (n,) crowds: what proves to be copies in one round is no crowd of each other in the next."""
    crowd = crowds(evidence.strength, evidence.pairs, n)
    for _ in range(_CROWD_ROUNDS):
        sure = GENERAL_CURVE(evidence.with_crowd(crowd).margin) >= _SURE
        crowd = crowds(evidence.strength, evidence.pairs, n, sure)
    return crowd


@dataclass(frozen=True, eq=False)
class _Met:
    """How c copies and their sources meet.

    Attributes:
        margin: (c,) float32; minus infinity where the thumbnails give the pair up.
        close: (c,) bool: close enough by their embeddings for keypoints to be compared.
    """

    margin: np.ndarray
    close: np.ndarray


def _margins_of_copies(
    copies: Copies,
    cosine_of_copies: np.ndarray,
    candidates: Candidates,
    cosine_rows: np.ndarray,
    thumbnails: np.ndarray,
    crowd: np.ndarray,
) -> _Met:
    """Send the copies through what the images themselves went through."""
    pairs = candidates.of(cosine_of_copies, copies.thumbnails)
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
    own_source = image == copies.source[copy]
    margin = np.full(len(copies.source), -np.inf, np.float32)
    margin[copy[own_source]] = found.margin[own_source]
    return _Met(
        margin, _among_closest(pairs, cosine_of_copies, cosine_rows, copies.source, tried_per_image(len(cosine_rows)))
    )


def _among_closest(
    pairs: np.ndarray, copies: np.ndarray, rows: np.ndarray, source: np.ndarray, tried: int
) -> np.ndarray:
    """Return (c,) bool: the source is one of the images that keypoints would be compared with."""
    cosine = np.einsum("ij,ij->i", copies[pairs[:, 0]], rows[pairs[:, 1]])
    order = np.lexsort((pairs[:, 1], -np.round(cosine, 4), pairs[:, 0]))
    copy, image = pairs[order].T
    place = np.arange(len(copy)) - np.searchsorted(copy, copy)
    found = np.zeros(len(source), bool)
    found[copy[(place < tried) & (image == source[copy])]] = True
    return found


def _recall(copies: Copies, met: _Met, curve: Curve, threshold: float) -> float:
    """Return the share of the copies that reach the threshold."""
    reached = np.round(curve(met.margin), 4) >= threshold
    (undecided,) = np.nonzero(~reached & met.close)
    if copies.verify is not None and len(undecided):
        reached[undecided] = proof(copies.verify(undecided)) >= threshold
    return float(reached.mean())


def fit_curve(candidates: np.ndarray, copies: np.ndarray) -> Curve:
    """Fit the curve to the user's images.

    Args:
        candidates: (m,) margins of the pairs to be scored, of which nobody knows which are copies.
        copies: (t,) margins of known copies.
    """
    if not len(candidates) or not len(copies):
        return GENERAL_CURVE
    doubt = GENERAL_CURVE(candidates)
    expected = max(float(doubt.sum()), 1.0)
    values = np.concatenate([copies, candidates]).astype(np.float64)
    labels = np.repeat([1.0, 0.0], [len(copies), len(candidates)])
    weights = np.concatenate([np.full(len(copies), expected / len(copies)), 1 - doubt])
    slope, bias = _logistic(values, labels, weights)
    share = expected / len(candidates)
    for _ in range(_EM_ROUNDS):
        found = expit(slope * candidates.astype(np.float64) + bias).mean()
        found = float(np.clip(found, 1 / (1 + len(candidates)), 0.5))
        change = logit(found) - logit(share)
        bias, share = bias + change, found
        if abs(change) < 1e-3:
            break
    return Curve(slope, -bias / slope)


def _logistic(values: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return slope and bias of the weighted logistic regression, the slope drawn towards the general one (Newton)."""
    general = GENERAL_CURVE.slope
    stiffness = _TRUST / (0.3 * general) ** 2
    slope, bias = general, -general * GENERAL_CURVE.middle
    for _ in range(_NEWTON_STEPS):
        probability = expit(slope * values + bias)
        residual, spread = weights * (probability - labels), weights * probability * (1 - probability)
        gradient = np.array([residual @ values + stiffness * (slope - general), residual.sum()])
        mixed = spread @ values
        curvature = np.array([[spread @ values**2 + stiffness, mixed], [mixed, spread.sum() + 1e-9]])
        step = np.linalg.solve(curvature, gradient)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        slope, bias = max(slope - step[0], 0.5), bias - step[1]
        if np.abs(step).max() < 1e-6:
            break
    return slope, bias


def automatic_threshold(score: np.ndarray, precision: float = EXPECTED_PRECISION) -> float:
    """Return the smallest score from which the mean probability is at least `precision`; 0.5 or more.

    Args:
        score: (m,) probabilities, the largest first.
        precision: Wanted share of right pairs among those at or above the threshold.
    """
    mean = np.cumsum(score, dtype=np.float64) / np.arange(1, len(score) + 1)
    (enough,) = np.nonzero((mean >= precision) & (score >= _SMALLEST_THRESHOLD))
    # Equal scores are all flagged or none, so the last of a run of them decides.
    last = np.append(score[1:] < score[:-1], True) if len(score) else np.empty(0, bool)
    whole = enough[last[enough]]
    return round(float(score[whole[-1]]), 4) if len(whole) else EXPECTED_PRECISION
