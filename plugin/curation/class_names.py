"""Classes that are probably one: names that differ only in how they are written.

Two names count as one class where they are equal after Unicode's compatibility form (NFKC), case folding, and without
blanks, underscores and hyphens (the Unicode Standard, section 3.13, compatibility caseless match; Unicode Standard
Annex 15). Nothing is guessed beyond that: plurals, synonyms and misspellings stay different classes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Hyphens and dashes of every kind, underscores, blanks, and characters of no width. Between two digits they make a
# number another one (1-2 is not 12), and before a number they are its sign.
_SEPARATORS = r"[\s_\-\u2010-\u2015\u2212\u200b-\u200d\ufeff]+"
_SIGN = re.compile(r"^\s*[-\u2212]\s*(?=\d)")
_BETWEEN_DIGITS = re.compile(rf"(?<=\d){_SEPARATORS}(?=\d)")
_ANYWHERE = re.compile(_SEPARATORS)
_GAP = "\0"  # stands between two digits in a folded name


@dataclass(frozen=True)
class NameClash:
    """Classes whose names differ only in how they are written.

    Attributes:
        rows: Numbers of the classes, ascending.
        names: Their names, row for row.
        counts: How many labels each has.
        proposed: The most frequent name; ties go to the first.
    """

    rows: tuple[int, ...]
    names: tuple[str, ...]
    counts: tuple[int, ...]
    proposed: str

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"counts": dict(zip(self.names, self.counts, strict=True)), "proposed": self.proposed}

    def text(self) -> str:
        """Return a note for a person, the most frequent name last; names that look alike are shown by their codes."""
        looks = [unicodedata.normalize("NFKC", name) for name in self.names]
        order = sorted(range(len(self.names)), key=lambda row: (self.counts[row], self.names[row] == self.proposed))
        shown = (
            f"{repr(name) if looks.count(look) == 1 else ascii(name)} ({count:,})"
            for name, look, count in ((self.names[row], looks[row], self.counts[row]) for row in order)
        )
        return f"probably one class: {', '.join(shown)}"


def audit_class_names(names: Sequence[str], counts: Sequence[int] | np.ndarray) -> tuple[NameClash, ...]:
    """Find classes whose names differ only in case, blanks, underscores, hyphens or Unicode form.

    A name of one character keeps its case: in a data set of letters, A and a are two classes.

    Args:
        names: k class names.
        counts: k numbers of labels.

    Returns:
        The clashes, in the order of their first class.

    Raises:
        ValueError: Names and counts of different lengths.
    """
    if len(names) != len(counts):
        raise ValueError(f"{len(names)} names, but {len(counts)} counts")
    alike: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        alike.setdefault(_folded(name), []).append(row)
    return tuple(_clash(rows, names, counts) for rows in alike.values() if len(rows) > 1)


def merged_classes(n_classes: int, clashes: Sequence[NameClash]) -> tuple[np.ndarray, np.ndarray]:
    """Number classes anew, so that those of a clash are one.

    Args:
        n_classes: k.
        clashes: What `audit_class_names` found.

    Returns:
        (k,) int64 new number of each class, and (m,) int64 old number of each new class: of a clash, the proposed one.
    """
    stands_for = np.arange(n_classes)
    for clash in clashes:
        stands_for[list(clash.rows)] = clash.rows[clash.names.index(clash.proposed)]
    old, new = np.unique(stands_for, return_inverse=True)
    return new.astype(np.int64), old.astype(np.int64)


def _folded(name: str) -> str:
    normal = unicodedata.normalize("NFKC", name)
    if len(normal.strip()) > 1:  # folding may leave a form that NFKC would compose again
        normal = unicodedata.normalize("NFKC", normal.casefold())
    sign = "-" if _SIGN.match(normal) else ""
    return sign + _ANYWHERE.sub("", _BETWEEN_DIGITS.sub(_GAP, normal)) or name


def _clash(rows: list[int], names: Sequence[str], counts: Sequence[int] | np.ndarray) -> NameClash:
    own = tuple(int(counts[row]) for row in rows)
    return NameClash(tuple(rows), tuple(names[row] for row in rows), own, names[rows[own.index(max(own))]])
