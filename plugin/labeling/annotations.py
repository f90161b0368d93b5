"""What annotators chose -> the label of each task, and how far they agree.

Skipped annotations and drafts are left out. Where one is marked as ground truth, only such ones count; of an annotator
who answered twice, the last answer. A label is what more than half of the annotators say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .choice_trees import Written
from .labeling_config import Control
from .predictions import chosen


@dataclass(frozen=True, slots=True)
class TaskLabel:
    """What one task was labelled with in one control.

    Attributes:
        present: The choices of the label: at most one, unless the control takes several; empty = none of them.
        undecided: Of several choices, those on which annotators are split evenly: neither present nor absent.
        blind: Nobody whose answer counts had seen a prediction.
    """

    present: frozenset[Written]
    undecided: frozenset[Written]
    blind: bool


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
class ProjectLabels:
    """The labels of a project's tasks in one control.

    Attributes:
        labels: By task id; tasks without a label are not in it.
        skipped: Annotations left out because the annotator skipped the task.
        unanswered: Tasks that were submitted, but without a choice where exactly one is asked for.
        tied: Tasks without a label as no choice has more than half of the annotators.
        agreement: Among annotators.
    """

    labels: Mapping[int, TaskLabel]
    skipped: int
    unanswered: int
    tied: int
    agreement: Agreement

    @property
    def blind(self) -> int:
        """How many labels were given without a prediction in sight."""
        return sum(label.blind for label in self.labels.values())


def read_labels(tasks: Iterable[Mapping[str, Any]], control: Control) -> ProjectLabels:
    """Return the labels of tasks as Label Studio's API gives them, with annotations and predictions.

    Args:
        tasks: With `id`, `annotations` and `predictions`.
        control: Whose answers are read.
    """
    labels: dict[int, TaskLabel] = {}
    votes: list[list[frozenset[Written]]] = []
    skipped = unanswered = tied = 0
    for task in tasks:
        annotations = task.get("annotations") or []
        skipped += sum(bool(annotation.get("was_cancelled")) for annotation in annotations)
        counted = _counted([each for each in annotations if not each.get("was_cancelled")])
        if not counted:
            continue
        answers = [_answer(each, control) for each in counted]
        votes.append(answers)
        blind = all(_is_blind(annotation, task.get("predictions") or []) for annotation in counted)
        if control.multiple:
            labels[int(task["id"])] = TaskLabel(*_several(answers), blind=blind)
        elif (winner := _majority(answers)) is None:
            tied += 1
        elif not winner:
            unanswered += 1
        else:
            labels[int(task["id"])] = TaskLabel(winner, frozenset(), blind)
    return ProjectLabels(labels, skipped, unanswered, tied, _agreement(votes, control))


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


def _counted(annotations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the annotations that count: ground truth where there is some, and one of each annotator."""
    truths = [annotation for annotation in annotations if annotation.get("ground_truth")]
    last: dict[Any, Mapping[str, Any]] = {}
    for annotation in sorted(truths or annotations, key=lambda each: (str(each.get("updated_at") or ""), each["id"])):
        who = annotation.get("completed_by")
        who = who.get("id") if isinstance(who, Mapping) else who
        last[("unknown", annotation["id"]) if who is None else who] = annotation
    return list(last.values())


def _answer(annotation: Mapping[str, Any], control: Control) -> frozenset[Written]:
    """Return what was chosen; where one choice is asked for, several, which the API lets through, are none."""
    answer = frozenset(chosen(annotation.get("result") or [], control) or ())
    return answer if control.multiple or len(answer) == 1 else frozenset()


def _is_blind(annotation: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the annotator saw no prediction: none was taken over, and none was there when it was made."""
    if annotation.get("parent_prediction") is not None:
        return False
    made_at = str(annotation.get("created_at") or "")
    # Label Studio writes all times in UTC and one format, so that texts sort as times.
    return not any(str(prediction.get("created_at") or "") <= made_at for prediction in predictions)


def _majority(answers: Sequence[frozenset[Written]]) -> frozenset[Written] | None:
    answer, count = Counter(answers).most_common(1)[0]
    return answer if 2 * count > len(answers) else None


def _several(answers: Sequence[frozenset[Written]]) -> tuple[frozenset[Written], frozenset[Written]]:
    """Return the choices that more than half made, and those that exactly half made."""
    counts = Counter(choice for answer in answers for choice in answer)
    present = frozenset(choice for choice, count in counts.items() if 2 * count > len(answers))
    return present, frozenset(choice for choice, count in counts.items() if 2 * count == len(answers))


def _agreement(votes: Sequence[Sequence[frozenset[Written]]], control: Control) -> Agreement:
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
