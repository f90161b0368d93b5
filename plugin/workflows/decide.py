"""Keep what a person decides about near-duplicates, and show it at once in the fields of the last run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo

from ..datasets.decisions import call_each_apart, forget_decisions, keep_each
from ..datasets.fields import clear_field, write_values
from ..datasets.views import Collection, dataset_of, every_image
from ..errors import DataError
from .choosing import DuplicateFields, duplicate_fields, leaked_among
from .findings import KEEPER, KEPT
from .wording import counted

APART, KEEP_ALL, FORGET = "not duplicates of each other", "keep all", "forget decisions"
DECISIONS = (APART, KEEP_ALL, FORGET)


@dataclass(frozen=True)
class DecisionReport:
    """What was decided, and about how much.

    Attributes:
        decision: One of `DECISIONS`.
        samples: Number of samples that it is about.
        groups: Number of duplicate groups that it is about.
        pairs: Pairs that were not known to be different images before.
        leaked: Samples that the last search for leaks flagged, possibly for what was decided now.
    """

    decision: str
    samples: int
    groups: int
    pairs: int = 0
    leaked: int = 0

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "decision": self.decision,
            "samples": self.samples,
            "groups": self.groups,
            "pairs": self.pairs,
            "leaked": self.leaked,
        }

    def text(self) -> str:
        """Return markdown for a person."""
        images = counted(self.samples, "image")
        if self.decision == APART:
            pairs = counted(self.pairs, "pair")
            again = f" Find leaks again: {counted(self.leaked, 'image')} stood among them." if self.leaked else ""
            return f"**{images} are no duplicates of each other**: {pairs} will not be flagged again.{again}"
        if self.decision == KEEP_ALL:
            groups = counted(self.groups, "group")
            return f"**{images} of {groups} are all kept**; a group is shown again only when a new image joins it."
        return f"**Forgot what was decided** about {images}. Find near-duplicates again to see them flagged."


def decide_duplicates(
    view: Collection, ids: Sequence[str], decision: str, *, whole_groups: bool = False
) -> DecisionReport:
    """Remember a decision for every later run of `find_duplicates`, and update the fields of the last one.

    Images that are called apart lose group, score and role; so does who is left alone in a group, and a group whose
    image to keep has left keeps the first of the others. What is still alike among them is for the next run to say.

    Args:
        view: Any collection of the dataset.
        ids: Sample ids; those that are gone are passed over.
        decision: "not duplicates of each other", "keep all" (each group of the samples as a whole) or
            "forget decisions".
        whole_groups: Decide about all images of the samples' groups.

    Raises:
        DataError: There is no such decision, or too few samples for it.
    """
    images, fields = every_image(view), duplicate_fields(view)
    asked = images.select(list(ids)).values("id")
    if decision == APART:
        groups = _groups_of(images, fields, asked)
        sets = [group for group in groups.values() if len(group) > 1] if whole_groups else [asked]
        if not sets:
            raise DataError(_no_group(images))
        return _call_apart(images, fields, groups, sets)
    if decision == KEEP_ALL:
        return _keep_all(images, fields, asked)
    if decision == FORGET:
        groups = _groups_of(images, fields, asked)
        members = set(asked).union(*groups.values()) if whole_groups else set(asked)
        return DecisionReport(FORGET, forget_decisions(images, sorted(members)), len(groups))
    raise DataError(f"'{decision}' can't be decided. Choose from: {', '.join(DECISIONS)}.")


def groups_of(view: Collection, ids: Sequence[str]) -> dict[int, list[str]]:
    """Return the duplicate groups that samples belong to: number -> ids of all its images, in ascending order."""
    images = every_image(view)
    return _groups_of(images, duplicate_fields(view), images.select(list(ids)).values("id"))


def call_sets_apart(view: Collection, sets: Sequence[Sequence[str]]) -> DecisionReport:
    """Remember of many sets that the images of each are different, as `decide_duplicates` does of one.

    Raises:
        DataError: A set has fewer than two samples, or one of them is gone.
    """
    images, fields = every_image(view), duplicate_fields(view)
    return _call_apart(images, fields, _groups_of(images, fields, [key for each in sets for key in each]), sets)


def _call_apart(
    images: Collection, fields: DuplicateFields, groups: Mapping[int, list[str]], sets: Sequence[Sequence[str]]
) -> DecisionReport:
    """Call the samples of each set different; `groups` are the duplicate groups that any of them is in."""
    in_groups = {fields.group: {"$in": list(groups)}, fields.role: {"$in": [KEEPER, KEPT]}}
    kept = set(images.match(in_groups).values("id")) if groups else set()
    pairs = call_each_apart(images, sets)
    sets_of: dict[str, list[int]] = defaultdict(list)
    for number, each in enumerate(sets):
        for key in each:
            sets_of[key].append(number)
    leaving: list[str] = []
    keepers: list[str] = []
    for members in groups.values():
        # Who is told apart only from images of other groups stays in this one.
        counts = Counter(number for member in members for number in sets_of.get(member, ()))
        going = {member for member in members if any(counts[number] > 1 for number in sets_of.get(member, ()))}
        if not going:
            continue
        staying = [member for member in members if member not in going]
        if len(staying) < 2:
            going.update(staying)
        elif kept.isdisjoint(staying):
            keepers.append(staying[0])
        leaving += going
    _write(images, fields, leaving, None)
    _write(images, fields, keepers, KEEPER)
    return DecisionReport(APART, len(sets_of), len(groups), pairs, leaked_among(images, sorted(sets_of)))


def _keep_all(images: Collection, fields: DuplicateFields, asked: list[str]) -> DecisionReport:
    groups = _groups_of(images, fields, asked)
    if not groups:
        raise DataError(_no_group(images))
    keep_each(images, [group for group in groups.values() if len(group) > 1])
    members = [member for group in groups.values() for member in group]
    _write(images, fields, members, KEPT)
    return DecisionReport(KEEP_ALL, len(members), len(groups))


def _groups_of(images: Collection, fields: DuplicateFields, ids: list[str]) -> dict[int, list[str]]:
    if not images.has_field(fields.group):
        return {}
    numbers = [number for number in images.select(ids).distinct(fields.group) if number is not None]
    found: dict[int, list[str]] = defaultdict(list)
    members = images.match(fo.ViewField(fields.group).is_in(numbers)).sort_by("id")
    for member, number in zip(*members.values(["id", fields.group]), strict=True):
        found[number].append(member)
    return dict(sorted(found.items()))


def _write(images: Collection, fields: DuplicateFields, ids: Iterable[str], role: str | None) -> None:
    """Give samples a role; None takes them out of their group."""
    members = sorted(ids)
    if not members or not images.has_field(fields.role):
        return
    touched = images.select(members)
    if role is not None:
        write_values(touched, fields.role, members, [role] * len(members), kind="str")
        return
    for field in (fields.group, fields.score, fields.role, *fields.more):
        clear_field(touched, field)


def _no_group(images: Collection) -> str:
    name = dataset_of(images).name
    return f"none of the chosen samples of '{name}' is in a duplicate group. Choose images of a group."
