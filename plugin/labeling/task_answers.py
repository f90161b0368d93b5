"""Everything that annotators said about one image, and the label that it comes to.

What counts is what `annotations.py` counts: submitted annotations, ground truth before all others, and of an annotator
who answered twice, the last answer. Drafts and predictions are nobody's answer.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from .agreement import Choices, decide_each, majority
from .annotations import annotator_of, answer_of, counted, is_blind
from .choice_trees import in_words
from .labeling_config import Control
from .task_identity import is_marked_blind
from .ties import Ties


class Outcome(StrEnum):
    """What the answers to one control come to."""

    LABEL = "label"
    OPEN = "open"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Given:
    """One annotator's answer to one control.

    Attributes:
        choices: What was chosen; empty = nothing.
        annotator: The number in Label Studio, or a name; None = nobody is named.
        annotation: The annotation's number.
        at: When it was changed last, as Label Studio writes it.
        lead_time: Seconds that it took; None = not known.
        blind: Whether no prediction was in sight.
        from_prediction: Whether the annotator started from a prediction (`parent_prediction`).
    """

    choices: Choices
    annotator: Hashable
    annotation: int
    at: str
    lead_time: float | None
    blind: bool
    from_prediction: bool


@dataclass(frozen=True, slots=True)
class TaskAnswers:
    """What was said of one image.

    Attributes:
        given: Control's name -> answers that count, in the order of their times.
        skipped: How many annotators skipped it.
        decided: Whether one of the answers is ground truth, so that nobody need be waited for.
    """

    given: Mapping[str, tuple[Given, ...]]
    skipped: int
    decided: bool

    @property
    def annotators(self) -> int:
        """How many have answered or skipped it."""
        return self.skipped + max(map(len, self.given.values()), default=0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the answers to one control come to.

    Attributes:
        outcome: A label; open, as annotators are split; or empty: submitted without a choice where one is asked for.
        present: The choices of the label; none of them where several are allowed and none is there.
        agreement: Share of the annotators who say what the label says, in 0..1; where several choices are allowed, the
            mean over those that anybody made. None with a single annotator, or without a label.
        votes: What annotators said, in words, as in "cat 2, dog 1".
    """

    outcome: Outcome
    present: Choices
    agreement: float | None
    votes: str


def read_task(tasks: Sequence[Mapping[str, Any]], controls: Sequence[Control]) -> TaskAnswers:
    """Return what was said of one image.

    Args:
        tasks: Those that show it, as Label Studio's API or its JSON export gives them: most often one; an image that
            was imported twice has been annotated in both.
        controls: Whose answers are read.
    """
    annotations = {each["id"]: (each, task) for task in tasks for each in task.get("annotations") or []}
    skipped = {annotator_of(each) or each["id"] for each, _ in annotations.values() if each.get("was_cancelled")}
    submitted = [each for each, _ in annotations.values() if not each.get("was_cancelled")]
    counting = [(each, annotations[each["id"]][1]) for each in counted(submitted)]
    given = {control.name: tuple(_given(each, task, control) for each, task in counting) for control in controls}
    answered = {annotator_of(each) for each, _ in counting}
    return TaskAnswers(given, len(skipped - answered), any(each.get("ground_truth") for each, _ in counting))


def verdict_of(given: Sequence[Given], control: Control, ties: Ties = Ties.OPEN) -> Verdict:
    """Return the label that answers come to: what more than half of the annotators say.

    Args:
        given: At least one answer.
        control: What they answer. Where it takes several choices, each one is decided by itself.
        ties: Without a majority, the image stays open, or the answer that was given last holds.
    """
    answers = [each.choices for each in given]
    votes = _in_words(answers)
    last = max(given, key=lambda each: (each.at, each.annotation)).choices
    if control.multiple:
        present, undecided = decide_each(answers)
        if undecided and ties is Ties.OPEN:
            return Verdict(Outcome.OPEN, frozenset(), None, votes)
        present |= undecided & last
        return Verdict(Outcome.LABEL, present, _agreement_on_each(answers, present), votes)
    winner = majority(answers)
    if winner is None and ties is Ties.OPEN:
        return Verdict(Outcome.OPEN, frozenset(), None, votes)
    winner = last if winner is None else winner
    if not winner:
        return Verdict(Outcome.EMPTY, frozenset(), None, votes)
    share = answers.count(winner) / len(answers) if len(answers) > 1 else None
    return Verdict(Outcome.LABEL, winner, share, votes)


def signature(given: Sequence[Given], label: object) -> str:
    """Return by what it is known again that nothing has changed: neither the answers nor what they come to."""
    answers = sorted((each.annotation, each.at) for each in given)
    return hashlib.sha256(repr((answers, label)).encode()).hexdigest()[:16]


def moment(text: str) -> datetime | None:
    """Return a time of Label Studio's in UTC, to the millisecond as the database keeps it; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def _given(annotation: Mapping[str, Any], task: Mapping[str, Any], control: Control) -> Given:
    seconds = annotation.get("lead_time")
    blind = is_blind(annotation, task.get("predictions") or [])
    # An export names predictions without their times: of a task that was sent blind, they came afterwards.
    marked = is_marked_blind(task.get("data") or {}) and annotation.get("parent_prediction") is None
    return Given(
        choices=answer_of(annotation, control),
        annotator=annotator_of(annotation),
        annotation=annotation["id"],
        at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        lead_time=round(float(seconds), 3) if isinstance(seconds, (int, float)) and math.isfinite(seconds) else None,
        blind=blind or marked,
        from_prediction=annotation.get("parent_prediction") is not None,
    )


def _in_words(answers: Sequence[Choices]) -> str:
    counts = Counter(" + ".join(sorted(map(in_words, answer))) or "nothing" for answer in answers)
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _agreement_on_each(answers: Sequence[Choices], present: Choices) -> float | None:
    if len(answers) < 2:
        return None
    named = frozenset().union(*answers)
    shares = [sum((choice in answer) == (choice in present) for answer in answers) / len(answers) for choice in named]
    return sum(shares) / len(shares) if shares else 1.0
