"""Decides what becomes of each sample whose annotations came back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..datasets.annotated_labels import plain_label
from ..datasets.bringing_back import ANSWERS_FIELD, MARKS, NOTE_FIELD, NewLabel, SampleChange
from ..datasets.documents import Document
from ..datasets.labeling_batches import STATE_FIELD, LabelingState
from ..labeling.agreement import Choices
from ..labeling.annotator_names import AnnotatorNames
from ..labeling.asked import Asked
from ..labeling.exported import Task
from ..labeling.reconciling import Conflicts, Delivered, Move, PlainLabel, reconcile
from ..labeling.task_answers import Given, Outcome, TaskAnswers, Verdict, moment, read_task, signature, verdict_of
from ..labeling.ties import Ties
from .pull_report import Clash, PullCounts


@dataclass(frozen=True, slots=True)
class Rules:
    """How answers become labels; see `PullParams`."""

    conflicts: Conflicts
    ties: Ties
    partial: bool
    remove: bool
    names: AnnotatorNames


@dataclass(frozen=True, slots=True)
class Returned:
    """A sample and what was said of it.

    Attributes:
        id: Of the sample.
        held: The sample, as the database keeps it.
        batch: Its batch; None where it was not sent.
        tasks: Those of its batch; none where they were deleted.
        asked: The controls that are read.
        before: Label field -> label when it was sent.
        annotators: How many are to label it.
        is_sent: Whether its batch is known.
        is_latest: Whether there can be no later answers than these; exports grow old.
    """

    id: str
    held: Document
    batch: str | None
    tasks: Sequence[Task]
    asked: Sequence[Asked]
    before: Mapping[str, PlainLabel]
    annotators: int
    is_sent: bool
    is_latest: bool


@dataclass
class Plan:
    """What becomes of all samples.

    Attributes:
        changes: Sample id -> what is to be written.
        counts: For the report.
        by_class: Of new and changed labels, by field.
        clashes: Conflicts.
        votes: Control and field -> image by image, annotator -> choices.
    """

    changes: dict[str, SampleChange] = field(default_factory=dict)
    counts: PullCounts = field(default_factory=PullCounts)
    by_class: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    clashes: list[Clash] = field(default_factory=list)
    votes: defaultdict[tuple[str, str], list[dict[Hashable, Choices]]] = field(
        default_factory=lambda: defaultdict(list)
    )


@dataclass
class Decided:
    """What becomes of one sample, before its file was compared with the one that was sent.

    Attributes:
        sample: The sample.
        labels: Label field -> new label.
        answers: Label field -> what is remembered as brought back, for the fields in which that changes.
        notes: Words for people.
        state: Where the sample is from now on.
        clashed: Whether a label was not written.
    """

    sample: Returned
    labels: dict[str, NewLabel] = field(default_factory=dict)
    answers: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    state: str | None = None
    clashed: bool = False


def decide(sample: Returned, rules: Rules, plan: Plan) -> Decided:
    """Decide what becomes of a sample; what is only counted goes into the plan."""
    answers = read_task(sample.tasks, [each.control for each in sample.asked])
    decided = Decided(sample, state=sample.held.get(STATE_FIELD))
    _note_votes(sample, answers, rules, plan)
    if not any(answers.given.values()):
        _decide_unanswered(decided, answers, rules, plan)
    elif answers.annotators < sample.annotators and not (answers.decided or rules.partial):
        plan.counts.waiting += 1
        decided.state = LabelingState.OUT
        decided.notes.append(f"{answers.annotators} of {sample.annotators} annotators")
    else:
        _decide_answered(decided, answers, rules, plan)
    return decided


def accept(decided: Decided, plan: Plan) -> None:
    """Put into the plan what differs from what the sample holds."""
    held = decided.sample.held
    remembered = dict(held.get(ANSWERS_FIELD) or {})
    for name, entry in decided.answers.items():
        if entry is None:
            remembered.pop(name, None)
        else:
            remembered[name] = entry
    state = None if decided.state is None else str(decided.state)
    wanted = {STATE_FIELD: state, NOTE_FIELD: "; ".join(decided.notes) or None, ANSWERS_FIELD: remembered or None}
    marks = {name: wanted[name] for name in MARKS if wanted[name] != (held.get(name) or None)}
    _count_labels(decided, plan)
    if decided.labels or marks:
        plan.changes[decided.sample.id] = SampleChange(decided.labels, marks)


def refuse_changed_file(decided: Decided, rules: Rules, plan: Plan) -> None:
    """Let the sample's labels stand, as its file is not the one that was annotated."""
    plan.counts.changed_files += 1
    labels, decided.labels = decided.labels, {}
    if rules.conflicts is Conflicts.KEEP:
        plan.counts.kept += len(labels)
        return
    for name, new in labels.items():
        decided.answers.pop(name, None)
        _clash(decided, name, new.label, "the file was changed since it was sent", plan)
    decided.state = LabelingState.CONFLICT


def _decide_unanswered(decided: Decided, answers: TaskAnswers, rules: Rules, plan: Plan) -> None:
    sample = decided.sample
    back = _delivered(sample)
    came_from_it = [
        each for each in sample.asked if each.field in back and _held(sample, each) == back[each.field].label
    ]
    if came_from_it and not rules.remove:
        plan.counts.withdrawn += len(came_from_it)
        decided.notes.append("annotation deleted, label kept")
        return
    for each in came_from_it:
        plan.counts.removed += 1
        decided.labels[each.field] = NewLabel(sample.before.get(each.field), {})
    if rules.remove:
        decided.answers |= dict.fromkeys(back)
    if answers.skipped:
        plan.counts.skipped += 1
        decided.state = LabelingState.SKIPPED
        decided.notes.append(f"skipped by {answers.skipped}")
    elif not sample.tasks:
        plan.counts.missing_tasks += not came_from_it
        decided.state = None if rules.remove else decided.state
    else:
        plan.counts.out += 1
        decided.state = LabelingState.OUT if sample.is_sent else decided.state


