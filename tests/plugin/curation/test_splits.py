from __future__ import annotations

import pytest

from winnow.plugin.curation.splits import STANDARD_SPLITS, standard_split


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("val", "validation"),
        ("valid", "validation"),
        ("Validation", "validation"),
        ("dev", "validation"),
        ("TEST", "test"),
        ("testing", "test"),
        ("eval", "test"),
        (" Val ", "validation"),
        ("test_set", "test"),
        ("train-data", "train"),
    ],
)
def test_usual_spellings_are_mapped_to_the_standard_name(name: str, expected: str) -> None:
    assert standard_split(name) == expected


@pytest.mark.parametrize("name", ["", " ", "cat", "trainer", "train cat", "fold1", "holdout", "testing ground", "set"])
def test_other_names_are_no_splits(name: str) -> None:
    assert standard_split(name) is None


def test_standard_names_stand_for_themselves() -> None:
    assert [standard_split(name) for name in STANDARD_SPLITS] == list(STANDARD_SPLITS)
