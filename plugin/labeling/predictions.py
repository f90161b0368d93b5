"""Probabilities of a classifier -> a prediction as Label Studio stores it.

Label Studio has one score per prediction and shows the lowest first ("uncertainty sampling"). Winnow's score is
therefore how sure the classifier is of what it filled in, from 0 to 1:

- one class per image: the probability of the class that was chosen, not rescaled to the choices of the config;
- several classes per image: the probability of the least sure of all its decisions, present or absent;
- several controls in one task: the lowest score of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .choice_trees import Written, in_words
from .class_mapping import ClassMapping
from .labeling_config import Control


@dataclass(frozen=True, slots=True)
class Answer:
    """What one control is filled in with.

    Attributes:
        mapping: The control, and how classes are written in it.
        chosen: What to write; empty where none of several classes is present.
        score: In 0..1, see the module's text; None where it is not known.
    """

    mapping: ClassMapping
    chosen: tuple[Written, ...]
    score: float | None

    def __post_init__(self) -> None:
        if self.score is not None and not (math.isfinite(self.score) and 0 <= self.score <= 1):
            raise ValueError(f"a prediction's score must be a number from 0 to 1, got {self.score}")
        unknown = set(self.chosen) - {choice.written for choice in self.mapping.control.choices}
        if unknown:
            raise ValueError(f"'{self.mapping.control.name}' has no choice {sorted(unknown, key=in_words)}")
        most = self.mapping.control.most
        if most is not None and len(self.chosen) > most:
            raise ValueError(f"'{self.mapping.control.name}' takes at most {most} choice(s), got {list(self.chosen)}")


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
    # not by numpy, whose argmax lets other threads run, for which a server's event loop then waits
    values = probabilities.tolist()
    best = values.index(max(values))
    written = mapping.written[best]
    return None if written is None else Answer(mapping, (written,), round(values[best], 6))


def _several(mapping: ClassMapping, probabilities: np.ndarray, thresholds: np.ndarray | None) -> Answer | None:
    present = probabilities >= (0.5 if thresholds is None else np.asarray(thresholds))
    rows = [row for row, written in enumerate(mapping.written) if written is not None]
    if not rows:
        return None
    certainty = np.where(present, probabilities, 1 - probabilities)[rows].min()
    # where a control takes fewer choices than there are classes present, it gets the most probable ones
    picked = sorted((row for row in rows if present[row]), key=lambda row: -probabilities[row])[: mapping.control.most]
    chosen = tuple(written for row in sorted(picked) if (written := mapping.written[row]) is not None)
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
    scores = [answer.score for answer in answers if answer.score is not None]
    return {
        "result": [_region(answer) for answer in answers if answer.chosen],
        **({"score": min(scores)} if scores else {}),
        "model_version": model_version,
    }


def _region(answer: Answer) -> dict[str, Any]:
    control = answer.mapping.control
    return {
        "from_name": control.name,
        "to_name": control.image_name,
        "type": control.kind,
        "value": {control.kind: [_as_json(written) for written in answer.chosen]},
        **({} if answer.score is None else {"score": answer.score}),
    }


def is_importable(prediction: Mapping[str, Any]) -> bool:
    """Tell whether Label Studio's bulk import takes a prediction: its validator (1.23) knows no nested Choices."""
    values = (region["value"].get("choices", ()) for region in prediction["result"])
    return not any(isinstance(choice, list) for written in values for choice in written)


def chosen(result: Sequence[Any], control: Control) -> tuple[Written, ...] | None:
    """Read what a control was answered with from a result, an annotator's or a prediction's.

    Args:
        result: The `result` list of an annotation or prediction.
        control: Of the project's labeling config.

    Returns:
        What is written, in its order, each once, whether or not the config (still) has such choices; None where the
        control was not answered, or not in a form that Label Studio writes.
    """
    regions = [
        region["value"].get(control.kind)
        for region in result
        if isinstance(region, Mapping)
        and region.get("from_name") == control.name
        and isinstance(region.get("value"), Mapping)
    ]
    items = [item for answer in regions for item in (answer if isinstance(answer, list) else [answer])]
    written = [name for name in (_from_json(item) for item in items) if name]
    if control.kind == "choices":
        # In nested Choices, all choices below another one being picked stands for the other one too.
        written = [name for name in written if not any(_is_above(name, other) for other in written)]
    return tuple(dict.fromkeys(written)) or None


def _as_json(written: Written) -> str | list[str]:
    return written if isinstance(written, str) else list(written)


def _from_json(item: object) -> Written | None:
    if isinstance(item, list) and item and all(isinstance(name, str) for name in item):
        return tuple(item)
    return item if isinstance(item, str) else None


def _is_above(name: Written, other: Written) -> bool:
    return (
        isinstance(name, tuple) and isinstance(other, tuple) and len(name) < len(other) and other[: len(name)] == name
    )


def _checked(probabilities: np.ndarray, classes: int) -> np.ndarray:
    """Return the probabilities as float64 in 0..1, rounding noise of float32 softmax cut off."""
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (classes,):
        raise ValueError(f"probabilities must have shape ({classes},) like the classes, got {values.shape}")
    if not np.all(np.isfinite(values)) or values.min() < -1e-5 or values.max() > 1 + 1e-5:
        raise ValueError("probabilities must be finite and between 0 and 1")
    return np.clip(values, 0, 1)
