"""Served predictions and the annotations of their tasks -> what became of each prediction.

An annotation is compared with the prediction that was there when it was made: that of the version that it started
from, where Label Studio tells, else the last one before it. An edit changes what was said, not which prediction was
there. What is right is the label of the task (see `annotations.py`): ground truth where there is some, else what more
than half of the annotators say; whether somebody overrode the prediction is asked of each annotator.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np

from ..curation.outcomes import NO_LABEL, NONE_OF_THEM, Outcomes
from .agreement import Choices, decide_each, majority
from .annotations import answer_of, counted
from .choice_trees import Written
from .served_predictions import ServedMapping


@dataclass(frozen=True, slots=True)
class ServedRow:
    """A prediction as it is kept: `chosen` as JSON, `probabilities` as (k,) float16."""

    mapping: ServedMapping
    shown: bool
    at: float
    chosen: str
    probabilities: bytes


@dataclass(frozen=True, slots=True)
class AnsweredControl:
    """A control of a task.

    Attributes:
        served: Its predictions, in the order of their times.
        annotations: Of the task, each with the version that it started from where that is known.
    """

    served: Sequence[ServedRow]
    annotations: Sequence[tuple[Mapping[str, Any], str | None]]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A prediction that was answered; `label` is None where annotators are split."""

    row: ServedRow
    at: float
    label: tuple[Choices, Choices] | None
    shown: bool
    reviews: int
    overrides: int


def outcomes_of(controls: Sequence[AnsweredControl], version: str | None, since: float | None) -> Outcomes:
    """Return the outcomes in the order of their times; of one kind, see `ServedStore.outcomes`."""
    found = [outcome for control in controls for outcome in _outcomes(control)]
    if version is not None:
        found = [each for each in found if each.row.mapping.version == version]
    found = sorted((each for each in found if since is None or each.at >= since), key=lambda each: each.at)
    newest = max(found, key=lambda each: each.row.at, default=None)
    multilabel = newest is not None and newest.row.mapping.multilabel
    found = [each for each in found if each.row.mapping.multilabel == multilabel]
    newest_first = sorted(found, key=lambda each: -each.row.at)
    classes = tuple(dict.fromkeys(name for each in newest_first for name in each.row.mapping.classes))
    places = {name: place for place, name in enumerate(classes)}
    shape = (len(found), len(classes)) if multilabel else (len(found),)
    read = [_several(each, places) if multilabel else _single(each, places) for each in found]
    kind = float if multilabel else np.int64
    return Outcomes(
        times=np.array([each.at for each in found], float),
        versions=np.array([each.row.mapping.version for each in found], object),
        answers=np.array([each[0] for each in read], kind).reshape(shape),
        predicted=np.array([each[1] for each in read], kind).reshape(shape),
        confidence=np.array([each[2] for each in read], np.float32).reshape(shape),
        shown=np.array([each.shown for each in found], bool),
        reviews=np.array([each.reviews for each in found], np.int64),
        overrides=np.array([each.overrides for each in found], np.int64),
        classes=classes,
    )


def _outcomes(control: AnsweredControl) -> list[_Outcome]:
    """Return one outcome for each prediction of the control that somebody answered."""
    told = {annotation["id"]: version for annotation, version in control.annotations}
    counting = counted([each for each, _ in control.annotations if not each["was_cancelled"]])
    groups: dict[int, list[Mapping[str, Any]]] = {}
    for annotation in counting:
        place = _prediction_of(annotation, told[annotation["id"]], control.served)
        if place is not None:
            groups.setdefault(place, []).append(annotation)
    return [
        outcome
        for place, annotations in sorted(groups.items())
        if (outcome := _outcome(control, place, annotations, counting)) is not None
    ]


def _outcome(
    control: AnsweredControl,
    place: int,
    annotations: Sequence[Mapping[str, Any]],
    counting: Sequence[Mapping[str, Any]],
) -> _Outcome | None:
    row = control.served[place]
    asked = row.mapping.control
    # Where one choice is asked for, none is no answer: the control may not have been shown, or was left open.
    said = {each["id"]: answer_of(each, asked) for each in counting}
    given = [(each, said[each["id"]]) for each in annotations if asked.multiple or said[each["id"]]]
    if not given:
        return None
    votes = list(said.values())
    label: tuple[Choices, Choices] | None
    if asked.multiple:
        label = decide_each(votes)
    else:
        winner = majority(votes)
        label = (winner, frozenset()) if winner else None
    filled = frozenset(_filled(row.chosen))
    saw = [_saw(each, control.served) for each, _ in given]
    changed = [seen and answer != filled for (_, answer), seen in zip(given, saw, strict=True)]
    at = max(_seconds(each["updated_at"]) for each, _ in given)
    return _Outcome(row, at, label, any(saw), sum(saw), sum(changed))


def _prediction_of(annotation: Mapping[str, Any], told: str | None, served: Sequence[ServedRow]) -> int | None:
    made = _seconds(annotation["created_at"])
    own = [place for place, row in enumerate(served) if told is not None and row.mapping.version == told]
    before = [place for place in own or range(len(served)) if served[place].at <= made]
    if before:
        return before[-1]
    return own[0] if own else None  # Label Studio's clock may be behind


def _saw(annotation: Mapping[str, Any], served: Sequence[ServedRow]) -> bool:
    if annotation["parent_prediction"] is not None:
        return True
    made = _seconds(annotation["created_at"])
    return any(row.shown and row.at <= made for row in served)


def _single(outcome: _Outcome, places: Mapping[str, int]) -> tuple[int, int, float]:
    """Return answer, prediction and its probability."""
    mapping = outcome.row.mapping
    (filled,) = _filled(outcome.row.chosen)
    own = mapping.places[filled]
    probability = float(np.frombuffer(outcome.row.probabilities, "<f2")[own])
    return _answer(outcome.label, mapping, places), places[mapping.classes[own]], probability


def _answer(label: tuple[Choices, Choices] | None, mapping: ServedMapping, places: Mapping[str, int]) -> int:
    if label is None or label[1]:
        return NO_LABEL
    named = [mapping.places.get(written) for written in label[0]]
    if len(named) != 1 or named[0] is None:
        return NONE_OF_THEM
    return places[mapping.classes[named[0]]]


def _several(outcome: _Outcome, places: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (k,) answers, predictions and probabilities."""
    mapping = outcome.row.mapping
    answers, predicted, confidence = np.full((3, len(places)), np.nan)
    filled = _filled(outcome.row.chosen)
    present, undecided = outcome.label or (frozenset(), frozenset())
    probabilities = np.frombuffer(outcome.row.probabilities, "<f2")
    for place, (name, written) in enumerate(zip(mapping.classes, mapping.written, strict=True)):
        if written is None:
            continue
        column = places[name]
        predicted[column], confidence[column] = written in filled, probabilities[place]
        if written not in undecided:
            answers[column] = written in present
    return answers, predicted, confidence


@lru_cache(maxsize=4096)
def _filled(chosen: str) -> tuple[Written, ...]:
    """Return what a prediction says."""
    return tuple(tuple(each) if isinstance(each, list) else each for each in json.loads(chosen))


@lru_cache(maxsize=4096)
def _seconds(text: str) -> float:
    """Return a time of Label Studio's in seconds since 1970; of anything else the beginning, before each prediction."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).timestamp()
