"""The figures of a model's health, in the form in which page, panel and JSON show them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .wording import rounded

_NAN = math.nan


@dataclass(frozen=True)
class Share:
    """A share of some cases.

    Attributes:
        value: In 0..1, NaN where there is no case.
        low, high: Its 95 % interval; NaN where that is not known.
        of: Number of cases.
    """

    value: float
    low: float
    high: float
    of: int

    @property
    def known(self) -> bool:
        """Whether there is any case."""
        return self.of > 0 and math.isfinite(self.value)

    def words(self) -> str:
        """Return "12.3 % (9.1 to 16.2 %)"."""
        if not self.known:
            return "not known"
        interval = f" ({100 * self.low:.1f} to {100 * self.high:.1f} %)" if math.isfinite(self.low) else ""
        return f"{100 * self.value:.1f} %{interval}"

    def plain(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"value": rounded(self.value), "low": rounded(self.low), "high": rounded(self.high), "of": self.of}


NOTHING = Share(_NAN, _NAN, _NAN, 0)


@dataclass(frozen=True)
class ClassifierFacts:
    """Who the classifier is.

    Attributes:
        folder: Its folder.
        version: That predictions carry.
        classes: Names.
        multilabel: Whether an image may have several labels.
        trained_at: ISO 8601 in UTC, "" where it is not known.
        training_images: How many; 0 = not known.
        training_fingerprint: Hash of them and their labels.
        metric: What it was chosen by on its validation images.
        validation: That metric, None where it is not known.
        expected_error: Share of its validation images that it had wrong; None where that was not measured.
    """

    folder: str
    version: str
    classes: tuple[str, ...]
    multilabel: bool = False
    trained_at: str = ""
    training_images: int = 0
    training_fingerprint: str = ""
    metric: str = ""
    validation: float | None = None
    expected_error: float | None = None


@dataclass(frozen=True, eq=False)
class VersionHealth:
    """How one version fared with annotators.

    Attributes:
        version: The version.
        answers: Number of its predictions that were answered.
        accuracy: Of the last of them.
        overrides: Share of the predictions in sight that annotators changed.
        blind: Accuracy where annotators saw no prediction.
        calibration_error: Expected calibration error, NaN = not known.
        times: (p,) float64 seconds since 1970 of the rolling accuracy.
        rolling, low, high: (p,) float, the rolling accuracy with its interval.
    """

    version: str
    answers: int
    accuracy: Share
    overrides: Share
    blind: Share
    calibration_error: float
    times: np.ndarray
    rolling: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __post_init__(self) -> None:
        for name in ("rolling", "low", "high"):
            if getattr(self, name).shape != self.times.shape:
                raise ValueError(f"{name} must have shape {self.times.shape} like times")


@dataclass(frozen=True)
class ClassHealth:
    """How much of a class is recognised.

    Attributes:
        name: Of the class.
        recall: Share of the answers that name it which were predicted so.
        expected: The same on images that the classifier was not trained on, when it was trained; NaN = not known.
    """

    name: str
    recall: Share
    expected: float = _NAN


@dataclass(frozen=True)
class DriftCheck:
    """One look for drift.

    Attributes:
        time: When.
        current: What was looked at.
        reference: What it was held against.
        is_drift: Whether the two differ by more than chance.
        p_value: Of that decision.
        effect: 0..1, whatever the number of images.
        novel: Share of the images that look unlike anything trained on.
    """

    time: datetime
    current: str
    reference: str
    is_drift: bool
    p_value: float
    effect: float
    novel: Share

    @property
    def what(self) -> str:
        """What was compared with what."""
        return f"{self.current} against {self.reference}"


@dataclass(frozen=True)
class Moved:
    """Something that is not as it was: the mean probability of a class, or the median of what is measured of images.

    Attributes:
        name: Of it.
        p_value: How likely chance is.
        effect: 0..1, how far it has moved.
        before: Among the images of then.
        now: Among those of now.
    """

    name: str
    p_value: float
    effect: float
    before: float
    now: float


@dataclass(frozen=True, eq=False)
class Scatter:
    """The images of a drift check in the plane.

    Attributes:
        reference: (m, 2) float32.
        current: (n, 2) float32.
        novel: (n,) bool.
    """

    reference: np.ndarray
    current: np.ndarray
    novel: np.ndarray


@dataclass(frozen=True)
class Decision:
    """What the backend decided about training again."""

    time: datetime
    decision: str
    reason: str
    dry_run: bool


@dataclass(frozen=True)
class Missing:
    """What cannot be told, and what brings it."""

    what: str
    how: str


@dataclass(frozen=True, eq=False)
class Health:
    """What is known of a classifier at work; what is not stands in `missing`.

    Attributes:
        about: The classifier.
        made_at: When it was read.
        days: How far back it was looked; None = all there is.
        answers_from: Where the answers come from, for people; "" = there are none.
        judged: Version that the figures which follow are of; "" = there are none.
        overrides: Share of the predictions in sight that annotators changed.
        accuracy: Share of right predictions.
        blind: The same where annotators saw none.
        versions: The newest first.
        classes: The worst recall first.
        checks: The oldest first; the last one is the newest.
        moved: The classes whose mean probability has moved, by the newest check, the most first.
        statistics: What has moved of light, sharpness, size and shape; it explains, and decides nothing.
        scatter: The images of the newest check.
        decisions: The newest first.
        notes: Sentences.
        missing: What cannot be told.
    """

    about: ClassifierFacts
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    days: int | None = None
    answers_from: str = ""
    judged: str = ""
    overrides: Share = NOTHING
    accuracy: Share = NOTHING
    blind: Share = NOTHING
    versions: tuple[VersionHealth, ...] = ()
    classes: tuple[ClassHealth, ...] = ()
    checks: tuple[DriftCheck, ...] = ()
    moved: tuple[Moved, ...] = ()
    statistics: tuple[Moved, ...] = ()
    scatter: Scatter | None = None
    decisions: tuple[Decision, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()

    @property
    def novel(self) -> Share:
        """Share of the images of the newest check that look unlike anything trained on."""
        return self.checks[-1].novel if self.checks else NOTHING
