"""What a person decided about near-duplicates, remembered across runs.

A decision is a mark that all its samples carry in one list field: `apart:NUMBER:SAMPLES` for images that are different,
and `kept:NUMBER:SAMPLES` for copies of which each is to be kept. 500 samples called apart are thus 500 short marks, not
124,750 pairs. Being part of the samples, decisions go where these go: into clones of views and exports of them, which
leave custom runs behind, and into the document of a deleted sample, with which they come back. A run's results would
have to be read and written as a whole, the dataset's `info` ends at 16 MB.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import fiftyone as fo
import numpy as np
from bson import ObjectId
from pymongo import UpdateOne

from ..errors import DataError
from .fields import add_text_list
from .views import Collection, dataset_of, every_image, has_path

DECISIONS_FIELD = "duplicate_decisions"

_APART, _KEPT = "apart", "kept"
_CHUNK = 20_000

_Sets = tuple[frozenset[str], ...]


@dataclass(frozen=True)
class Decisions:
    """What a person decided about near-duplicates; sets of sample ids, the same samples always in the same order.

    Attributes:
        apart_sets: Samples of one set are all different images.
        kept: Samples of one set may be copies, and a person keeps every one.
    """

    apart_sets: _Sets = ()
    kept: _Sets = ()

    def apart(self, ids_a: Sequence[str] | np.ndarray, ids_b: Sequence[str] | np.ndarray) -> np.ndarray:
        """Return (n,) bool: whether the samples of each of n pairs were called different images."""
        pairs = zip(ids_a, ids_b, strict=True)
        sets, none = self._apart_of, frozenset[int]()
        return np.fromiter(
            (not sets.get(a, none).isdisjoint(sets.get(b, none)) for a, b in pairs), dtype=bool, count=len(ids_a)
        )

    def keeps_all(self, ids: Iterable[str]) -> bool:
        """Whether a person looked at all of these samples together and keeps every one."""
        members = frozenset(ids)
        if not members:
            return False
        common = frozenset.intersection(*(self._kept_of.get(member, frozenset()) for member in members))
        return bool(common)

    @cached_property
    def _apart_of(self) -> Mapping[str, frozenset[int]]:
        return _sets_of(self.apart_sets)

    @cached_property
    def _kept_of(self) -> Mapping[str, frozenset[int]]:
        return _sets_of(self.kept)


def read_decisions(view: Collection) -> Decisions:
    """Return the decisions about the samples of the whole dataset; those about deleted samples are left out."""
    members = _members(view)
    return Decisions(_of_kind(members, _APART), _of_kind(members, _KEPT))


def call_apart(view: Collection, ids: Sequence[str]) -> int:
    """Remember that all of these samples are different images; return how many pairs that was not known of.

    Raises:
        DataError: There are fewer than two samples, or one is not in the dataset.
        FieldError: The dataset has a field `duplicate_decisions` that is not Winnow's.
    """
    return call_each_apart(view, [ids])


def call_each_apart(view: Collection, sets: Sequence[Sequence[str]]) -> int:
    """Remember of many sets at once that the samples of each are different images, as `call_apart` does."""
    wanted = _checked(view, sets)
    members = _members(view)
    before = _count_pairs(_of_kind(members, _APART))
    _remember(view, members, _APART, wanted)
    return _count_pairs((*_of_kind(members, _APART), *wanted)) - before


def keep_all(view: Collection, ids: Sequence[str]) -> None:
    """Remember that a person looked at these samples and keeps every one, whether or not they are copies.

    Raises:
        DataError, FieldError: As for `call_apart`.
    """
    keep_each(view, [ids])


def keep_each(view: Collection, sets: Sequence[Sequence[str]]) -> None:
    """Remember of many sets at once that every sample is kept, as `keep_all` does."""
    wanted = _checked(view, sets)
    _remember(view, _members(view), _KEPT, wanted)


def forget_decisions(view: Collection, ids: Sequence[str]) -> int:
    """Forget what was decided about these samples, and return of how many of them something was known.

    A sample leaves the images that it was told apart from, which stay apart from each other. A set of which all were to
    be kept is forgotten whole: without the sample it would be another set.
    """
    members, asked = _members(view), frozenset(ids)
    touched = {mark: marked & asked for mark, marked in members.items() if marked & asked}
    gone: dict[str, frozenset[str]] = {}
    for mark, marked in touched.items():
        rest_is_void = mark.startswith(_KEPT) or len(members[mark] - marked) < 2
        gone[mark] = members[mark] if rest_is_void else marked
    _change(view, gone, {})
    return len(frozenset().union(*touched.values())) if touched else 0


def _checked(view: Collection, sets: Sequence[Sequence[str]]) -> _Sets:
    wanted = tuple(dict.fromkeys(map(frozenset, sets)))
    asked = sorted(frozenset().union(*wanted))
    if (smallest := min(map(len, wanted), default=2)) < 2:
        raise DataError(f"a decision about near-duplicates needs two samples or more, got {smallest}. Choose more.")
    found: set[str] = set()
    for start in range(0, len(asked), _CHUNK):
        valid = [key for key in asked[start : start + _CHUNK] if ObjectId.is_valid(key)]
        found.update(every_image(view).select(valid).values("id"))
    if missing := [key for key in asked if key not in found]:
        name = dataset_of(view).name
        raise DataError(f"{len(missing)} of {len(asked)} samples are not in '{name}', such as '{missing[0]}'.")
    return wanted


def _members(view: Collection) -> dict[str, frozenset[str]]:
    """Return mark -> ids of the samples that carry it, the marks in ascending order."""
    if not has_path(view, DECISIONS_FIELD):
        return {}
    found: dict[str, list[str]] = defaultdict(list)
    marked = every_image(view).match(fo.ViewField(DECISIONS_FIELD).length() > 0)
    for sample_id, marks in zip(*marked.values(["id", DECISIONS_FIELD]), strict=True):
        for mark in marks:
            found[mark].append(sample_id)
    return {mark: frozenset(found[mark]) for mark in sorted(found)}


def _of_kind(members: Mapping[str, frozenset[str]], kind: str) -> _Sets:
    return tuple(marked for mark, marked in members.items() if mark.startswith(kind) and len(marked) > 1)


def _remember(view: Collection, members: Mapping[str, frozenset[str]], kind: str, wanted: _Sets) -> None:
    """Mark sets that no known one includes, and take the marks of those away that they include."""
    add_text_list(view, DECISIONS_FIELD)
    known = {mark: marked for mark, marked in members.items() if mark.startswith(kind)}
    sets = (*known.values(), *wanted)
    numbers = _sets_of(sets)

    def lies_within_another(marked: frozenset[str]) -> bool:
        including = frozenset.intersection(*(numbers[member] for member in marked))
        return any(len(sets[number]) > len(marked) for number in including)

    old = set(known.values())
    new = [marked for marked in wanted if marked not in old and not lies_within_another(marked)]
    gone = {mark: marked for mark, marked in known.items() if _is_whole(mark, marked) and lies_within_another(marked)}
    _change(view, gone, {f"{kind}:{ObjectId()}:{len(marked)}": marked for marked in new})


def _is_whole(mark: str, marked: frozenset[str]) -> bool:
    """Whether all samples carry a mark that were to: of another process's, some may not have it yet."""
    _, _, count = mark.rpartition(":")
    return not count.isdecimal() or int(count) <= len(marked)


