from __future__ import annotations

import numpy as np
import pytest

from winnow.plugin.curation.class_names import NameClash, audit_class_names, merged_classes


def clashing(*names: str) -> list[tuple[str, ...]]:
    return [clash.names for clash in audit_class_names(names, [1] * len(names))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cat", "cat"),
        ("hot dog", "hot_dog"),
        ("hot-dog", "hotdog"),
        (" cat", "cat\u00a0"),
        ("caf\u00e9", "cafe\u0301"),
        ("\uff23\uff21\uff34", "cat"),
        ("ﾈｺ", "ネコ"),
        ("Stra\u00dfe", "STRASSE"),
        ("well\u2010being", "well-being"),
        ("cat\u200b", "cat"),
    ],
)
def test_names_that_differ_only_in_writing_clash(one: str, other: str) -> None:
    assert clashing(one, other, "dog") == [(one, other)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "cats"),
        ("A", "a"),
        ("1-2", "12"),
        ("-5", "5"),
        ("1 2", "1/2"),
        ("C", "C++"),
        ("ねこ", "ネコ"),
        ("-", "_"),
    ],
)
def test_names_that_mean_something_else_do_not_clash(one: str, other: str) -> None:
    assert clashing(one, other) == []


def test_three_spellings_are_one_clash() -> None:
    assert clashing("CAT", "Cat", "cat", "dog") == [("CAT", "Cat", "cat")]


def test_the_most_frequent_name_is_proposed() -> None:
    (clash,) = audit_class_names(["Cat", "cat", "dog"], [12, 880, 5])

    assert clash.proposed == "cat"


def test_of_names_of_equal_frequency_the_first_is_proposed() -> None:
    (clash,) = audit_class_names(["Cat", "cat"], np.array([7, 7]))

    assert clash.proposed == "Cat"


def test_text_names_the_classes_with_their_counts() -> None:
    (clash,) = audit_class_names(["Cat", "cat"], [12, 1880])

    assert clash.text() == "probably one class: 'Cat' (12), 'cat' (1,880)"


def test_names_that_look_alike_are_told_apart_in_the_text() -> None:
    (clash,) = audit_class_names(["caf\u00e9", "cafe\u0301"], [1, 2])

    assert "'caf\\xe9' (1), 'cafe\\u0301' (2)" in clash.text()


def test_merged_classes_share_a_number_that_stands_for_the_proposed_name() -> None:
    names = ["Cat", "bird", "cat", "dog"]

    new, old = merged_classes(4, audit_class_names(names, [12, 5, 880, 9]))

    assert new[0] == new[2]
    assert [names[row] for row in old[new]] == ["cat", "bird", "cat", "dog"]
    assert sorted(set(new.tolist())) == [0, 1, 2]


def test_without_clashes_classes_keep_their_numbers() -> None:
    new, old = merged_classes(3, ())

    assert new.tolist() == old.tolist() == [0, 1, 2]


def test_no_classes_have_no_clash() -> None:
    assert audit_class_names([], []) == ()


def test_names_and_counts_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 names, but 1 counts"):
        audit_class_names(["a", "b"], [1])


def test_summary_is_plain_json() -> None:
    clash = NameClash((0, 1), ("Cat", "cat"), (12, 880), "cat")

    assert clash.summary() == {"counts": {"Cat": 12, "cat": 880}, "proposed": "cat"}
