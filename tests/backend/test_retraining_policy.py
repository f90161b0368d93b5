"""When a training begins, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from winnow.backend import drift_watch, quality, retraining_policy
from winnow.backend.learning_plan import LearningPlan
from winnow.backend.learning_store import Waiting
from winnow.backend.remembering import Memory, RememberPlan
from winnow.backend.retraining_policy import RetrainingPolicy
from winnow.plugin.labeling.labeling_config import Control
from winnow.plugin.labeling.returned_annotations import returned_in_event
from winnow.plugin.labeling.served_predictions import ServedMapping, ServedPrediction
from winnow.plugin.training.reference import Reference

PLAN = LearningPlan(least_annotations=10, quiet_seconds=0.0)
CONTROL = Control("kind", "image", "image", "choices", 1, ())
MAPPING = ServedMapping("v1", ("cat", "dog"), False, CONTROL, ("cat", "dog"))
START = time.time() - 10_000


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    monkeypatch.setattr(retraining_policy, "_LOOK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(quality, "_SHARE_OF_TIME", 1e9)
    made = Memory(tmp_path / "state", RememberPlan(days=30))
    yield made
    made.stop()


def waiting(annotations: int, *, asked_for: bool = False) -> Waiting:
    return Waiting(1, annotations, START, START, asked_for)


def answer(memory: Memory, right: int, wrong: int, version: str = "v1", first: int = 0) -> None:
    """Have predictions remembered and answered, a second after each other, up to now."""
    mapping, rows, answers = replace(MAPPING, version=version), [], []
    for number in range(first, first + right + wrong):
        served = ServedPrediction(1, number, mapping, time.time() - 100, True, ("cat",), np.array([0.9, 0.1]))
        rows.append(served)
        made = datetime.fromtimestamp(time.time(), UTC).isoformat()
        said = "cat" if number < first + right else "dog"
        annotation = {
            "id": number,
            "task": number,
            "created_at": made,
            "updated_at": made,
            "result": [{"from_name": "kind", "value": {"choices": [said]}}],
        }
        body = {"action": "ANNOTATION_CREATED", "project": {"id": 1}, "annotation": annotation}
        answers += returned_in_event(body)
    memory.try_to(lambda store: store.remember(rows))
    memory.try_to(lambda store: store.answered(answers))


def decided(memory: Memory) -> list[tuple[str, str, bool]]:
    """Return cause, decision and dry run of all decisions, the first one first."""
    found = memory.try_to(lambda store: store.decisions()) or []
    return [(each.cause, each.decision, each.dry_run) for each in reversed(found)]


def asked(policy: RetrainingPolicy, *given: Waiting, version: str = "v1", again: Any = ()) -> int | None:
    """Return how many annotations are to be trained on now, of the project that the policy names."""
    due = policy.next(given, version, None, time.time(), again)
    return None if due is None else due.annotations


def test_enough_annotations_are_a_cause_and_too_few_are_none(memory: Memory) -> None:
    policy = RetrainingPolicy(PLAN, memory)

    assert [asked(policy, waiting(9)), asked(policy, waiting(10))] == [None, 10]
    assert decided(memory) == [("annotations", "train", False)]


def test_policy_without_a_memory_goes_by_annotations_alone() -> None:
    policy = RetrainingPolicy(replace(PLAN, below_accuracy=0.9, on_drift=True), None)

    assert [asked(policy, waiting(9)), asked(policy, waiting(10))] == [None, 10]


def test_accuracy_below_the_bound_with_confidence_is_a_cause_and_above_is_none(memory: Memory) -> None:
    policy = RetrainingPolicy(replace(PLAN, below_accuracy=0.9), memory)
    answer(memory, right=52, wrong=8)
    doubtful = asked(policy, waiting(1))

    answer(memory, right=0, wrong=12, first=60)

    assert (doubtful, asked(policy, waiting(1))) == (None, 1)
    (found,) = memory.try_to(lambda store: store.decisions()) or []
    assert found.reason.startswith("accuracy 0.722 over the last 72 answers") and found.evidence == 72


def test_few_answers_are_no_cause_however_wrong(memory: Memory) -> None:
    policy = RetrainingPolicy(replace(PLAN, below_accuracy=0.9), memory)
    answer(memory, right=0, wrong=49)

    assert asked(policy, waiting(1)) is None


def test_same_cause_starts_no_second_job_until_the_version_or_the_evidence_is_new(memory: Memory) -> None:
    policy = RetrainingPolicy(replace(PLAN, below_accuracy=0.9), memory)
    answer(memory, right=0, wrong=60)
    first = [asked(policy, waiting(1)) for _ in range(3)]

    answer(memory, right=0, wrong=49, first=60)
    too_little = asked(policy, waiting(1))
    answer(memory, right=0, wrong=1, first=109)
    enough = [asked(policy, waiting(1)) for _ in range(2)]
    answer(memory, right=0, wrong=60, version="v2", first=110)
    other = [asked(policy, waiting(1), version="v2") for _ in range(2)]

    assert (first, too_little, enough, other) == ([1, None, None], None, [1, None], [1, None])


def test_cause_is_remembered_by_the_next_server(memory: Memory) -> None:
    plan = replace(PLAN, below_accuracy=0.9)
    answer(memory, right=0, wrong=60)

    assert [asked(RetrainingPolicy(plan, memory), waiting(1)) for _ in range(2)] == [1, None]


def test_what_began_a_job_that_was_cut_off_still_holds(memory: Memory) -> None:
    policy = RetrainingPolicy(replace(PLAN, below_accuracy=0.9), memory)
    answer(memory, right=0, wrong=60)
    asked(policy, waiting(1))

    assert asked(policy, waiting(1), again={1}) == 1


def test_cause_without_new_annotations_is_only_told_until_some_come(memory: Memory) -> None:
    policy = RetrainingPolicy(replace(PLAN, below_accuracy=0.9), memory)
    answer(memory, right=0, wrong=60)

    found = [asked(policy), asked(policy), asked(policy, waiting(3)), asked(policy, waiting(3))]

    assert found == [None, None, 3, None]
    assert decided(memory) == [("accuracy", "advised", False), ("accuracy", "train", False)]
    reasons = [each.reason for each in memory.try_to(lambda store: store.decisions()) or []]
    assert reasons[-1].endswith("advised, but nothing new to learn from")


def test_annotators_at_work_are_waited_for(memory: Memory) -> None:
    policy = RetrainingPolicy(replace(PLAN, below_accuracy=0.9, quiet_seconds=60), memory)
    answer(memory, right=0, wrong=60)
    now = time.time()

    assert asked(policy, Waiting(1, 3, now - 20, now - 10, False)) is None
    assert asked(policy, Waiting(1, 3, now - 90, now - 70, False)) == 3


def test_dry_run_tells_each_decision_once_and_starts_nothing_but_what_a_person_asks_for(memory: Memory) -> None:
    policy = RetrainingPolicy(replace(PLAN, below_accuracy=0.9, dry_run=True), memory)
    answer(memory, right=0, wrong=60)

    found = [asked(policy, waiting(count)) for count in (3, 3, 10, 12, 19, 20)]
    pressed = asked(policy, waiting(20, asked_for=True))

    assert found == [None] * 6 and pressed == 20
    assert decided(memory) == [
        ("accuracy", "train", True),
        ("annotations", "train", True),
        ("annotations", "train", True),
        ("asked", "train", False),
    ]


def test_dry_run_that_ends_is_followed_by_what_it_told(memory: Memory) -> None:
    plan = replace(PLAN, below_accuracy=0.9, dry_run=True)
    answer(memory, right=0, wrong=60)
    asked(RetrainingPolicy(plan, memory), waiting(3))

    assert asked(RetrainingPolicy(replace(plan, dry_run=False), memory), waiting(3)) == 3


@pytest.fixture
def drifting(memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Path]:
    """Return a function that makes a classifier's folder with a reference, and has other images remembered."""
    monkeypatch.setattr(drift_watch, "_LEAST_NEW", 100)

    def make(shift: float) -> Path:
        rng = np.random.default_rng(0)
        vectors, probabilities = rng.normal(size=(300, 8)), rng.dirichlet((2, 2), 300)
        Reference(
            vectors[:150].astype(np.float16),
            probabilities[:150].astype(np.float32),
            probabilities[:150].argmax(axis=1),
            np.zeros((150, 0), np.float32),
            (),
            vectors[:0].astype(np.float16),
            MAPPING.classes,
        ).save(tmp_path)
        rows = [
            ServedPrediction(1, n, MAPPING, time.time(), True, ("cat",), probabilities[n], vectors[n] + shift)
            for n in range(150, 300)
        ]
        memory.try_to(lambda store: store.remember(rows))
        return tmp_path

    return make


@pytest.mark.parametrize(("shift", "due"), [(2.0, 4), (0.0, None)], ids=["drifted", "alike"])
def test_drift_away_from_the_reference_of_the_classifier_is_a_cause(
    memory: Memory, drifting: Callable[[float], Path], shift: float, due: int | None
) -> None:
    folder = drifting(shift)
    policy = RetrainingPolicy(replace(PLAN, on_drift=True), memory)
    policy.next([waiting(4)], "v1", folder, time.time())
    policy._watch.wait(60)  # type: ignore[union-attr]

    found = [policy.next([waiting(4)], "v1", folder, time.time()) for _ in range(2)]

    assert [each and each.annotations for each in found] == [due, None]
    assert policy.status()["drift"]["images"] == 150


def test_classifier_without_a_reference_is_told(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_watch, "_LEAST_NEW", 1)
    answer(memory, right=1, wrong=0)
    policy = RetrainingPolicy(replace(PLAN, on_drift=True), memory)

    policy.next([], "v1", tmp_path, time.time())
    policy._watch.wait(60)  # type: ignore[union-attr]

    assert "keeps nothing of its images" in policy.status()["drift"]["problem"]
