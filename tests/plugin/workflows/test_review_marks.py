"""What is proposed for a group leaves an image, and never the training image in place of the test image."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from winnow.plugin.workflows.review_marks import Member, hindrance, propose_copies, propose_leak

SPLITS = ("test", "validation", "train", "", "gold")
EVALUATION = {"test", "validation", "gold"}


def members_of(*splits: str, roles: tuple[str | None, ...] = ()) -> list[Member]:
    given_roles = roles or (None,) * len(splits)
    return [
        Member(str(row), f"{row}.png", "cat", split, role)
        for row, (split, role) in enumerate(zip(splits, given_roles, strict=True))
    ]


groups = st.lists(
    st.tuples(st.sampled_from(SPLITS), st.sampled_from(["keeper", "copy", None])), min_size=2, max_size=6
).map(lambda rows: members_of(*(split for split, _ in rows), roles=tuple(role for _, role in rows)))


@settings(max_examples=300, deadline=None)
@given(groups)
def test_what_is_proposed_for_copies_is_allowed(members: list[Member]) -> None:
    assert hindrance(propose_copies(members), members) is None


@settings(max_examples=300, deadline=None)
@given(groups, st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_what_is_proposed_for_a_leak_is_allowed_and_ends_it(members: list[Member], pairs: set[tuple[int, int]]) -> None:
    linked = {frozenset((str(a), str(b))) for a, b in pairs if a != b}

    proposed = propose_leak(members, lambda a, b: frozenset((a, b)) in linked)

    assert hindrance(proposed, members) is None
    kept = [member for member in members if proposed[member.id] == "keep" and member.split]
    apart = [(a, b) for a in kept for b in kept if a.split != b.split]
    assert not any(frozenset((a.id, b.id)) in linked for a, b in apart)


def test_the_image_that_the_search_chose_is_kept() -> None:
    proposed = propose_copies(members_of("train", "train", "train", roles=("copy", "keeper", "copy")))

    assert proposed == {"0": "remove", "1": "keep", "2": "remove"}


def test_a_test_image_is_kept_even_where_the_search_chose_a_training_image() -> None:
    proposed = propose_copies(members_of("train", "test", roles=("keeper", "copy")))

    assert proposed == {"0": "remove", "1": "keep"}


def test_the_training_side_of_a_leak_goes() -> None:
    proposed = propose_leak(members_of("train", "test", "train", "test"), lambda a, b: True)

    assert proposed == {"0": "remove", "1": "keep", "2": "remove", "3": "keep"}


def test_a_validation_image_stays_that_repeats_only_a_training_image() -> None:
    linked = {frozenset("01"), frozenset("12")}  # validation - train - test

    proposed = propose_leak(members_of("validation", "train", "test"), lambda a, b: frozenset((a, b)) in linked)

    assert proposed == {"0": "keep", "1": "remove", "2": "keep"}


@pytest.mark.parametrize(
    ("splits", "marks", "reason"),
    [
        (("train", "train"), ("remove", "remove"), "one image of a group has to stay"),
        (("test", "train"), ("remove", "keep"), "test or validation set does not go"),
        (("validation", ""), ("remove", "keep"), "test or validation set does not go"),
        (("train", "train"), ("keep",), "not marked as a whole"),
        (("train", "train"), ("keep", "perhaps"), "marked 'keep' or 'remove'"),
        (("test", "validation"), ("remove", "keep"), None),
        (("train", "test"), ("remove", "keep"), None),
        (("train", ""), ("remove", "keep"), None),
        (("test", "train"), ("keep", "keep"), None),
    ],
)
def test_marks_that_are_not_allowed_say_why(
    splits: tuple[str, ...], marks: tuple[str, ...], reason: str | None
) -> None:
    told = hindrance({str(row): mark for row, mark in enumerate(marks)}, members_of(*splits))

    assert (told is None) if reason is None else (reason in str(told))
