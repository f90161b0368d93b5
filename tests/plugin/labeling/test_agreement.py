"""How far annotators agree: against what is known from the literature, and against counting it out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.plugin.labeling.agreement import agreement_by_annotator, cohen_kappa
from winnow.plugin.labeling.choice_trees import Choice
from winnow.plugin.labeling.labeling_config import Control

CHOICES = tuple(Choice(name, name) for name in ("cat", "dog", "fox"))


def control(most: int | None = 1) -> Control:
    return Control("pet", "img", "image", "choices", most, CHOICES)


def one(name: str) -> frozenset[str]:
    return frozenset({name})


def test_kappa_is_that_of_a_table_that_is_counted_out() -> None:
    # 20 both yes, 5 yes/no, 10 no/yes, 15 both no: observed .7, by chance .5 * .6 + .5 * .4 = .5
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15

    assert cohen_kappa(pairs) == pytest.approx(0.4)


def test_kappa_is_undefined_without_units_or_without_different_answers() -> None:
    assert math.isnan(cohen_kappa([])) and math.isnan(cohen_kappa([("y", "y")] * 3))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab")), min_size=1, max_size=30))
def test_kappa_is_symmetric_and_1_for_those_who_never_differ(pairs: list[tuple[str, str]]) -> None:
    kappa = cohen_kappa(pairs)

    assert kappa == pytest.approx(cohen_kappa([(b, a) for a, b in pairs]), nan_ok=True)
    assert math.isnan(kappa) or (kappa == pytest.approx(1)) == all(a == b for a, b in pairs)


def test_annotator_is_compared_where_most_of_the_others_agree() -> None:
    votes = [
        {1: one("cat"), 2: one("cat"), 3: one("dog")},
        {1: one("dog"), 2: one("dog"), 3: one("dog")},
        {1: one("fox")},
    ]

    by_annotator = {each.annotator: each for each in agreement_by_annotator(votes, control())}

    # To annotator 1 the others are split in the first task, and absent in the last.
    assert (by_annotator[1].answers, by_annotator[1].compared, by_annotator[1].share) == (3, 1, 1.0)
    assert (by_annotator[3].compared, by_annotator[3].share) == (2, 0.5)


def test_of_several_choices_each_one_is_compared() -> None:
    votes = [{1: frozenset({"cat", "dog"}), 2: one("cat")}]

    (first, _) = agreement_by_annotator(votes, control(most=None))

    assert first.share == pytest.approx(2 / 3)