def _decide_answered(decided: Decided, answers: TaskAnswers, rules: Rules, plan: Plan) -> None:
    sample = decided.sample
    verdicts = {
        each.field: verdict_of(answers.given[each.control.name], each.control, rules.ties) for each in sample.asked
    }
    for each in sample.asked:
        verdict = verdicts[each.field]
        if verdict.outcome is Outcome.LABEL:
            _decide_label(decided, each, answers.given[each.control.name], verdict, rules, plan)
        elif verdict.outcome is Outcome.OPEN:
            decided.notes.append(f"{each.field}: {verdict.votes}")
    outcomes = {verdict.outcome for verdict in verdicts.values()}
    decided.state = LabelingState.BACK if Outcome.LABEL in outcomes else LabelingState.SKIPPED
    if Outcome.OPEN in outcomes:
        decided.state = LabelingState.DISAGREEMENT
    if decided.clashed:
        decided.state = LabelingState.CONFLICT
    plan.counts.disagreements += Outcome.OPEN in outcomes
    if outcomes == {Outcome.EMPTY}:
        plan.counts.empty += 1
        decided.notes.append("submitted without an answer")


def _decide_label(
    decided: Decided, asked: Asked, given: Sequence[Given], verdict: Verdict, rules: Rules, plan: Plan
) -> None:
    sample, name = decided.sample, asked.field
    classes = asked.classes(verdict.present)
    label: PlainLabel = classes if asked.several else classes[0]
    new = Delivered(label, signature(given, label), max(each.at for each in given))
    last = _delivered(sample).get(name)
    move = reconcile(_held(sample, asked), sample.before.get(name), last, new, rules.conflicts)
    if move is Move.NOTHING or (last is not None and not sample.is_latest and new.at < last.at):
        plan.counts.unchanged += 1
    elif move is Move.CONFLICT:
        plan.counts.conflicts += 1
        _clash(decided, name, label, "changed here since it was sent", plan)
    else:
        decided.answers[name] = {"label": label, "signature": new.signature, "at": new.at, "batch": sample.batch}
        if move is Move.KEEP:
            plan.counts.kept += 1
        else:
            decided.labels[name] = NewLabel(label, _attributes(given, verdict, rules.names))


def _clash(decided: Decided, name: str, theirs: PlainLabel, reason: str, plan: Plan) -> None:
    sample = decided.sample
    asked = next(each for each in sample.asked if each.field == name)
    here = in_words(_held(sample, asked))
    plan.clashes.append(Clash(sample.id, str(sample.held.get("filepath")), name, here, in_words(theirs), reason))
    decided.notes.append(f"{name}: {in_words(theirs)} by annotators, {reason}")
    decided.clashed = True


def _count_labels(decided: Decided, plan: Plan) -> None:
    for each in decided.sample.asked:
        new = decided.labels.get(each.field)
        if new is None or not new.attributes:
            continue
        held = _held(decided.sample, each)
        if held == new.label:
            plan.counts.confirmed += 1
            continue
        plan.counts.labelled += held is None
        plan.counts.changed += held is not None
        plan.by_class[each.field].update(new.label if isinstance(new.label, list) else [str(new.label)])


def _note_votes(sample: Returned, answers: TaskAnswers, rules: Rules, plan: Plan) -> None:
    for each in sample.asked:
        if given := answers.given[each.control.name]:
            votes: dict[Hashable, Choices] = {}
            for answer in given:
                who = rules.names(answer.annotator)
                votes[who if answer.annotator is not None else f"{who} {answer.annotation}"] = answer.choices
            plan.votes[(each.control.name, each.field)].append(votes)


def _attributes(given: Sequence[Given], verdict: Verdict, names: AnnotatorNames) -> dict[str, Any]:
    times = [at for each in given if (at := moment(each.at)) is not None]
    seconds = [each.lead_time for each in given if each.lead_time is not None]
    found = {
        "annotator": ", ".join(sorted({names(each.annotator) for each in given if each.annotator is not None})) or None,
        "annotated_at": max(times, default=None),
        "agreement": None if verdict.agreement is None else round(verdict.agreement, 4),
        "lead_time": round(sum(seconds), 3) if seconds else None,
        "blind": all(each.blind for each in given),
        "from_prediction": any(each.from_prediction for each in given),
    }
    return {name: value for name, value in found.items() if value is not None}


def _delivered(sample: Returned) -> dict[str, Delivered]:
    """Return field -> what was brought back last of the sample's batch; an earlier batch is a closed matter."""
    return {
        name: Delivered(entry.get("label"), str(entry.get("signature")), str(entry.get("at") or ""))
        for name, entry in (sample.held.get(ANSWERS_FIELD) or {}).items()
        if isinstance(entry, Mapping) and entry.get("batch") == sample.batch
    }


def _held(sample: Returned, asked: Asked) -> PlainLabel:
    return plain_label(sample.held.get(asked.field), several=asked.several)


def in_words(label: PlainLabel) -> str:
    """Return a label for people."""
    return ", ".join(label) or "none of them" if isinstance(label, list) else label or "no label"
