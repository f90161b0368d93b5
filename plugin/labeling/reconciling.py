"""What to do with a label that comes back, when the dataset's own may have changed meanwhile.

Three labels are compared, as in a merge: the one that was there when the image was sent (or what was brought back
last), the one that is there now, and the one that annotators give. Only where the dataset's has not moved does theirs
take its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# A class; the sorted classes of an image that may have several; None = no label.
PlainLabel = str | list[str] | None


class Conflicts(StrEnum):
    """What becomes of labels that were changed on both sides.

    SHOW: the dataset's label stays, and the conflict is told. KEEP: it stays for good. THEIRS: annotators are right.
    """

    SHOW = "show"
    KEEP = "keep"
    THEIRS = "theirs"


class Move(StrEnum):
    """What to do with one label."""

    NOTHING = "nothing"
    WRITE = "write"
    KEEP = "keep"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What was brought back last.

    Attributes:
        label: The annotators' label.
        signature: Of their answers; see `task_answers.signature`.
        at: When the latest of them was given, as Label Studio writes it.
    """

    label: PlainLabel
    signature: str
    at: str = ""


def reconcile(
    held: PlainLabel,
    before: PlainLabel,
    delivered: Delivered | None,
    new: Delivered,
    conflicts: Conflicts = Conflicts.SHOW,
) -> Move:
    """Decide about one label of one image.

    Args:
        held: The dataset's label now.
        before: The dataset's label when the image was sent.
        delivered: What was brought back last; None = nothing yet.
        new: What annotators say now.
        conflicts: What becomes of labels that were changed on both sides.

    Returns:
        Nothing where these answers were brought back already: whatever happened to the label since, somebody wanted it.
    """
    if delivered is not None and delivered.signature == new.signature:
        return Move.NOTHING
    base = before if delivered is None else delivered.label
    if held in (new.label, base) or conflicts is Conflicts.THEIRS:
        return Move.WRITE
    return Move.KEEP if conflicts is Conflicts.KEEP else Move.CONFLICT
