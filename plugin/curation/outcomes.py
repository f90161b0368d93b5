"""What became of predictions that annotators answered, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NONE_OF_THEM = -1  # annotators name something that is no class of the classifier
NO_LABEL = -2  # annotators are split, so that nobody knows whether the prediction is right


@dataclass(frozen=True, eq=False)
class Outcomes:
    """n predictions that annotators answered.

    Where an image may have several labels, `answers`, `predicted` and `confidence` have a column for each class.

    Attributes:
        times: (n,) float64. When the last of its answers was given or changed, in seconds since 1970.
        versions: (n,) object. Version of the classifier that made the prediction.
        answers: (n,) int64. The class that more than half of the annotators name; -1 = none of the classes, -2 = they
            are split. Or (n, k) float64 in {0, 1, NaN}; NaN = split, or not asked for.
        predicted: (n,) int64. The class that was predicted. Or (n, k) float64 in {0, 1, NaN} as `answers`.
        confidence: (n,) float32 in 0..1. Probability of the class that was predicted. Or (n, k), of each class.
        shown: (n,) bool. Annotators saw the prediction; False = they labelled blind.
        reviews: (n,) int64. Annotators who answered and had seen it.
        overrides: (n,) int64. How many of these say something else.
        classes: k names. Of several versions: those of the newest first, then others.
    """

    times: np.ndarray
    versions: np.ndarray
    answers: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    shown: np.ndarray
    reviews: np.ndarray
    overrides: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.times)
        wide = (n, len(self.classes)) if self.multilabel else (n,)
        shapes = {
            "versions": (n,),
            "answers": wide,
            "predicted": wide,
            "confidence": wide,
            "shown": (n,),
            "reviews": (n,),
            "overrides": (n,),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")
        if (self.overrides > self.reviews).any():
            raise ValueError("a prediction can't be overridden by more annotators than have seen it")

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, rows: np.ndarray | slice) -> Outcomes:
        """Return the outcomes at these rows (numbers, a mask or a slice)."""
        return Outcomes(
            self.times[rows],
            self.versions[rows],
            self.answers[rows],
            self.predicted[rows],
            self.confidence[rows],
            self.shown[rows],
            self.reviews[rows],
            self.overrides[rows],
            self.classes,
        )

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several labels."""
        return self.answers.ndim == 2

    @property
    def known(self) -> np.ndarray:
        """(n,) bool: it is known whether the prediction is right."""
        if self.multilabel:
            return np.asarray(np.isfinite(self.answers).any(axis=1))
        return np.asarray(self.answers != NO_LABEL)

    @property
    def right(self) -> np.ndarray:
        """(n,) bool: the prediction is what annotators say, of several labels in each class; False where not known."""
        if self.multilabel:
            unlike = np.isfinite(self.answers) & (self.answers != self.predicted)
            return np.asarray(self.known & ~unlike.any(axis=1))
        return np.asarray(self.answers == self.predicted)
