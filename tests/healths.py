"""What is known of a classifier at work, as tests need it: figures, and the files and datasets that they come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from winnow.plugin.curation.outcomes import Outcomes
from winnow.plugin.labeling.labeling_config import Control
from winnow.plugin.labeling.returned_annotations import returned_in_event
from winnow.plugin.labeling.served_predictions import ServedMapping, ServedPrediction
from winnow.plugin.labeling.served_store import ServedStore
from winnow.plugin.training.reference import Reference
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

if TYPE_CHECKING:
    import fiftyone as fo

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOSTILE = "<script>alert('犬')</script>"
CLASSES = ("cat", "dog", HOSTILE)
PETS = ("cat", "dog")
LATELY = datetime.now(UTC).replace(microsecond=0)
TRAINED = LATELY - timedelta(days=20)
WIDTH = 8
CONTROL = Control("kind", "image", "image", "choices", 1, ())


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
    return DriftCheck(NOW - timedelta(days=days_ago), "new", "old", is_drift, p_value, 0.3, share)


def health(**changes: Any) -> Health:
    """Return a health of which everything is known: of 60 answers each third is wrong, and the images have drifted."""
    answers = [row % 3 for row in range(60)]
    predicted = [0 if answer == 1 else answer for answer in answers]
    about = ClassifierFacts("/models/pets", "new", CLASSES, trained_at="2026-04-01T08:00:00+00:00", expected_error=0.05)
    rng = np.random.default_rng(0)
    known: dict[str, Any] = {
        "made_at": NOW,
        "checks": (check(7, is_drift=False, novel=1), check()),
        "moved": (Moved(HOSTILE, 0.0001, 0.5, 0.1, 0.4),),
        "statistics": (Moved("brightness", 0.001, 0.4, 0.5, 0.2),),
        "scatter": Scatter(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), np.arange(20) < 6),
        "decisions": (Decision(NOW, "train", "accuracy: 66 % is below 90 %", True),),
        "missing": (Missing("What came before", "set `WINNOW_REMEMBER_DAYS`."),),
    }
    return with_answers(Health(about, **(known | changes)), outcomes(answers, predicted), "the labels")


def make_classifier(folder: Path, version: str = "v1", *, reference: bool = True) -> Path:
    """Write what a report reads of a classifier: its description, and what its images looked like."""
    folder.mkdir(parents=True)
    about = {"version": version, "classes": list(PETS), "multilabel": False, "trained_at": TRAINED.isoformat()}
    (folder / "classifier.json").write_text(json.dumps(about), encoding="utf-8")
    if reference:
        rng, labels = np.random.default_rng(0), np.arange(120) % 2
        guessed = np.where(np.arange(120) < 12, 1 - labels, labels)  # every tenth one is wrong
        Reference(
            vectors=rng.normal(0, 1, (120, WIDTH)).astype(np.float16),
            probabilities=np.where(np.arange(2) == guessed[:, None], 0.9, 0.1).astype(np.float32),
            labels=labels,
            statistics=np.full((120, 0), np.nan, np.float32),
            statistic_names=(),
            training_vectors=rng.normal(0, 1, (200, WIDTH)).astype(np.float16),
            classes=PETS,
        ).save(folder)
    return folder


def serve(
    state: Path, predicted: list[str], answers: list[str | None], version: str = "v1", shift: float = 0.0
) -> None:
    """Have predictions remembered and, where an answer is given, answered: one an hour, the last half an hour ago."""
    rng, now = np.random.default_rng(1), datetime.now(UTC)
    mapping = ServedMapping(version, PETS, False, CONTROL, PETS)
    store = ServedStore(state)
    for number, (label, answer) in enumerate(zip(predicted, answers, strict=True), 1):
        at = now - timedelta(hours=len(predicted) - number + 0.5)
        likely = np.where(np.array(PETS) == label, 0.9, 0.1)
        vector = rng.normal(shift, 1, WIDTH)
        store.remember([ServedPrediction(1, number, mapping, at.timestamp(), True, (label,), likely, vector)])
        if answer is not None:
            event = {"action": "ANNOTATION_CREATED", "project": 1, "annotation": _said(number, answer, at)}
            store.answered(returned_in_event(event))
    store.close()


def _said(number: int, answer: str, at: datetime) -> dict[str, Any]:
    moment = (at + timedelta(minutes=1)).isoformat()
    result = [{"from_name": "kind", "type": "choices", "value": {"choices": [answer]}}]
    return {
        "id": number,
        "task": number,
        "completed_by": 1,
        "created_at": moment,
        "updated_at": moment,
        "was_cancelled": False,
        "result": result,
    }


def answer(made: fo.Dataset) -> fo.Dataset:
    """Add ten predictions of v1: six answered in sight of them, one wrong; two blind, one wrong; two too early."""
    import fiftyone as fo

    from winnow.plugin.datasets.annotated_labels import make_label_field

    make_label_field(made, "ground_truth", several=False)
    after, before = LATELY - timedelta(days=1), TRAINED - timedelta(days=1)
    for number in range(10):
        wrong, early, blind = number in (0, 6), number >= 8, number in (6, 7)
        label = fo.Classification(label="dog" if wrong else "cat", annotated_at=before if early else after, blind=blind)
        prediction = fo.Classification(label="cat", confidence=0.9, model_version="v1")
        made.add_sample(fo.Sample(filepath=f"/nowhere/{number}.png", ground_truth=label, prediction=prediction))
    return made
