"""Near-duplicates: candidates, confirmed on aligned pixels, with the probability that two images show the same shot.

`search` finds candidates and what speaks for them; with the crowd (`crowds`) it is one number, the margin.
`calibration` turns it into a probability, fitted to copies that were made on purpose (`made_copies`). What thumbnails
leave undecided is settled by keypoints (`proofs`), and crowds of copies are completed (`hubs`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np

from ..progress import Progress, silent
from .calibration import GENERAL_CURVE, automatic_threshold, fit_curve, independence
from .centred_rows import rows_around
from .crowds import crowd_of_look_alikes
from .evidence import Evidence, across_splits, gather_evidence, inner_products
from .hubs import hub_pairs
from .made_copies import Copies, recall_of
from .proofs import Verify, add_proofs, tried_per_image
from .search import Search, search


class Kind(IntEnum):
    """What kind of copies two images are of each other."""

    NEAR = 0
    SAME_PIXELS = 1
    SAME_FILE = 2


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
    found = search(
        embeddings, thumbnails, splits, make_copies=None if copies is None else lambda: copies, progress=progress
    )
    return judge(found, embeddings, thumbnails, splits, verify=verify, threshold=threshold, progress=progress)


def judge(
    found: Search,
    embeddings: np.ndarray,
    thumbnails: np.ndarray,
    splits: np.ndarray | None = None,
    *,
    verify: Verify | None = None,
    threshold: float | None = None,
    progress: Progress = silent,
) -> DuplicatePairs:
    """Score what a search found among these images; arguments as for `find_duplicates`."""
    n, met = len(embeddings), found.met
    crowd = crowd_of_look_alikes(found.evidence, n)
    evidence = found.evidence.with_crowd(crowd)
    curve = GENERAL_CURVE
    if met is not None:
        weight = independence(evidence.pairs, GENERAL_CURVE(evidence.margin), n)
        curve = fit_curve(evidence.margin, met.margin[np.isfinite(met.margin)], weight)

    def settle(
        evidence: Evidence, candidates: np.ndarray, cosine: np.ndarray, tried: int, across: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        score = np.round(curve(evidence.margin), 4).astype(np.float32)
        if verify is None:
            return evidence.pairs, score
        return add_proofs(evidence.pairs, score, candidates, cosine, tried, verify, progress, across)

    across = across_splits(found.candidates, splits)
    pairs, score = settle(evidence, found.candidates, found.cosine, tried_per_image(n), across)
    if threshold is None:
        best = np.argsort(-score, kind="stable")
        threshold = automatic_threshold(score[best], independence(pairs, score, n)[best])
    further = hub_pairs(pairs[score >= threshold], pairs, n)
    if len(further):
        rows = rows_around(embeddings, found.centre)
        cosine = inner_products(rows, further)
        more = gather_evidence(further, rows, thumbnails, progress=progress, cosine=cosine).with_crowd(crowd)
        also, its_score = settle(more, further, cosine, 1)
        pairs, score = np.concatenate([pairs, also]), np.concatenate([score, its_score])
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -score))
    recall = None if met is None else recall_of(met, curve, threshold)
    return DuplicatePairs(pairs[order], score[order], threshold, recall)
