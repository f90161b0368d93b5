"""Groups of near-duplicates and leaks as a review sees them: read anew for each page, with their images as they are."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..datasets.documents import Document, find_documents, read_documents
from ..datasets.group_marks import APART as CALLED_APART
from ..datasets.group_marks import (
    DECIDED_AT,
    DECIDED_BY,
    DECIDED_GROUP,
    DUPLICATE_REVIEW,
    KEEP,
    LEAK_REVIEW,
    REMOVE,
)
from ..datasets.group_marks import UNSURE as CALLED_UNSURE
from ..datasets.samples import chosen_label_field
from ..datasets.views import Collection, dataset_of
from ..errors import FieldError
from ..vision.ahead import work_ahead
from ..vision.quality import width_and_height
from .choosing import duplicate_fields, leak_fields
from .findings import DUPLICATES_RUN, LEAKS_RUN
from .review_marks import Member
from .review_queue import splits_of, token
from .review_terms import APART, KEEP_ALL, MARK, UNSURE


@dataclass(frozen=True)
class GroupFields:
    """Where a search wrote its groups, and a review its marks.

    Attributes:
        run: Key of the search.
        group: Field of the group's number.
        score: Field of the score of an image's best pair.
        marks: Field of the marks.
        role: Field of the image's role in its group; None = there is none.
        more: Further fields that the search wrote of an image.
        labels: Field of the labels; None = there are none, or it is open which field holds them.
        splits: Where the splits are; None = detected.
    """

    run: str
    group: str
    score: str
    marks: str
    role: str | None = None
    more: tuple[str, ...] = ()
    labels: str | None = None
    splits: str | None = None

    @property
    def found(self) -> tuple[str, ...]:
        """All fields that the search wrote of an image that exist."""
        return (self.group, self.score, *([self.role] if self.role else []), *self.more)


@dataclass(frozen=True, eq=False)
class Group:
    """A group as it is now.

    Attributes:
        key: Id of its first image, by which the review knows it: its number changes with each search.
        number: Of the last search.
        score: Of its best pair; None where that is not known.
        members: Its images, by id.
        marks: Sample id -> mark, of those that have one.
    """

    key: str
    number: int
    score: float | None
    members: tuple[Member, ...]
    marks: Mapping[str, Document]

    @property
    def decision(self) -> str | None:
        """What was decided about the group as it is now, None where nothing was."""
        together = {mark[DECIDED_GROUP] for mark in self.marks.values()}
        if len(self.marks) < len(self.members) or len(together) != 1:
            return None
        labels = {mark["label"] for mark in self.marks.values()}
        for words, only in ((APART, CALLED_APART), (UNSURE, CALLED_UNSURE), (KEEP_ALL, KEEP)):
            if labels == {only}:
                return words
        return MARK

    @property
    def by(self) -> str | None:
        """Who decided."""
        return next((mark.get(DECIDED_BY) for mark in self.marks.values()), None) if self.decision else None

    @property
    def at(self) -> datetime | None:
        """When that was."""
        return next((mark.get(DECIDED_AT) for mark in self.marks.values()), None) if self.decision else None

    @property
    def chosen(self) -> dict[str, str] | None:
        """Sample id -> "keep" or "remove" where that was decided, else None."""
        if self.decision not in (MARK, KEEP_ALL):
            return None
        return {key: KEEP if mark["label"] == KEEP else REMOVE for key, mark in self.marks.items()}

    @property
    def seen(self) -> str:
        """Letters and digits that change when the group, or what was decided about it, does."""
        decided = sorted({str(mark.get(DECIDED_GROUP)) for mark in self.marks.values()})
        return token([(member.id, member.split) for member in self.members], decided)


def duplicate_groups(view: Collection) -> GroupFields | None:
    """Return where the last search for near-duplicates wrote its groups; None where they are not there (any more)."""
    fields, dataset = duplicate_fields(view), dataset_of(view)
    if not all(dataset.has_field(name) for name in (fields.group, fields.score)):
        return None
    role = fields.role if dataset.has_field(fields.role) else None
    more = tuple(sorted(name for name in fields.more if dataset.has_field(name)))
    labels = _label_field(view)
    return GroupFields(DUPLICATES_RUN, fields.group, fields.score, DUPLICATE_REVIEW, role, more, labels)


def leak_groups(view: Collection) -> GroupFields | None:
    """Return where the last search for leaks wrote its groups; None where they are not there (any more)."""
    fields, dataset = leak_fields(view), dataset_of(view)
    if not all(dataset.has_field(name) for name in (fields.group, fields.score)):
        return None
    more = (fields.kind,) if dataset.has_field(fields.kind) else ()
    return GroupFields(
        LEAKS_RUN, fields.group, fields.score, LEAK_REVIEW, None, more, _label_field(view), fields.splits
    )


def read_groups(view: Collection, fields: GroupFields, numbers: Iterable[int]) -> dict[int, Group]:
    """Return number -> group, of those that have two images or more."""
    wanted = [name for name in (fields.group, fields.score, fields.marks, fields.role, fields.labels) if name]
    held: dict[int, dict[str, Document]] = defaultdict(dict)
    condition = {fields.group: {"$in": sorted(set(numbers))}}
    for key, document in find_documents(view, condition, [*wanted, "filepath", "metadata"]):
        held[document[fields.group]][str(key)] = document
    groups = {number: members for number, members in held.items() if len(members) > 1}
    every = {key: document for members in groups.values() for key, document in members.items()}
    splits = splits_of(view, every, fields.splits) if every else {}
    sizes = dict(zip(every, work_ahead(_size_of, every.values()), strict=True))
    return {
        number: Group(
            key=next(iter(members)),
            number=number,
            score=max((held[fields.score] for held in members.values() if held.get(fields.score)), default=None),
            members=tuple(
                Member(
                    id=key,
                    image=document["filepath"],
                    label=(document.get(fields.labels or "") or {}).get("label"),
                    split=splits.get(key, ""),
                    role=document.get(fields.role or ""),
                    **sizes[key],
                )
                for key, document in members.items()
            ),
            marks={key: mark for key, held in members.items() if (mark := held.get(fields.marks))},
        )
        for number, members in groups.items()
    }


def groups_by_key(view: Collection, fields: GroupFields, keys: Sequence[str]) -> dict[str, Group]:
    """Return key -> group, of those keys that are the first image of one."""
    held = [document.get(fields.group) for _, document in read_documents(view, keys, [fields.group], {})]
    groups = read_groups(view, fields, (number for number in held if number is not None))
    found = {group.key: group for group in groups.values()}
    return {key: found[key] for key in keys if key in found}


def _size_of(document: Document) -> dict[str, int | None]:
    """Return width, height and bytes of an image, from its metadata or else from the file."""
    metadata, path = document.get("metadata") or {}, document["filepath"]
    size, length = (metadata.get("width"), metadata.get("height")), metadata.get("size_bytes")
    if None in size:
        size = width_and_height(path) or (None, None)
    if length is None:
        try:
            length = os.stat(path).st_size
        except (OSError, ValueError):
            length = None
    return {"width": size[0], "height": size[1], "bytes": length}


def _label_field(view: Collection) -> str | None:
    try:
        return chosen_label_field(view, None)
    except FieldError:
        return None
