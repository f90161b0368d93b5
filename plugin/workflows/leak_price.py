"""What leakage is worth: the accuracy of a linear probe on the evaluation split, with and without its leaked images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..curation.probe import fit_probe
from ..errors import DataError
from ..progress import Progress, silent
from ..training.evaluation import Evaluation, evaluate
from .evaluate import shown
from .vectors import Embedded

_RESAMPLES = 10_000


@dataclass(frozen=True)
class LeakPrice:
    """What leakage adds to the accuracy of a linear probe that was trained on the training split.

    Attributes:
        evaluated_on: The split that it was measured on.
        given: On the split as it is.
        clean: On its images that are not leaked.
        gain: `given` minus `clean` accuracy, in -1..1.
        interval: 95 % interval of the gain, by the percentile bootstrap (Efron 1979) over images.
    """

    evaluated_on: str
    given: Evaluation
    clean: Evaluation
    gain: float
    interval: tuple[float, float]

    def summary(self) -> dict[str, object]:
        """Return plain JSON."""
        return {
            "evaluated_on": self.evaluated_on,
            "accuracy_given": round(self.given.accuracy, 4),
            "accuracy_clean": round(self.clean.accuracy, 4),
            "gain": round(self.gain, 4),
            "gain_interval": [round(end, 4) for end in self.interval],
        }

    def text(self) -> str:
        """Return a sentence for a person."""
        low, high = (f"{100 * end:+.1f}" for end in self.interval)
        return (
            f"A linear probe reaches {shown(self.given)} on {self.evaluated_on} as given and {shown(self.clean)} "
            f"without the leaked images: leakage changes it by **{100 * self.gain:+.1f} points** ({low} to {high})."
        )


def price_of(embedded: Embedded, leaked: np.ndarray, seed: int = 0, progress: Progress = silent) -> LeakPrice | None:
    """Measure what leakage adds; None where labels or splits do not allow it, or nothing or everything is leaked.

    Args:
        embedded: The collection.
        leaked: (m,) bool. The image has a counterpart in another split.
        seed: Of the probe's folds and the resampling.
        progress: Told after each fold.
    """
    samples = embedded.samples
    labelled = samples.labels >= 0
    judging = [name for name in ("test", "validation") if (labelled & (samples.splits == name)).any()]
    if not judging:
        return None
    train, judged = (labelled & (samples.splits == name) for name in ("train", judging[0]))
    if leaked[judged].all() or not leaked[judged].any():
        return None
    try:
        probe = fit_probe(
            embedded.vectors[train], samples.labels[train], len(samples.classes), seed=seed, progress=progress
        )
    except DataError:
        return None
    labels, predicted = samples.labels[judged], probe.logits(embedded.vectors[judged]).argmax(axis=1)
    clean = ~leaked[judged]
    given, without = evaluate(labels, predicted), evaluate(labels[clean], predicted[clean])
    interval = _interval(labels == predicted, clean, np.random.default_rng(seed))
    return LeakPrice(judging[0], given, without, given.accuracy - without.accuracy, interval)


def _interval(right: np.ndarray, clean: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Resample images: of each of the four kinds, only their number matters."""
    kinds = np.bincount(2 * clean + right, minlength=4)
    drawn = rng.multinomial(len(right), kinds / len(right), _RESAMPLES)
    given = drawn[:, [1, 3]].sum(axis=1) / len(right)
    without = drawn[:, 3] / np.maximum(drawn[:, 2:].sum(axis=1), 1)
    low, high = np.percentile(given - without, [2.5, 97.5])
    return float(low), float(high)
