"""The three signals of a model's health, and what they come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.healths import CLASSES, HOSTILE, check, health, outcomes
from winnow.plugin.workflows.health_figures import ClassifierFacts, Health
from winnow.plugin.workflows.health_leads import Level, fallen_classes, headline, leads, next_steps
from winnow.plugin.workflows.health_tracking import with_answers


def bare(**changes: object) -> Health:
    return Health(ClassifierFacts("/models/pets", "new", CLASSES, expected_error=0.05), **changes)


def test_signals_come_in_the_order_in_which_they_are_read() -> None:
    found = leads(health())

    assert [lead.key for lead in found] == ["overrides", "recall", "novel"]
    assert [lead.figure for lead in found] == ["33.3 %", "0.0 %", "30.0 %"]


def test_all_that_asks_for_a_look_stands_in_the_headline() -> None:
    level, sentence = headline(health())

    assert level is Level.LOOK
    assert sentence == (
        "Annotators override 33 % of its predictions; less is recognised of 'dog'; the images have drifted; 30.0 % of "
        "the images look unlike anything it was trained on."
    )
    assert len(next_steps(health())) == 3


def test_few_overrides_are_no_reason_to_look_where_so_many_were_to_be_expected() -> None:
    answered = with_answers(bare(), outcomes([0] * 40 + [1] * 2, [0] * 42), "the labels")

    assert leads(answered)[0].level is Level.GOOD
    assert leads(replace(answered, about=replace(answered.about, expected_error=0.0)))[0].level is Level.LOOK


def test_no_figure_is_made_of_answers_that_are_not_there() -> None:
    level, sentence = headline(bare())

    assert level is Level.UNKNOWN
    assert sentence == "Nothing is known yet of how it does at work."
    assert [lead.figure for lead in leads(bare())] == ["not known"] * 3
    assert next_steps(bare()) == ()


def test_what_is_not_known_is_told_beside_what_is_good() -> None:
    level, sentence = headline(with_answers(bare(), outcomes([0, 1, 2] * 20, [0, 1, 2] * 20), "the labels"))

    assert level is Level.GOOD
    assert sentence == "Nothing speaks against it; not known: unlike anything trained on."


@pytest.mark.parametrize(("novel", "level"), [(1, Level.GOOD), (30, Level.LOOK)])
def test_images_unlike_the_training_ask_for_a_look_without_drift_of_the_whole_too(novel: int, level: Level) -> None:
    found = leads(bare(checks=(check(is_drift=False, novel=novel),)))[2]

    assert found.level is level
    assert "As a whole they have not drifted" in found.sentence


def test_class_falls_by_what_was_to_be_expected_of_it() -> None:
    found = with_answers(bare(), outcomes([2] * 30, [2] * 15 + [0] * 15), "the labels")
    half, whole = (replace(found, classes=tuple(replace(each, expected=e) for each in found.classes)) for e in (0.5, 1))

    assert fallen_classes(half) == []
    assert [each.name for each in fallen_classes(whole)] == [HOSTILE]
