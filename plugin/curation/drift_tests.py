"""The tests behind a decision on drift: on the same matched images, with the same shuffles, made into one p-value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..progress import Progress
from .drift_domain import DomainClassifier
from .drift_mmd import mean_discrepancy
from .drift_neighbours import Neighbourhoods
from .drift_probabilities import beyond_chance, class_distances, predicted_distances
from .drift_sets import DriftSets
from .drift_shuffles import Shuffles, p_values
from .drift_space import Space
from .novelty import Novelty, farther

MATCHED = 5_000  # images of each set that a decision is based on at most
# Fisher's sum of logarithms (power 1) is best at many weak signs, the smallest p-value (the highest powers) at one
# strong sign, which a power of 1 could even miss, as no p-value is smaller than one in the number of shuffles.
_POWER = 3
_HELD_OUT = 2_000  # reference images at most that tell how far from training images is usual


@dataclass(frozen=True)
class DriftTest:
    """One of the tests behind a decision.

    Attributes:
        name: What it looks at.
        p_value: Share of shuffles that look as different, the truth counted as one.
        effect_size: 0..1. How far the sets lie apart in its eyes, less what chance gives.
        images: Images of each set that it looked at.
    """

    name: str
    p_value: float
    effect_size: float
    images: int


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the tests found.

    Attributes:
        tests: Each by itself.
        p_value: Of all together.
        class_distances: (k, b + 1) of `class_distances`; None without probabilities.
        predicted_p_value: Of the classes being predicted as often; None without probabilities, or with several labels.
        space, domain, around, novelty: What was fitted.
        now: (m,) int64. Current rows that were matched, in the order of the fits.
        components: (m, r) float32. Theirs.
    """

    tests: tuple[DriftTest, ...]
    p_value: float
    class_distances: np.ndarray | None
    predicted_p_value: float | None
    space: Space
    domain: DomainClassifier
    around: Neighbourhoods
    novelty: Novelty
    now: np.ndarray
    components: np.ndarray


def gather_evidence(sets: DriftSets, several: bool, rng: np.random.Generator, progress: Progress) -> Evidence:
    """Run the tests that the sets allow.

    Args:
        sets: The images.
        several: Whether an image may have several labels.
        rng: Of the match, the shuffles and the fits.
        progress: Told after each test.
    """
    images = min(len(sets.reference_rows), len(sets.current_rows), MATCHED)
    then, now = rng.permutation(sets.reference_rows)[:images], rng.permutation(sets.current_rows)[:images]
    shuffles = Shuffles.drawn(images, rng)
    vectors = np.concatenate([sets.reference[then], sets.current[now]]).astype(np.float32)
    space = Space.of(vectors, rng)
    matched = space.components(vectors)
    tests = _Tests(progress)
    distances = None
    if sets.probs is not None:
        probs = np.concatenate([sets.probs[0][then], sets.probs[1][now]])
        distances = class_distances(probs, shuffles)
        largest = distances.max(axis=0)
        tests.add("class probabilities", largest, beyond_chance(largest), images)
        if not several:
            tests.add("predicted classes", *predicted_distances(probs.argmax(axis=1), shuffles), images)
    domain = DomainClassifier.fit(matched, shuffles)
    tests.add("domain classifier", domain.explained, domain.effect_size, images)
    tests.add("mean embedding", *mean_discrepancy(matched, shuffles, rng), images)
    around = Neighbourhoods(matched, shuffles, rng)
    looked_at = len(around.rows) // 2
    tests.add("neighbourhoods", around.statistic(), around.effect_size(), looked_at)
    novelty = _novelty(sets, rng)
    if sets.trained_on is None:
        tests.add("novelty", *farther(around.distance, shuffles.of(around.rows)), looked_at)
    else:
        tests.add("novelty", *farther(novelty.of(vectors), shuffles), images)
    return Evidence(
        tests=tuple(tests.found),
        p_value=tests.together(),
        class_distances=distances,
        predicted_p_value=next((test.p_value for test in tests.found if test.name == "predicted classes"), None),
        space=space,
        domain=domain,
        around=around,
        novelty=novelty,
        now=now,
        components=matched[images:],
    )


class _Tests:
    """Tests so far."""

    def __init__(self, progress: Progress) -> None:
        self.found: list[DriftTest] = []
        self._p_values: list[np.ndarray] = []
        self._progress = progress

    def add(self, name: str, statistic: np.ndarray, effect_size: float, images: int) -> None:
        p_value = p_values(statistic)
        self._p_values.append(p_value)
        self.found.append(DriftTest(name, float(p_value[0]), round(effect_size, 4), images))
        self._progress(f"drift: {name}", 1, 1)

    def together(self) -> float:
        """Return the p-value of the sum of powers of the logarithms, read from the shuffles too."""
        return float(p_values(((-np.log(self._p_values)) ** _POWER).sum(axis=0))[0])


def _novelty(sets: DriftSets, rng: np.random.Generator) -> Novelty:
    """Return what measures novelty: from a sample of the training images, or else of the reference."""
    reference = rng.permutation(sets.reference_rows)
    if sets.trained_on is None:
        return Novelty(sets.reference[reference[: Novelty.MOST]], None)
    trained = rng.permutation(len(sets.trained_on))[: Novelty.MOST]
    return Novelty(sets.trained_on[trained], sets.reference[reference[:_HELD_OUT]])
