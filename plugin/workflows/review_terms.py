"""What a person can decide about a suspicious label, and the words in which every kind of review tells of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

ACCEPT, KEEP, UNSURE, RELABEL, FORGET = "accept", "keep", "unsure", "relabel", "forget"
REVIEWS = (ACCEPT, KEEP, UNSURE, RELABEL, FORGET)
# What is decided about labels one by one; OTHER: another class, which the reviewer names.
OTHER = "label"
LABEL_STEPS = (ACCEPT, KEEP, OTHER, UNSURE)
# What is decided about groups one by one; MARK: which images to keep and which to remove.
MARK, APART, KEEP_ALL = "mark", "apart", "keep all"
GROUP_STEPS = (MARK, APART, KEEP_ALL, UNSURE)
# What is decided about images with several labels one by one; MARK: about each of the suggested changes its own.
LABEL_SET_STEPS = (ACCEPT, KEEP, UNSURE, MARK)

_KINDS_TOLD = 5

# Why something is left out: singular and plural of what is counted.
Reason = tuple[str, str]
NO_SUGGESTION = ("sample has no suggestion", "samples have no suggestion")
NOT_SURE = ("suggestion is less sure, and left as it is", "suggestions are less sure, and left as they are")
SAME = ("label is as suggested already, and confirmed", "labels are as suggested already, and confirmed")


def listed(values: Iterable[str]) -> str:
    """Return ": 12 cat → dog, 9 cat → fox", the most frequent first; nothing where there are none."""
    counts = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    if not counts:
        return ""
    told = ", ".join(f"{count:,} {what}" for what, count in counts[:_KINDS_TOLD])
    others = sum(count for _, count in counts[_KINDS_TOLD:])
    return f": {told}" + (f", and {others:,} others" if others else "")
