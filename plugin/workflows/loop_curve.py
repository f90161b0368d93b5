"""What the rounds of a loop reached on its evaluation set, and what each of them added.

A round keeps what its classifier said of every image of the set, and is measured anew by the labels as they are now.
So all points of the curve rest on the same images and labels, also when an evaluation label came late or was mended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..curation.learning_curve import Advice, advise
from ..datasets.loops import SavedRound
from ..training.class_scores import ClassScores, score_classes
from ..training.comparison import Comparison, compare, compare_several
from ..training.evaluation import evaluate
from ..training.intervals import Interval
from ..training.multi_label_evaluation import evaluate_multi_label
from .loop_settings import LoopSettings
from .training_rows import Labels
from .wording import rounded

_NO_INTERVAL = (float("nan"), float("nan"))


@dataclass(frozen=True)
class AddedClass:
    """What a round did for one class.

    Attributes:
        name: Of the class.
        labels: Training images of it.
        added: How many of these came with the round.
        found: Share of its evaluation images that are recognised, NaN without any.
        found_before: The same, one trained round earlier.
    """

    name: str
    labels: int
    added: int
    found: float
    found_before: float


@dataclass(frozen=True, eq=False)
class RoundPoint:
    """A point of the learning curve.

    Attributes:
        number: Of the round.
        labels: Training images.
        trained: Whether there were enough to train on; if not, `why_not` says what is lacking.
        why_not: See `trained`.
        score: By the loop's metric, NaN where it can't be measured.
        interval: Its 95 % interval, by the bootstrap over images.
        images: Evaluation images that it rests on.
        gain: On the trained round before, on the same images; NaN for the first.
        gain_interval: Its 95 % interval, both predictions going together.
        classes: What the round did for each class, those first of which it brought most.
        minutes: Processor minutes that training took.
        classifier: Its folder.
        version: Of the classifier.
    """

    number: int
    labels: int
    trained: bool
    why_not: str
    score: float
    interval: Interval
    images: int
    gain: float
    gain_interval: Interval
    classes: tuple[AddedClass, ...]
    minutes: float
    classifier: str
    version: str

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "round": self.number,
            "labels": self.labels,
            "trained": self.trained,
            "why_not": self.why_not,
            "score": rounded(self.score),
            "interval": rounded(self.interval),
            "evaluation_images": self.images,
            "gain": rounded(self.gain),
            "gain_interval": rounded(self.gain_interval),
            "classes": {
                each.name: {
                    "labels": each.labels,
                    "added": each.added,
                    "found": rounded(each.found),
                    "found_before": rounded(each.found_before),
                }
                for each in self.classes
            },
            "processor_minutes": round(self.minutes, 2),
            "classifier": self.classifier,
            "version": self.version,
        }


def learning_curve(
    rounds: Sequence[SavedRound], labels: Labels, rows: np.ndarray, metric: str, seed: int
) -> tuple[RoundPoint, ...]:
    """Measure all rounds.

    Args:
        rounds: By number.
        labels: Of the images of the frozen set that are as they were.
        rows: (m,) int. Their places in the frozen set, and so in what the rounds predicted.
        metric: "accuracy" or "macro_f1".
        seed: Of the resampling.
    """
    answers = _Answers(labels, rows, [each.predicted for each in rounds])
    points: list[RoundPoint] = []
    before: int | None = None
    counts_before: dict[str, int] = {}
    for place, each in enumerate(rounds):
        found = each.summary
        trained = bool(found["trained"])
        score, interval, images = answers.measured(place, metric, seed) if trained else (np.nan, _NO_INTERVAL, 0)
        gain, gain_interval = np.nan, _NO_INTERVAL
        if trained and before is not None:
            compared = answers.compared(place, before, seed)
            gain, gain_interval = (
                (compared.gain, compared.interval) if metric == "accuracy" else (compared.f1_gain, compared.f1_interval)
            )
        points.append(
            RoundPoint(
                number=each.number,
                labels=found["labels"],
                trained=trained,
                why_not=found["why_not"],
                score=score,
                interval=interval,
                images=images,
                gain=gain,
                gain_interval=gain_interval,
                classes=_added(found["by_class"], counts_before, answers, place if trained else None, before),
                minutes=found["processor_minutes"],
                classifier=found["classifier"],
                version=found["version"],
            )
        )
        counts_before = found["by_class"]
        before = place if trained else before
    return tuple(points)


def advice_on(points: Sequence[RoundPoint], settings: LoopSettings) -> Advice:
    """Judge by the curve whether another round is worth it."""
    known = [point for point in points if np.isfinite(point.score) and point.labels > 0]
    return advise(
        np.array([point.labels for point in known], np.float64),
        np.array([point.score for point in known], np.float64),
        np.array([point.interval for point in known], np.float64).reshape(-1, 2),
        patience=settings.patience,
        least_gain=settings.least_gain / 100,
        seed=settings.seed,
    )


class _Answers:
    """Labels and what each round predicted, in one numbering of classes."""

    def __init__(self, labels: Labels, rows: np.ndarray, predicted: Sequence[Sequence[Any]]) -> None:
        said = [[answers[row] for row in rows] for answers in predicted]
        names = dict.fromkeys(labels.classes)
        for answer in (answer for answers in said for answer in answers if answer is not None):
            names |= dict.fromkeys([answer] if isinstance(answer, str) else answer)
        self.classes, self.several = tuple(names), labels.several
        number = {name: place for place, name in enumerate(self.classes)}
        if self.several:
            self._labels = np.zeros((len(rows), len(number)), np.float32)
            self._labels[:, : len(labels.classes)] = labels.values
            self._labels[~labels.known] = np.nan  # also of classes that only predictions know
            self._said = [_indicators(answers, number) for answers in said]
        else:
            self._labels = labels.values
            self._said = [np.array([number.get(answer, -1) for answer in answers], np.int64) for answers in said]
        self._by_class: dict[int, ClassScores] = {}

    def measured(self, place: int, metric: str, seed: int) -> tuple[float, Interval, int]:
        """Return score, interval and the number of images that they rest on."""
        if self.several:
            several, self._by_class[place] = evaluate_multi_label(self._labels, self._said[place], seed=seed)
            if metric == "macro_f1":
                return several.macro_f1, several.f1_interval, several.images
            return several.micro_f1, several.micro_f1_interval, several.images
        found = evaluate(self._labels, self._said[place], seed)
        self._by_class[place] = score_classes(self._labels, self._said[place])
        if metric == "macro_f1":
            return found.macro_f1, found.f1_interval, found.images
        return found.accuracy, found.interval, found.images

    def compared(self, place: int, before: int, seed: int) -> Comparison:
        """Compare two rounds on the same images."""
        judge = compare_several if self.several else compare
        return judge(self._labels, self._said[place], self._said[before], seed)

    def found(self, place: int | None) -> dict[str, float]:
        """Return class -> share of its images that a round recognises; nothing for no round."""
        scores = None if place is None else self._by_class.get(place)
        if scores is None:
            return {}
        return {self.classes[number]: float(scores.recall[row]) for row, number in enumerate(scores.classes)}


def _added(
    counts: dict[str, int], counts_before: dict[str, int], answers: _Answers, place: int | None, before: int | None
) -> tuple[AddedClass, ...]:
    now, earlier = answers.found(place), answers.found(before)
    classes = [
        AddedClass(
            name,
            count,
            count - counts_before.get(name, 0),
            now.get(name, float("nan")),
            earlier.get(name, float("nan")),
        )
        for name, count in counts.items()
    ]
    return tuple(sorted(classes, key=lambda each: (-each.added, each.name)))


def _indicators(answers: Sequence[Any], number: dict[str, int]) -> np.ndarray:
    """Return (m, k) float32 in {0, 1}, NaN where there is no answer."""
    table = np.zeros((len(answers), len(number)), np.float32)
    for row, answer in enumerate(answers):
        if answer is None:
            table[row] = np.nan
        else:
            table[row, [number[name] for name in answer]] = 1
    return table
