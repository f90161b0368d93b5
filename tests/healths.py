"""What is known of a classifier at work, as tests need it: answers to its predictions, and a check for drift."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from winnow.plugin.curation.outcomes import Outcomes
from winnow.plugin.workflows.health_figures import (
    ClassifierFacts,
    Decision,
    DriftCheck,
    Health,
    Missing,
    Moved,
    Scatter,
    Share,
)
from winnow.plugin.workflows.health_tracking import with_answers

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOSTILE = "<script>alert('犬')</script>"
CLASSES = ("cat", "dog", HOSTILE)


def outcomes(
    answers: Sequence[int],
    predicted: Sequence[int],
    *,
    version: str = "new",
    shown: bool = True,
    classes: tuple[str, ...] = CLASSES,
) -> Outcomes:
    """Return one answer a minute up to noon, by annotators who saw the prediction, or by ones who did not."""
    n, said, guessed = len(answers), np.array(answers, np.int64), np.array(predicted, np.int64)
    reviews = np.full(n, int(shown))
    return Outcomes(
        times=NOW.timestamp() - 60.0 * np.arange(n)[::-1],
        versions=np.array([version] * n, object),
        answers=said,
        predicted=guessed,
        confidence=np.full(n, 0.9, np.float32),
        shown=np.full(n, shown),
        reviews=reviews,
        overrides=reviews * (said != guessed),
        classes=classes,
    )


def check(days_ago: int = 0, *, is_drift: bool = True, novel: int = 30) -> DriftCheck:
    """Return a check of 100 images."""
    share = Share(novel / 100, max(0.0, novel / 100 - 0.08), novel / 100 + 0.1, 100)
    p_value = 0.001 if is_drift else 0.4
    return DriftCheck(NOW - timedelta(days=days_ago), "new against old", is_drift, p_value, 0.3, share)


def health(**changes: Any) -> Health:
    """Return a health of which everything is known: of 60 answers each third is wrong, and the images have drifted."""
    answers = [row % 3 for row in range(60)]
    predicted = [0 if answer == 1 else answer for answer in answers]
    about = ClassifierFacts("/models/pets", "new", CLASSES, trained_at="2026-04-01T08:00:00+00:00", expected_error=0.05)
    rng = np.random.default_rng(0)
    known: dict[str, Any] = {
        "made_at": NOW,
        "checks": (check(7, is_drift=False, novel=1), check()),
        "moved": (Moved(HOSTILE, 0.0001, 0.1, 0.4),),
        "statistics": (Moved("brightness", 0.001, 120.5, 40.2),),
        "scatter": Scatter(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), np.arange(20) < 6),
        "decisions": (Decision(NOW, "train", "accuracy: 66 % is below 90 %", True),),
        "missing": (Missing("What came before", "set `WINNOW_REMEMBER_DAYS`."),),
    }
    return with_answers(Health(about, **(known | changes)), outcomes(answers, predicted), "the labels")
