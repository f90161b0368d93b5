"""How often each class occurs in images without labels, from what a classifier says of them.

A classifier's mistakes are the same, class by class, while only the shares of classes move. So its confusion matrix on
labelled images and its predictions of new ones tell the new shares (black-box shift estimation: Lipton, Wang and Smola
2018, arXiv:1802.03916): the likeliest ones, found by expectation maximisation (Saerens, Latinne and Decaestecker 2002),
which never gives negative shares and needs no invertible matrix. Where images changed in other ways too, the shares are
wrong beyond their interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

_DRAWS = 200
_LEVEL = (2.5, 97.5)
_STEPS, _SETTLED = 500, 1e-6
_GUESS = 1.0  # weight, in images, of the guess that a class is predicted as itself: without labels, all there is


@dataclass(frozen=True, eq=False)
class LabelShift:
    """Shares of k classes, then and now.

    Attributes:
        reference_share: (k,) float64. Of the reference's labels.
        current_share: (k,) float64. Estimated; sums to 1.
        interval: (k, 2) float64. Where 95 % of bootstrap estimates of the current share lie.
        p_value: Of the hypothesis that the classes are predicted as often as before.
        total_variation: 0..1. Share of images that would have to change their class to make both alike, estimated.
        labels: Labelled reference images that the confusion matrix was counted on.
    """

    reference_share: np.ndarray
    current_share: np.ndarray
    interval: np.ndarray
    p_value: float
    total_variation: float
    labels: int

    def __post_init__(self) -> None:
        if self.interval.shape != (*self.reference_share.shape, 2):
            raise ValueError(f"interval must have shape ({len(self.reference_share)}, 2), got {self.interval.shape}")


def estimate_label_shift(
    labels: np.ndarray,
    reference_predicted: np.ndarray,
    current_predicted: np.ndarray,
    n_classes: int,
    p_value: float,
    rng: np.random.Generator,
) -> LabelShift:
    """Estimate the shares of classes.

    Args:
        labels: (n,) int in 0..k - 1, reference_predicted: (n,) int. Labelled images and their predicted classes.
        current_predicted: (c,) int. Predicted classes of images without labels.
        n_classes: k.
        p_value: Handed on, see `LabelShift`.
        rng: Of the bootstrap.
    """
    cells, counts = np.unique(labels * np.int64(n_classes) + reference_predicted, return_counts=True)
    confusion = _Confusion(cells // n_classes, cells % n_classes, n_classes)
    now = np.bincount(current_predicted, minlength=n_classes)
    drawn_counts = np.vstack([counts, rng.multinomial(len(labels), counts / len(labels), _DRAWS)])
    drawn_now = np.vstack([now, rng.multinomial(len(current_predicted), now / len(current_predicted), _DRAWS)])
    shares = confusion.likeliest_shares(drawn_counts.astype(np.float64), drawn_now.astype(np.float64))
    reference_share = np.bincount(labels, minlength=n_classes) / len(labels)
    return LabelShift(
        reference_share=reference_share,
        current_share=shares[0],
        interval=np.percentile(shares[1:], _LEVEL, axis=0).T,
        p_value=p_value,
        total_variation=float(np.abs(shares[0] - reference_share).sum() / 2),
        labels=len(labels),
    )


class _Confusion:
    """The cells of a confusion matrix that hold any image; there are far fewer than k * k where k is large."""

    def __init__(self, given: np.ndarray, predicted: np.ndarray, n_classes: int) -> None:
        cells, ones = np.arange(len(given)), np.ones(len(given))
        self._given, self._predicted = given, predicted
        self._to_given = csr_array((ones, (cells, given)), shape=(len(given), n_classes))
        self._to_predicted = csr_array((ones, (cells, predicted)), shape=(len(given), n_classes))

    def likeliest_shares(self, counts: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Return (b, k) shares that make the predictions `now` (b, k) likeliest, given `counts` (b, cells)."""
        of_class = counts @ self._to_given
        scale = 1 / (of_class + _GUESS)
        chance = counts * scale[:, self._given]  # of a cell's prediction, given its class
        itself = _GUESS * scale
        wanted = now / now.sum(axis=1, keepdims=True)
        shares = (of_class + 1 / of_class.shape[1]) / (of_class.sum(axis=1, keepdims=True) + 1)
        for _ in range(_STEPS):
            expected = (chance * shares[:, self._given]) @ self._to_predicted + itself * shares
            ratio = np.divide(wanted, expected, out=np.zeros_like(wanted), where=wanted > 0)
            moved = shares * ((chance * ratio[:, self._predicted]) @ self._to_given + itself * ratio)
            change = np.abs(moved - shares).max()
            shares = moved
            if change < _SETTLED:
                break
        return shares / shares.sum(axis=1, keepdims=True)
