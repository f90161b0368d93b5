"""Groups of near-duplicates, and leaks, that wait for a decision: the best pair first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import fiftyone as fo

from ..datasets import runs
from ..datasets.decisions import DECISIONS_FIELD
from ..datasets.fields import clear_field
from ..datasets.group_marks import APART as CALLED_APART
from ..datasets.group_marks import (
    DECIDED_GROUP,
    KEEP,
    METHOD,
    GroupStep,
    begin_group_review,
    mark_groups,
    take_marks_back,
)
from ..datasets.group_marks import UNSURE as CALLED_UNSURE
from ..datasets.views import Collection, every_image, single_images
from .decide import KEEP_ALL as DECIDE_KEEP_ALL
from .decide import call_sets_apart, decide_duplicates
from .findings import DUPLICATES_RUN, KEPT
from .found_pairs import FoundPairs, read_found_pairs
from .review_groups import Group, GroupFields, duplicate_groups, groups_by_key, leak_groups, read_groups
from .review_marks import hindrance, propose_copies, propose_leak
from .review_queue import (
    Json,
    QueueState,
    Saved,
    Step,
    after,
    decision_json,
    grouped,
    in_words,
    is_settled_by_another,
    place_of,
)
from .review_sessions import check_session, open_session
from .review_terms import APART, GROUP_STEPS, KEEP_ALL, MARK, UNSURE

_ALL_ALIKE = {APART: CALLED_APART, UNSURE: CALLED_UNSURE, KEEP_ALL: KEEP}


@dataclass(frozen=True)
class GroupQueue:
    """Groups of a collection that wait for a decision.

    Attributes:
        view: The collection; groups wait of which an image is in it.
        fields: Where the groups are.
    """

    WORDS: ClassVar = GROUP_STEPS

    view: Collection
    fields: GroupFields

    def state(self) -> QueueState:
        """Return how far the queue is."""
        group = f"{self.fields.marks}.{DECIDED_GROUP}"
        marked: Json = {group: {"$ne": None}}
        decided = grouped(single_images(self.view), marked, {"_id": f"${group}"}, [{"$count": "n"}])
        stale = runs.is_stale(self.view, self.fields.run)
        return QueueState(self._count(), decided[0]["n"] if decided else 0, stale)

    def page(self, place: str | None, count: int, *, again: bool) -> Json:
        """Return the next items after a place, as `review_desk.page` does."""
        found = self._grouped(
            [
                *_waiting(again=again),
                {"$project": {"_id": "$first", "number": "$_id", "best": 1}},
                {"$match": after(place, "best", descending=True)},
                {"$sort": {"best": -1, "_id": 1}},
                {"$limit": count},
            ]
        )
        groups = read_groups(self.view, self.fields, (each["number"] for each in found))
        following = place_of(found[-1]["best"], found[-1]["_id"]) if len(found) == count else None
        ordered = [groups[each["number"]] for each in found if each["number"] in groups]
        return {"items": self._items(ordered), "next": following, "waiting": self._count()}

    def save(self, steps: Mapping[str, Step], session: str | None, reviewer: str) -> Saved:
        """Put decisions into effect, in one action of the log for the whole session."""
        groups = groups_by_key(self.view, self.fields, list(steps))
        skipped: list[tuple[str, str]] = []
        decided: dict[str, GroupStep] = {}
        for key, step in steps.items():
            group = groups.get(key)
            reason = _hindrance(step, group, reviewer)
            if reason is not None or group is None:
                skipped.append((key, reason or "the group is gone, or its first image is"))
                continue
            marks = dict(step.marks or {}) if step.decision == MARK else self._alike(group, step.decision)
            decided[key] = GroupStep(key, marks, self._touched(step.decision))
        if not decided:
            return Saved(session, 0, tuple(skipped))
        params = {"field": self.fields.marks, "found_by": self.fields.run}
        begun = open_session(self.view, session, METHOD, reviewer, params)
        begun = begun or begin_group_review(self.view, self.fields.marks, self.fields.run, reviewer)
        mark_groups(self.view, begun, list(decided.values()))
        self._follow_up([list(each.marks) for key, each in decided.items() if steps[key].decision == APART])
        if self._are_duplicates():
            kept = [next(iter(each.marks)) for key, each in decided.items() if steps[key].decision == KEEP_ALL]
            if kept:
                decide_duplicates(self.view, kept, DECIDE_KEEP_ALL)
        return Saved(begun, len(decided), tuple(skipped))

    def back(self, session: str, keys: Sequence[str]) -> list[Json]:
        """Take decisions of a session back, and return the items as they are now."""
        check_session(self.view, session, METHOD)
        take_marks_back(self.view, session, keys)
        return self.items(keys)

    def items(self, keys: Sequence[str]) -> list[Json]:
        """Return what a reviewer is shown of groups, in the order given; those that are gone are left out."""
        return self._items(list(groups_by_key(self.view, self.fields, keys).values()))

    def samples(self, keys: Sequence[str]) -> list[str]:
        """Return the ids of the images of groups."""
        groups = groups_by_key(self.view, self.fields, keys).values()
        return [member.id for group in groups for member in group.members]

    def _are_duplicates(self) -> bool:
        return self.fields.run == DUPLICATES_RUN

    def _grouped(self, stages: Sequence[Json]) -> list[Json]:
        """Have the database group the images, of the whole dataset: a group is judged as a whole."""
        fields = self.fields
        in_a_group: Json = {fields.group: {"$ne": None}}
        if not isinstance(self.view, fo.Dataset):
            shown = single_images(self.view).match(in_a_group).distinct(fields.group)
            in_a_group = {fields.group: {"$in": shown}}
        kept: Any = {"$eq": [f"${fields.role}", KEPT]} if fields.role else False
        group = {
            "_id": f"${fields.group}",
            "best": {"$max": f"${fields.score}"},
            "first": {"$min": "$_id"},
            "size": {"$sum": 1},
            "open": {"$max": {"$cond": [kept, 0, 1]}},
            "marks": {"$addToSet": {"$ifNull": [f"${fields.marks}.{DECIDED_GROUP}", None]}},
        }
        return grouped(every_image(self.view), in_a_group, group, stages)

    def _count(self) -> int:
        found = self._grouped([*_waiting(again=False), {"$count": "n"}])
        return found[0]["n"] if found else 0

    def _items(self, groups: Sequence[Group]) -> list[Json]:
        pairs = read_found_pairs(self.view, self.fields.run)
        return [self._item(group, pairs) for group in groups]

    def _item(self, group: Group, pairs: FoundPairs) -> Json:
        ids = [member.id for member in group.members]
        if self._are_duplicates():
            proposed = propose_copies(group.members)
        else:
            proposed = propose_leak(group.members, lambda a, b: pairs.score(a, b) is not None)
        keeper = next(key for key in ids if proposed[key] == KEEP)
        labels = {member.label for member in group.members} - {None}
        alike = [any(pairs.is_exact(one, other) for other in ids if other != one) for one in ids]
        told = decision_json(group.decision, group.by, group.at) or {"decision": None, "by": None, "at": None}
        return {
            "key": group.key,
            "score": None if group.score is None else round(group.score, 4),
            "exact": all(alike),
            "conflict": len(labels) > 1,
            "members": [
                {**member.summary(), "similarity": None if member.id == keeper else pairs.score(member.id, keeper)}
                for member in group.members
            ],
            "proposed": proposed,
            "marks": group.chosen,
            **told,
            "seen": group.seen,
        }

    def _alike(self, group: Group, decision: str) -> dict[str, str]:
        return dict.fromkeys((member.id for member in group.members), _ALL_ALIKE[decision])

    def _touched(self, decision: str) -> tuple[str, ...]:
        """Return the fields beside the marks that a decision changes."""
        if decision == APART:
            found = duplicate_groups(self.view)
            return (DECISIONS_FIELD, *self.fields.found, *(found.found if found and found != self.fields else ()))
        if decision == KEEP_ALL and self._are_duplicates() and self.fields.role:
            return (DECISIONS_FIELD, self.fields.role)
        return ()

    def _follow_up(self, apart: Sequence[Sequence[str]]) -> None:
        """Remember which images are different, for every later search; a leak that was none is no leak any more."""
        if not apart:
            return
        call_sets_apart(self.view, apart)
        if not self._are_duplicates():
            freed = every_image(self.view).select([key for each in apart for key in each])
            for field in self.fields.found:
                clear_field(freed, field)


def copies_queue(view: Collection) -> GroupQueue | QueueState:
    """Return the queue of the groups of near-duplicates; a state where there can't be one."""
    if (fields := duplicate_groups(view)) is None:
        return QueueState(run="find_duplicates", note="near-duplicates were not looked for yet")
    return GroupQueue(view, fields)


def leaks_queue(view: Collection) -> GroupQueue | QueueState:
    """Return the queue of the leaks; a state where there can't be one."""
    if (fields := leak_groups(view)) is None:
        return QueueState(run="find_leaks", note="leaks were not looked for yet, or by an earlier version")
    return GroupQueue(view, fields)


def _waiting(*, again: bool) -> list[Json]:
    """Return the stages that leave the groups which wait: of two images or more, and not judged together before."""
    condition: Json = {"size": {"$gt": 1}}
    if not again:
        condition |= {"open": 1, "$or": [{"marks": None}, {"marks.1": {"$exists": True}}]}
    return [{"$match": condition}]


def _hindrance(step: Step, group: Group | None, reviewer: str) -> str | None:
    """Return why a step can't be done, None where it can."""
    if group is None:
        return "the group is gone, or its first image is"
    decision, by = group.decision, group.by
    if decision is not None and is_settled_by_another(by, reviewer, step.seen, group.seen):
        return in_words(decision, by, group.at)
    if decision is None and step.seen not in (None, group.seen):
        return "the group, or the split of an image in it, has changed meanwhile"
    return hindrance(step.marks or {}, group.members) if step.decision == MARK else None
