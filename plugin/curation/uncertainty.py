"""How unsure a classifier is of an image, from its probabilities (Settles 2009, Active Learning Literature Survey).

Of several labels an image, the classes are taken to be independent, and it is the image's *set* of labels that is asked
about: the likeliest set has the likelier answer of every class, the second likeliest differs from it in the least
certain class, and the entropies of the classes add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import entr

_SUMS_TO_ONE = 0.02  # how far the sum of a row may be off, for probabilities that were stored in half precision
_ROUNDING = 1e-3
_LEAST = 1e-300  # a probability that has a logarithm
_BLOCK = 32_768
_CAUTION, _LEAST_DOUBT = 0.25, 1e-3


@dataclass(frozen=True, eq=False)
class Outputs:
    """Probabilities of n images.

    Attributes:
        probs: (n, k) in 0..1; the classes exclude each other, or each is by itself. A row with NaN = not predicted.
        several: Whether an image may have several labels.
    """

    probs: np.ndarray
    several: bool

    def of(self, rows: np.ndarray) -> Outputs:
        """Return the outputs of some images, as float64."""
        return Outputs(np.clip(self.probs[rows].astype(np.float64), 0, 1), self.several)

    def scored(self, rows: np.ndarray, score: Callable[[Outputs], np.ndarray]) -> np.ndarray:
        """Return a (m,) score of some images, worked out in blocks."""
        blocks = [score(self.of(rows[start : start + _BLOCK])) for start in range(0, len(rows), _BLOCK)]
        return np.concatenate([np.zeros(0), *blocks])

    def least_confidence(self) -> np.ndarray:
        """Return (n,) in 0..1: the probability that the likeliest class, or set, is wrong."""
        return 1 - self._of_likeliest()

    def margin(self) -> np.ndarray:
        """Return (n,) in 0..1: 1 less the lead of the likeliest class, or set, over the second likeliest."""
        if self.several:
            least = self._certainty().min(axis=1)
            return 1 - self._of_likeliest() * (1 - (1 - least) / least)
        if self.probs.shape[1] < 2:
            return np.zeros(len(self.probs))
        two = np.partition(self.probs, -2, axis=1)[:, -2:]
        return 1 - (two[:, 1] - two[:, 0])

    def entropy(self) -> np.ndarray:
        """Return (n,) >= 0: the nats that the label, or the set of labels, would tell."""
        return (entr(self.probs) + (entr(1 - self.probs) if self.several else 0)).sum(axis=1)

    def surprise(self) -> np.ndarray:
        """Return (n, k) float32: probabilities less the likeliest answer, BADGE's gradient with respect to the logits.

        Ash et al. 2020 (arXiv:1906.03671), section 3; of several labels, each class's own answer.
        """
        if self.several:
            return (self.probs - (self.probs > 0.5)).astype(np.float32)
        answer = np.zeros_like(self.probs)
        answer[np.arange(len(answer)), self.probs.argmax(axis=1)] = 1
        return (self.probs - answer).astype(np.float32)

    def promise_of(self, classes: np.ndarray) -> np.ndarray:
        """Return (n,) >= 0: how much an image promises to tell about one of some classes.

        p (1 - p)^(1/4), which peaks at p = 0.8: it probably belongs to the class, and is not yet certain to. A little
        is added to the doubt, so that where all is decided those images come first that do belong to the class.
        """
        probs = self.probs[:, classes]
        return np.asarray((probs * (1 - probs + _LEAST_DOUBT) ** _CAUTION).max(axis=1))

    def _of_likeliest(self) -> np.ndarray:
        """Return (n,): the probability of the likeliest class, or set."""
        if not self.several:
            return np.asarray(self.probs.max(axis=1))
        return np.exp(np.log(np.maximum(self._certainty(), _LEAST)).sum(axis=1))

    def _certainty(self) -> np.ndarray:
        """Return (n, k) in 0.5..1: the probability of each class's likelier answer."""
        return np.maximum(self.probs, 1 - self.probs)


def read_outputs(pred_probs: np.ndarray, count: int, several: bool | None = None) -> tuple[Outputs, np.ndarray]:
    """Check probabilities.

    Args:
        pred_probs: (n, k) in 0..1.
        count: n that is expected.
        several: Whether an image may have several labels; None = where the rows do not sum to 1.

    Returns:
        The outputs, and (n,) bool: which images were predicted.

    Raises:
        ValueError: Another shape, or values that are no probabilities.
    """
    probs = np.asarray(pred_probs)
    if probs.ndim != 2 or len(probs) != count or not probs.shape[1]:
        raise ValueError(f"pred_probs must have shape ({count}, k) with k >= 1, got {probs.shape}")
    known, furthest = np.zeros(count, bool), 0.0
    for start in range(0, count, _BLOCK):
        block = probs[start : start + _BLOCK].astype(np.float64)
        finite = np.isfinite(block).all(axis=1)
        known[start : start + _BLOCK] = finite
        if not finite.any():
            continue
        if block[finite].min() < -_ROUNDING or block[finite].max() > 1 + _ROUNDING:
            raise ValueError(
                f"pred_probs must lie in 0..1, but reach from {block[finite].min():.3g} to {block[finite].max():.3g}: "
                "take the softmax of logits first (of several labels an image, the sigmoid)"
            )
        furthest = max(furthest, float(np.abs(block[finite].sum(axis=1) - 1).max()))
    return Outputs(probs, furthest > _SUMS_TO_ONE if several is None else several), known
