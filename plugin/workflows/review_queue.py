"""What every queue of a review shares: an order with a place in it, steps and their checks, and what they come to.

A place is the value and the id of the last item that was shown, not a number of items: those that were decided leave
the queue.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from bson import ObjectId
from bson.errors import InvalidId

from ..curation.splits import standard_split
from ..datasets.split_names import NEVER_ASSUMED, TAGS, read_splits, split_sources
from ..datasets.views import Collection, every_image
from ..errors import DataError, FieldError

MOST_ITEMS = 100
Json = dict[str, Any]


@dataclass(frozen=True)
class QueueState:
    """How far a queue is.

    Attributes:
        waiting: Items that wait for a decision.
        decided: Items that were decided.
        stale: Why the findings are older than the dataset, or None.
        run: Name of the operator that has to run first, or None.
        note: What else a reviewer should know, or None.
        several: Whether an item is an image that may have several labels.
        classes: What its labels may be changed to; None = the same as the others.
    """

    waiting: int = 0
    decided: int = 0
    stale: str | None = None
    run: str | None = None
    note: str | None = None
    several: bool = False
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Step:
    """A reviewer's decision about one item.

    Attributes:
        key: The item.
        decision: One of the words of its queue.
        label: The class, where that is decided.
        marks: Where that is decided: of a group sample id -> "keep" or "remove"; of several labels class -> "accept"
            (what is suggested; of another class the contrary of what is there), "keep" or "unsure".
        seen: The item's `seen` when it was shown; None = it was not said.
    """

    key: str
    decision: str
    label: str | None = None
    marks: Mapping[str, str] | None = None
    seen: str | None = None


@dataclass(frozen=True)
class Saved:
    """What was saved of some steps.

    Attributes:
        session: The review's key in the log of actions; None where nothing could be saved and none had begun.
        saved: Number of items that were decided.
        skipped: (key, reason) of the others.
    """

    session: str | None
    saved: int
    skipped: tuple[tuple[str, str], ...]

    def summary(self) -> Json:
        """Return plain JSON."""
        skipped = [{"key": key, "reason": reason} for key, reason in self.skipped]
        return {"session": self.session, "saved": self.saved, "skipped": skipped}


def read_steps(steps: Sequence[Mapping[str, Any]], decisions: Sequence[str]) -> dict[str, Step]:
    """Return key -> step; of several about one item the last one.

    Raises:
        DataError: A step is not one.
    """
    found: dict[str, Step] = {}
    for step in steps:
        key, decision = step.get("key"), str(step.get("decision"))
        if not isinstance(key, str) or not ObjectId.is_valid(key):
            raise DataError(f"a step of a review needs the key of an item, got {key!r}.")
        if decision not in decisions:
            raise DataError(f"'{decision}' can't be decided in this review. Choose from: {', '.join(decisions)}.")
        marks = step.get("marks")
        if not isinstance(marks, Mapping | None):
            raise DataError(f"the marks of a step are a word each for some names, got {marks!r}.")
        found[key] = Step(key, decision, step.get("label"), marks, step.get("seen"))
    return found


def after(place: str | None, field: str, *, descending: bool = False) -> Json:
    """Return the MongoDB condition for what comes after a place, in the order of a field and of ids.

    Documents without a value come first in ascending order and last in descending order, as in MongoDB.
    """
    if place is None:
        return {}
    value, key = read_place(place)
    if value is None:
        same = [{field: None, "_id": {"$gt": key}}]
        return {"$or": same if descending else [*same, {field: {"$ne": None}}]}
    later = [{field: {"$lt" if descending else "$gt": value}}, {field: value, "_id": {"$gt": key}}]
    return {"$or": [*later, {field: None}] if descending else later}


def place_of(value: float | None, key: Any) -> str:
    """Return the place of an item with this value and id."""
    return json.dumps([value, str(key)])


def read_place(place: str) -> tuple[float | None, ObjectId]:
    """Return value and id of a place.

    Raises:
        DataError: It is none.
    """
    try:
        value, key = json.loads(place)
        return None if value is None else float(value), ObjectId(key)
    except (TypeError, ValueError, InvalidId) as cause:
        raise DataError(f"'{place}' is no place in a review. Begin at the start, without one.") from cause


def next_samples(
    view: Collection, condition: Json, field: str, place: str | None, count: int, *, descending: bool = False
) -> tuple[list[str], str | None]:
    """Return the ids of the next samples after a place, and the place after them; None = the end.

    Args:
        view: The images.
        condition: MongoDB's condition for those that are meant.
        field: The order, as in `after`.
        place: The place; None = the start.
        count: At most so many.
        descending: Whether the largest value comes first.
    """
    chosen = view.match({"$and": [condition, after(place, field, descending=descending)]})
    ordered = chosen.sort_by([(field, -1 if descending else 1), ("id", 1)]).limit(count)
    ids, values = ordered.values(["id", field])
    return ids, place_of(values[-1], ids[-1]) if len(ids) == count else None


def checked_count(count: int) -> int:
    """Return the number of items of a page.

    Raises:
        DataError: It is not in 1..100.
    """
    if not 1 <= count <= MOST_ITEMS:
        raise DataError(f"a page of a review has 1 to {MOST_ITEMS} items, got {count}.")
    return count


def token(*parts: Any) -> str:
    """Return letters and digits that change with what an item says: what a reviewer saw, and what is there now."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def is_settled_by_another(by: str | None, reviewer: str, seen: str | None, now: str) -> bool:
    """Whether an item holds a decision of somebody else's that the reviewer has not seen."""
    return by is not None and by != reviewer and seen != now


def in_words(decision: str, by: str | None, at: datetime | None) -> str:
    """Say what somebody else decided."""
    when = f" at {as_utc(at):%Y-%m-%d %H:%M} UTC" if at is not None else ""
    return f"{by} decided '{decision}'{when}, which you have not seen"


def decision_json(decision: str | None, by: str | None, at: datetime | None) -> Json | None:
    """Return who decided what and when as plain JSON, None where nothing was."""
    if decision is None:
        return None
    return {"decision": decision, "by": by, "at": as_utc(at).isoformat() if at is not None else None}


def as_utc(moment: datetime) -> datetime:
    """Return a time of the database with its zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def splits_of(view: Collection, ids: Iterable[str], source: str | None) -> dict[str, str]:
    """Return sample id -> split of those that are in one; `source` is where splits are, None = detected."""
    chosen = every_image(view).select(list(ids))
    try:
        splits: np.ndarray = read_splits(chosen, source)[0]
    except FieldError:  # none of these samples is in a split
        return {}
    found = zip(chosen.values("id"), splits, strict=True)
    return {key: str(split) for key, split in found if split}


def known_splits(view: Collection, source: str | None) -> list[str]:
    """Return the names of the splits of a dataset, by name; `source` as in `splits_of`."""
    images = every_image(view)
    source = source or next((name for name in split_sources(images) if name not in NEVER_ASSUMED), None)
    if source is None:
        return []
    if source in NEVER_ASSUMED:
        return sorted({str(split) for split in read_splits(images, source)[0] if split})
    names = [name for name in images.distinct(source) if name]
    return sorted({standard_split(name) or name for name in names if source != TAGS or standard_split(name)})


def grouped(view: Collection, match: Json, group: Json, more: Sequence[Json] = ()) -> list[Json]:
    """Have the database group samples of a view.

    Args:
        view: The images.
        match: Which of them.
        group: What a group is, as MongoDB's `$group` has it.
        more: Stages that follow.
    """
    return list(view._aggregate(post_pipeline=[{"$match": match}, {"$group": group}, *more]))