def _change(view: Collection, gone: Mapping[str, frozenset[str]], new: Mapping[str, frozenset[str]]) -> None:
    """Take marks from samples, and give these new ones: each sample in one step, so that no other process's is lost."""
    dataset, now = dataset_of(view), datetime.now(UTC)
    touched = sorted(frozenset().union(*gone.values(), *new.values()))
    taken, given = _marks_of(gone), _marks_of(new)
    held = {"$ifNull": [f"${DECISIONS_FIELD}", []]}
    for start in range(0, len(touched), _CHUNK):
        chunk = touched[start : start + _CHUNK]
        changes = []
        for sample_id in chunk:
            stay = {"$filter": {"input": held, "cond": {"$not": {"$in": ["$$this", taken.get(sample_id, [])]}}}}
            marks = {"$concatArrays": [stay, given.get(sample_id, [])]}
            after = {DECISIONS_FIELD: {"$cond": [{"$eq": [marks, []]}, None, marks]}, "last_modified_at": now}
            changes.append(UpdateOne({"_id": ObjectId(sample_id)}, [{"$set": after}]))
        dataset._bulk_write(changes, ids=chunk)


def _marks_of(members: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    """Return id -> its marks."""
    found: dict[str, list[str]] = defaultdict(list)
    for mark, marked in members.items():
        for member in marked:
            found[member].append(mark)
    return found


def _sets_of(sets: _Sets) -> dict[str, frozenset[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for number, members in enumerate(sets):
        for member in members:
            found[member].append(number)
    return {member: frozenset(numbers) for member, numbers in found.items()}


def _count_pairs(sets: _Sets) -> int:
    """Return how many different pairs lie within at least one of the sets, without listing them."""
    alike = Counter(_sets_of(sets).values())  # samples in the same sets have the same partners
    partners = {numbers: len(frozenset().union(*(sets[number] for number in numbers))) - 1 for numbers in alike}
    return sum(count * partners[numbers] for numbers, count in alike.items()) // 2
