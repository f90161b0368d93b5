"""Probabilities of a classifier -> a prediction as Label Studio stores it.

Label Studio has one score per prediction and shows the lowest first ("uncertainty sampling"). Winnow's score is
therefore how sure the classifier is of what it filled in, from 0 to 1:

- one class per image: the probability of the class that was chosen, not rescaled to the choices of the config;
- several classes per image: the probability of the least sure of all its decisions, present or absent;
- several controls in one task: the lowest score of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .class_mapping import ClassMapping


@dataclass(frozen=True, slots=True)
class Answer:
    """What one control is filled in with.

    Attributes:
        mapping: The control, and how classes are written in it.
        chosen: What to write; empty where none of several classes is present.
        score: In 0..1, see the module's text.
    """

    mapping: ClassMapping
    chosen: tuple[str, ...]
    score: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.score) and 0 <= self.score <= 1):
            raise ValueError(f"a prediction's score must be a number from 0 to 1, got {self.score}")
        unknown = set(self.chosen) - {choice.written for choice in self.mapping.control.choices}
        if unknown:
            raise ValueError(f"'{self.mapping.control.name}' has no choice {sorted(unknown)}")
        if len(self.chosen) > 1 and not self.mapping.control.multiple:
            raise ValueError(f"'{self.mapping.control.name}' takes one choice, got {list(self.chosen)}")


def answer_for(
    mapping: ClassMapping, probabilities: np.ndarray, *, multilabel: bool = False, thresholds: np.ndarray | None = None
) -> Answer | None:
    """Decide what to write into one control.

    Args:
        mapping: Of k classes.
        probabilities: (k,) floats in 0..1; they sum to 1 unless `multilabel`.
        multilabel: Whether the classes are independent of each other. A control for a single choice then gets the most
            probable one.
        thresholds: (k,) Probability from which on a class counts as present, .5 where absent; used for `multilabel`.

    Returns:
        The answer, or None where the most probable class (of several: any class) has no choice in the control: writing
        the next best would tell the annotator something that the classifier does not believe.

    Raises:
        ValueError: Probabilities of another shape, outside 0..1 or not finite.
    """
    probabilities = _checked(probabilities, len(mapping.written))
    if multilabel and mapping.control.multiple:
        return _several(mapping, probabilities, thresholds)
    best = int(np.argmax(probabilities))
    written = mapping.written[best]
    return None if written is None else Answer(mapping, (written,), round(float(probabilities[best]), 6))


def _several(mapping: ClassMapping, probabilities: np.ndarray, thresholds: np.ndarray | None) -> Answer | None:
    present = probabilities >= (0.5 if thresholds is None else np.asarray(thresholds))
    rows = [row for row, written in enumerate(mapping.written) if written is not None]
    if not rows:
        return None
    certainty = np.where(present, probabilities, 1 - probabilities)[rows].min()
    chosen = tuple(str(mapping.written[row]) for row in rows if present[row])
    return Answer(mapping, chosen, round(float(certainty), 6))


def to_prediction(answers: Sequence[Answer], model_version: str) -> dict[str, Any]:
    """Return one task's prediction, ready to be sent or imported.

    A task in which none of several classes is present gets an empty `result` with an honest score, so that it is
    ordered among the others and not asked for again.

    Raises:
        ValueError: No answer, or an empty version (Label Studio would drop the whole batch).
    """
    if not answers:
        raise ValueError("a prediction needs at least one answer; send [] for a task without any")
    if not model_version:
        raise ValueError("a prediction needs a model version")
    return {
        "result": [
            {
                "from_name": answer.mapping.control.name,
                "to_name": answer.mapping.control.image_name,
                "type": "choices",
                "value": {"choices": list(answer.chosen)},
                "score": answer.score,
            }
            for answer in answers
            if answer.chosen
        ],
        "score": min(answer.score for answer in answers),
        "model_version": model_version,
    }


def _checked(probabilities: np.ndarray, classes: int) -> np.ndarray:
    """Return the probabilities as float64 in 0..1, rounding noise of float32 softmax cut off."""
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (classes,):
        raise ValueError(f"probabilities must have shape ({classes},) like the classes, got {values.shape}")
    if not np.all(np.isfinite(values)) or values.min() < -1e-5 or values.max() > 1 + 1e-5:
        raise ValueError("probabilities must be finite and between 0 and 1")
    return np.clip(values, 0, 1)
