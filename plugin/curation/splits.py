"""The names that people give to the splits of a dataset."""

from __future__ import annotations

# In the order in which a sample that carries two of them is decided: what was ever used to test must not train.
STANDARD_SPLITS = ("test", "validation", "train")
HELD_OUT_SPLITS = STANDARD_SPLITS[:2]

_SPELLINGS = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "val": "validation",
    "valid": "validation",
    "validate": "validation",
    "validation": "validation",
    "dev": "validation",
    "development": "validation",
    "test": "test",
    "testing": "test",
    "tst": "test",
    "eval": "test",
    "evaluation": "test",
}
_SET_WORDS = ("set", "split", "data")


def standard_split(name: str) -> str | None:
    """Return "train", "validation" or "test" for the usual spellings of a split's name, None for any other name.

    Case, surrounding blanks and a trailing word as in "train set", "val_split" or "test-data" don't matter.
    """
    words = name.casefold().replace("_", " ").replace("-", " ").split()
    if len(words) == 2 and words[1] in _SET_WORDS:
        words = words[:1]
    return _SPELLINGS.get(words[0]) if len(words) == 1 else None


def precedence(split: str) -> tuple[int, str]:
    """Return the place of a split where one of several has to be chosen: what was ever used to test must not train."""
    return (STANDARD_SPLITS.index(split) if split in STANDARD_SPLITS else len(STANDARD_SPLITS), split)
