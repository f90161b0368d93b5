"""What annotators chose -> the label of each task, and how far they agree.

Skipped annotations and drafts are left out. Where one is marked as ground truth, only such ones count; of an annotator
who answered twice, the last answer. A label is what more than half of the annotators say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .agreement import Agreement, agreement_of, decide_each, majority
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
        submitted = counted([each for each in annotations if not each.get("was_cancelled")])
        if not submitted:
            continue
        answers = [answer_of(each, control) for each in submitted]
        votes.append(answers)
        blind = all(is_blind(annotation, task.get("predictions") or []) for annotation in submitted)
        if control.multiple:
            labels[int(task["id"])] = TaskLabel(*decide_each(answers), blind=blind)
        elif (winner := majority(answers)) is None:
            tied += 1
        elif not winner:
            unanswered += 1
        else:
            labels[int(task["id"])] = TaskLabel(winner, frozenset(), blind)
    return ProjectLabels(labels, skipped, unanswered, tied, agreement_of(votes, control))


def counted(annotations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the annotations that count: ground truth where there is some, and one of each annotator."""
    truths = [annotation for annotation in annotations if annotation.get("ground_truth")]
    last: dict[Any, Mapping[str, Any]] = {}
    for annotation in sorted(truths or annotations, key=lambda each: (str(each.get("updated_at") or ""), each["id"])):
        who = annotator_of(annotation)
        last[("unknown", annotation["id"]) if who is None else who] = annotation
    return list(last.values())


def annotator_of(annotation: Mapping[str, Any]) -> Any:
    """Return the annotator's number in Label Studio, a name where a table has one, None where nobody is named."""
    who = annotation.get("completed_by")
    who = who.get("id") if isinstance(who, Mapping) else who
    return who if isinstance(who, (int, str)) else None


def answer_of(annotation: Mapping[str, Any], control: Control) -> frozenset[Written]:
    """Return what was chosen; where one choice is asked for, several, which the API lets through, are none."""
    answer = frozenset(chosen(annotation.get("result") or [], control) or ())
    return answer if control.multiple or len(answer) == 1 else frozenset()


def is_blind(annotation: Mapping[str, Any], predictions: Sequence[Any]) -> bool:
    """Tell whether the annotator saw no prediction: none was taken over, and none was there when it was made.

    Args:
        annotation: The annotation.
        predictions: Of its task; exports hold nothing but their numbers, and one without its time counts as seen.
    """
    if annotation.get("parent_prediction") is not None:
        return False
    made_at = str(annotation.get("created_at") or "")
    # Label Studio writes all times in UTC and one format, so that texts sort as times.
    times = (each.get("created_at") if isinstance(each, Mapping) else "" for each in predictions)
    return not any(str(time or "") <= made_at for time in times)
