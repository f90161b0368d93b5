"""What a page on the health of a dataset is made of: figures, the samples behind them, and what mends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..datasets.views import Collection


class Level(StrEnum):
    """What a figure asks for, in the order in which it is told."""

    ACT = "act"
    STALE = "stale"
    UNKNOWN = "unknown"
    GOOD = "good"


@dataclass(frozen=True)
class Behind:
    """Samples behind a figure, known by what their fields say, never by a list of ids.

    Attributes:
        key: Name within the figure.
        label: What is shown, as a button says it.
        count: How many there are.
        match: Condition of MongoDB.
        order: Field to sort by; "" = as they are.
        reverse: Whether its largest value comes first.
        group: Field to show one tile a value of; "" = one tile an image.
    """

    key: str
    label: str
    count: int
    match: Mapping[str, Any]
    order: str = ""
    reverse: bool = False
    group: str = ""

    def view(self, images: Collection) -> Collection:
        """Return these of some single images."""
        found = images.match(dict(self.match))
        if self.group:
            found = found.group_by(self.group, order_by=self.order or None, reverse=self.reverse)
        return found.sort_by(self.order, reverse=self.reverse) if self.order else found


@dataclass(frozen=True)
class Remedy:
    """An operator that mends what a figure says.

    Attributes:
        operator: Name of the operator.
        label: Text of its button.
        command: The same on the command line, without the TARGET's options.
        params: What its form starts with.
    """

    operator: str
    label: str
    command: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """One thing that is known, or not known, of a dataset.

    Attributes:
        key: Its name.
        title: The same for a person.
        level: What it asks for.
        sentence: What is known, in plain words and numbers.
        details: More of it, a sentence each.
        stale: Why what was found is older than the dataset, "" where it is not.
        behind: Samples to look at.
        remedies: What mends it, the best first.
        numbers: The same as plain JSON.
    """

    key: str
    title: str
    level: Level
    sentence: str
    details: tuple[str, ...] = ()
    stale: str = ""
    behind: tuple[Behind, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "key": self.key,
            "level": str(self.level),
            "sentence": self.sentence,
            "details": list(self.details),
            "stale": self.stale or None,
            "samples": {each.key: each.count for each in self.behind},
            "operators": [each.operator for each in self.remedies],
            **self.numbers,
        }


def percent(part: float, whole: float) -> str:
    """Return a share, as in "2.5 %": of more than nothing never "0.0 %", of less than all never "100.0 %"."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.1:
        return "less than 0.1 %"
    if 99.9 < share < 100:
        return "more than 99.9 %"
    return f"{share:.1f} %"


def interval_words(low: float, high: float) -> str:
    """Return the ends of an interval of shares, as in "2.5 to 4.1 %"."""
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def again(remedy: Remedy) -> Remedy:
    """Return the remedy of something that was looked for before."""
    return Remedy(remedy.operator, f"{remedy.label} again", remedy.command)


def level_of(found: bool, stale: str) -> Level:
    """Return what a figure asks for that something was found for, or nothing, and that may be old."""
    return Level.ACT if found else Level.STALE if stale else Level.GOOD
