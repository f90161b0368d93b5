"""What is held out of training."""

from __future__ import annotations

import numpy as np
import pytest

from winnow.backend.held_out import HoldingOut, choose_held_out
from winnow.plugin.errors import DataError
from winnow.plugin.labeling.blind_share import is_withheld, unit_of


def tasks(count: int) -> np.ndarray:
    return np.array([f"task {number}" for number in range(count)], object)


def test_a_share_is_held_out_and_at_least_so_many() -> None:
    many = choose_held_out(tasks(2_000), frozenset(), HoldingOut(share=0.2, least=100))
    few = choose_held_out(tasks(220), frozenset(), HoldingOut(share=0.2, least=100))

    assert 340 <= len(many) <= 460
    assert len(few) == 100


def test_what_was_held_out_stays_so_when_the_project_grows() -> None:
    wanted = HoldingOut(share=0.2, least=100)
    before = choose_held_out(tasks(220), frozenset(), wanted)

    after = choose_held_out(tasks(5_000), before, wanted)

    assert before < after


def test_choice_does_not_depend_on_order_or_on_other_tasks() -> None:
    units, wanted = tasks(2_000), HoldingOut(share=0.2, least=10)

    whole = choose_held_out(units, frozenset(), wanted)
    part = choose_held_out(units[1_000:][::-1], frozenset(), wanted)

    assert part == whole & set(units[1_000:])


def test_units_are_never_torn_apart() -> None:
    units = np.repeat(tasks(100), 10)

    held = np.isin(units, list(choose_held_out(units, frozenset(), HoldingOut(share=0.2, least=95))))

    assert held.sum() % 10 == 0
    assert held.sum() >= 100


def test_too_few_images_are_refused_with_the_number_that_is_missing() -> None:
    with pytest.raises(DataError, match="Annotate 20 more"):
        choose_held_out(tasks(180), frozenset(), HoldingOut(least=100))


def test_groups_so_large_that_nothing_is_left_to_train_on_are_refused() -> None:
    units = np.repeat(tasks(2), [300, 20])

    with pytest.raises(DataError, match="2 groups only"):
        choose_held_out(units, frozenset(["task 0"]), HoldingOut(least=100))


def test_what_annotators_get_no_prediction_for_is_held_out() -> None:
    units = tasks(2_000)

    withheld = {unit for unit in units if is_withheld(unit, 0.1)}

    assert 150 <= len(withheld) <= 250
    assert withheld < choose_held_out(units, frozenset(), HoldingOut(share=0.2, least=10))


def test_task_belongs_to_the_value_of_the_group_key_or_to_itself() -> None:
    data = {"patient": {"id": 5}, "none": ""}

    found = [unit_of(3, data, key) for key in (None, "patient.id", "none", "absent")]

    assert found == ["task 3", "group 5", "task 3", "task 3"]
