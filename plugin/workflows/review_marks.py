"""Which images of a group are to be kept: what is proposed, and what is not allowed.

An image always stays, and no image of a test or validation set goes while one stays that may be trained on: the test
set stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..datasets.group_marks import KEEP, REMOVE
from .findings import KEEPER, KEPT

_RANKS = {"test": 0, "validation": 1, "train": 3, "": 3}
_OTHER_RANK = 2  # a split of another name judges rather than trains
_TRAINING = _RANKS["train"]


@dataclass(frozen=True)
class Member:
    """An image of a group.

    Attributes:
        id: Of the sample.
        image: Path of the file.
        label: Its class, or None.
        split: Its split, "" = none.
        role: "keeper", "copy" or "kept", as `find_duplicates` left it; None for leaks.
        width, height, bytes: Of the file; None where that can't be read.
    """

    id: str
    image: str
    label: str | None
    split: str
    role: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "id": self.id,
            "image": self.image,
            "label": self.label,
            "split": self.split or None,
            "width": self.width,
            "height": self.height,
            "bytes": self.bytes,
            "role": self.role,
        }


def rank(split: str) -> int:
    """Return the place of a split among those that images are taken from: 0 = last of all."""
    return _RANKS.get(split, _OTHER_RANK)


def propose_copies(members: Sequence[Member]) -> dict[str, str]:
    """Return sample id -> "keep" or "remove" for near-duplicates: the image that the search chose, or the next best."""
    return _marks(members, [member for member in members if member.role in (KEEPER, KEPT)])


def propose_leak(members: Sequence[Member], are_linked: Callable[[str, str], bool]) -> dict[str, str]:
    """Return sample id -> "keep" or "remove" for a leak: whoever repeats an image of a split that goes before its own.

    Args:
        members: Images that leak into each other.
        are_linked: Whether two of them were found to be a pair; none are where the user's own groups say so.
    """
    linked = any(are_linked(one.id, other.id) for row, one in enumerate(members) for other in members[:row])
    kept: list[Member] = []
    for member in sorted(members, key=lambda each: (_split_rank(each), each.split, each.id)):
        leaks = any(other.split != member.split and (not linked or are_linked(member.id, other.id)) for other in kept)
        if not leaks or not member.split:
            kept.append(member)
    return _marks(members, kept)


def hindrance(marks: Mapping[str, str], members: Sequence[Member]) -> str | None:
    """Return why images can't be marked so, None where they can."""
    if set(marks) != {member.id for member in members}:
        return "the group has changed meanwhile, and was not marked as a whole"
    if not set(marks.values()) <= {KEEP, REMOVE}:
        return f"an image is marked '{KEEP}' or '{REMOVE}'"
    kept = [member for member in members if marks[member.id] == KEEP]
    if not kept:
        return "one image of a group has to stay"
    removed = (member for member in members if marks[member.id] == REMOVE)
    staying = [member.split for member in kept]
    if not all(may_go(member.split, staying) for member in removed):
        return "an image of a test or validation set does not go while one stays that may be trained on"
    return None


def may_go(split: str, staying: Iterable[str]) -> bool:
    """Whether an image of a split may go while images of these splits stay in its group."""
    return rank(split) >= _TRAINING or all(rank(other) < _TRAINING for other in staying)


def _split_rank(member: Member) -> int:
    return rank(member.split)


def _preference(member: Member) -> tuple[Any, ...]:
    pixels = (member.width or 0) * (member.height or 0)
    return (_split_rank(member), member.label is None, -pixels, -(member.bytes or 0), member.id)


def _marks(members: Sequence[Member], kept: Sequence[Member]) -> dict[str, str]:
    """Return the marks that keep these images, or, where that is not allowed, the nearest to it that is."""
    going = [member for member in members if member not in kept]
    if not all(may_go(member.split, [each.split for each in kept]) for member in going):
        kept = [member for member in kept if _split_rank(member) < _TRAINING]
    staying = {member.id for member in kept or [min(members, key=_preference)]}
    return {member.id: KEEP if member.id in staying else REMOVE for member in members}
