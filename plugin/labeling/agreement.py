"""How far annotators agree: over all of them, and each one with the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .choice_trees import Written
from .labeling_config import Control

# What an annotator chose in one task; empty = none of the choices.
Choices = frozenset[Written]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far annotators agree who labelled the same tasks.

    Attributes:
        tasks: Tasks with two annotators or more.
        share: Pairs of answers to the same task that are equal, in 0..1, each task counting alike; NaN without such
            tasks.
        alpha: Krippendorff's alpha for nominal data (Content Analysis, 4th ed., 2018, chapter 12): 1 = full agreement,
            0 = as by chance; where several choices are allowed, of the decisions about each choice. NaN where it is
            not defined: no such tasks, or only one answer was ever given.
    """

    tasks: int
    share: float
    alpha: float


@dataclass(frozen=True, slots=True)
class AnnotatorAgreement:
    """How far one annotator agrees with the others.

    Attributes:
        annotator: Who.
        answers: How many tasks the annotator answered.
        compared: In how many of these most of the others gave one answer.
        share: Decisions that are those of the majority of the others, in 0..1; NaN where none was compared.
        kappa: Cohen's kappa (1960, "A coefficient of agreement for nominal scales") with the majority of the others: 1
            = full agreement, 0 = as by chance. Where several choices are allowed, of the decisions about each choice.
            NaN where it is not defined: nothing was compared, or both always gave one and the same answer.
    """

    annotator: Hashable
    answers: int
    compared: int
    share: float
    kappa: float


def agreement_of(votes: Sequence[Sequence[Choices]], control: Control) -> Agreement:
    """Return how far annotators agree.

    Args:
        votes: What each annotator chose, task by task.
        control: Where they did.
    """
    several = [answers for answers in votes if len(answers) > 1]
    if not several:
        return Agreement(0, float("nan"), float("nan"))
    shares = []
    for answers in several:
        equal = sum(count * (count - 1) for count in Counter(answers).values())
        shares.append(equal / (len(answers) * (len(answers) - 1)))
    units: list[list[Any]] = [list(answers) for answers in several]
    if control.multiple:
        units = [[choice.written in answer for answer in answers] for choice in control.choices for answers in several]
    return Agreement(len(several), float(np.mean(shares)), krippendorff_alpha(units))


def krippendorff_alpha(units: Sequence[Sequence[Any]]) -> float:
    """Return Krippendorff's alpha for nominal data.

    Args:
        units: What was said of each unit, by however many annotators; units with fewer than two don't count.

    Returns:
        At most 1; NaN where fewer than two different values were ever given.
    """
    pairable = [Counter(unit) for unit in units if len(unit) > 1]
    totals: Counter[Any] = Counter()
    disagreeing = 0.0
    for counts in pairable:
        size = counts.total()
        totals.update(counts)
        disagreeing += (size**2 - sum(count**2 for count in counts.values())) / (size - 1)
    n = totals.total()
    expected = n**2 - sum(count**2 for count in totals.values())
    return float("nan") if not expected else 1 - (n - 1) * disagreeing / expected


def cohen_kappa(pairs: Iterable[tuple[Hashable, Hashable]]) -> float:
    """Return Cohen's kappa of two annotators.

    Args:
        pairs: What the one and the other said of each unit.

    Returns:
        At most 1; NaN where there are no units, or chance alone would make them agree on all.
    """
    table = Counter(pairs)
    n = table.total()
    if not n:
        return float("nan")
    one: Counter[Hashable] = Counter()
    other: Counter[Hashable] = Counter()
    for (mine, theirs), count in table.items():
        one[mine] += count
        other[theirs] += count
    observed = sum(count for (mine, theirs), count in table.items() if mine == theirs) / n
    expected = sum(count * other[value] for value, count in one.items()) / n**2
    return float("nan") if expected >= 1 else (observed - expected) / (1 - expected)


def agreement_by_annotator(
    votes: Sequence[Mapping[Hashable, Choices]], control: Control
) -> tuple[AnnotatorAgreement, ...]:
    """Compare each annotator with the majority of the others: of one who is always right and one who guesses, it tells.

    Args:
        votes: Task by task, annotator -> what was chosen.
        control: Where they did.

    Returns:
        One entry an annotator, those with most answers first.
    """
    pairs: defaultdict[Hashable, list[tuple[Hashable, Hashable]]] = defaultdict(list)
    answers: Counter[Hashable] = Counter()
    compared: Counter[Hashable] = Counter()
    for task in votes:
        answers.update(task.keys())
        for who, mine in task.items() if len(task) > 1 else ():
            found = list(_against_others(mine, [each for other, each in task.items() if other != who], control))
            compared[who] += bool(found)
            pairs[who] += found
    order = sorted(answers, key=lambda who: (-answers[who], str(who)))
    return tuple(
        AnnotatorAgreement(who, answers[who], compared[who], _share(pairs[who]), cohen_kappa(pairs[who]))
        for who in order
    )


def majority(answers: Sequence[Choices]) -> Choices | None:
    """Return the answer that more than half gave, None where there is none."""
    answer, count = Counter(answers).most_common(1)[0]
    return answer if 2 * count > len(answers) else None


def decide_each(answers: Sequence[Choices]) -> tuple[Choices, Choices]:
    """Return the choices that more than half made, and those that exactly half made."""
    counts = Counter(choice for answer in answers for choice in answer)
    present = frozenset(choice for choice, count in counts.items() if 2 * count > len(answers))
    return present, frozenset(choice for choice, count in counts.items() if 2 * count == len(answers))


def _against_others(mine: Choices, others: Sequence[Choices], control: Control) -> Iterable[tuple[Hashable, Hashable]]:
    if not control.multiple:
        theirs = majority(others)
        return [] if theirs is None else [(mine, theirs)]
    present, undecided = decide_each(others)
    decided = (choice.written for choice in control.choices if choice.written not in undecided)
    return [(written in mine, written in present) for written in decided]


def _share(pairs: Sequence[tuple[Hashable, Hashable]]) -> float:
    return sum(mine == theirs for mine, theirs in pairs) / len(pairs) if pairs else float("nan")
