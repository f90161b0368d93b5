"""What becomes of the images that a review marked for removal: a tag, another split, or deletion; one undoable action.

The marks may be older than the dataset. So whether an image may go is decided anew, by what is there now: the last one
of its group stays, and so does an image of a test or validation set while one stays that may be trained on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import fiftyone as fo

from ..datasets.documents import find_documents
from ..datasets.group_marks import DECIDED_GROUP, KEEP, REMOVE
from ..datasets.split_names import NEVER_ASSUMED
from ..datasets.views import Collection, dataset_of, single_images
from ..errors import DataError
from .actions import ActionReport, delete_samples, move_samples, tag_samples
from .choosing import COPIES, LEAKED, SELECTED, Chosen, spare_last_of_class, staleness
from .findings import DUPLICATES_RUN, LEAKS_RUN
from .review_groups import GroupFields
from .review_marks import may_go
from .review_queue import Json, known_splits, splits_of
from .wording import counted

TAG, SPLIT, DELETE = "tag", "split", "delete"
WAYS = (TAG, SPLIT, DELETE)
_FOUND = {DUPLICATES_RUN: "near-duplicates", LEAKS_RUN: "leaks"}
_WHAT = {DUPLICATES_RUN: COPIES, LEAKS_RUN: LEAKED}


@dataclass(frozen=True)
class Application:
    """What is to be done with images.

    Attributes:
        way: "tag", "split" or "delete".
        tag: Which one, for "tag".
        split: Which one, for "split"; "" = out of every split.
        delete_files: Whether "delete" moves their files into the trash below Winnow's home too.

    Raises:
        DataError: There is no such way.
    """

    way: str
    tag: str = ""
    split: str = ""
    delete_files: bool = False

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise DataError(f"what was reviewed can't be applied by '{self.way}'. Choose from: {', '.join(WAYS)}.")

    def sentence(self, count: int) -> str:
        """Say in numbers what will be done."""
        images = counted(count, "image")
        if self.way == TAG:
            return f"Tags {images} '{self.tag}'."
        if self.way == SPLIT:
            return f"Moves {images} " + (f"to {self.split}." if self.split else "out of every split.")
        files = " and moves their files into Winnow's trash" if self.delete_files else "; their files stay on disk"
        return f"Deletes {images}{files}."


@dataclass(frozen=True)
class ApplicationPlan:
    """Which images it is done with, and why it can't be done at all, or None."""

    application: Application
    chosen: Chosen
    refused: str | None

    def summary(self) -> Json:
        """Return plain JSON."""
        count = len(self.chosen.ids)
        return {
            "count": count,
            "sentence": self.application.sentence(count),
            "notes": list(self.chosen.notes),
            "refused": self.refused,
        }


def plan_groups(view: Collection, fields: GroupFields, application: Application) -> ApplicationPlan:
    """Return what applying the marks of a view's images does."""
    chosen = _marked(view, fields)
    if application.way == DELETE:
        chosen = spare_last_of_class(view, chosen, fields.labels)
    nothing = "no image is marked for removal" if not chosen.ids else None
    return ApplicationPlan(application, chosen, _refused(view, fields.splits, application) or nothing)


def plan_labels(view: Collection, ids: Sequence[str], application: Application) -> ApplicationPlan:
    """Return what is done with images about whose labels a reviewer is unsure: tag them, for somebody else to see."""
    nothing = "nobody is unsure about a label" if not ids else None
    other = "decisions about labels are in effect already: only unsure ones can be tagged, for others to look at"
    refused = other if application.way != TAG else _refused(view, None, application) or nothing
    return ApplicationPlan(application, Chosen(tuple(ids), SELECTED), refused)


def carry_out(view: Collection, plan: ApplicationPlan, fields: GroupFields | None, by: str) -> ActionReport:
    """Do what was planned, in the name of a person.

    Raises:
        DataError: It is refused.
        FieldError: The splits lie where nothing can be moved.
    """
    if plan.refused:
        raise DataError(f"nothing was done: {plan.refused}.")
    application = plan.application
    if application.way == TAG:
        return tag_samples(view, plan.chosen, application.tag, by=by)
    if application.way == SPLIT:
        return move_samples(view, plan.chosen, application.split, fields.splits if fields else None, by=by)
    return delete_samples(view, plan.chosen, application.delete_files, fields.labels if fields else None, by=by)


def _marked(view: Collection, fields: GroupFields) -> Chosen:
    """Return the images of the view that are marked for removal and may go."""
    if not dataset_of(view).has_field(fields.marks):
        return Chosen((), SELECTED)
    groups: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    condition = {f"{fields.marks}.label": {"$in": [KEEP, REMOVE]}}
    for key, held in find_documents(view, condition, [fields.marks]):
        mark = held[fields.marks]
        groups[mark[DECIDED_GROUP]].append((str(key), mark["label"] == REMOVE))
    groups = {name: members for name, members in groups.items() if any(removed for _, removed in members)}
    splits = splits_of(view, [key for members in groups.values() for key, _ in members], fields.splits)
    going: list[str] = []
    alone = held_out = 0
    for members in groups.values():
        removed = [key for key, is_removed in members if is_removed]
        kept = [splits.get(key, "") for key, is_removed in members if not is_removed]
        if not kept:
            alone += len(removed)
            continue
        allowed = [key for key in removed if may_go(splits.get(key, ""), kept)]
        held_out += len(removed) - len(allowed)
        going += allowed
    shown = going if isinstance(view, fo.Dataset) else set(single_images(view).values("id")).intersection(going)
    notes = (*_spared(alone, held_out), *staleness(view, fields.run, _FOUND[fields.run]))
    return Chosen(tuple(sorted(shown)), _WHAT[fields.run], len(groups), notes)


def _spared(alone: int, held_out: int) -> Iterable[str]:
    if alone:
        yield f"{counted(alone, 'image')} spared, as those to keep of its group are gone"
    if held_out:
        yield (
            f"{counted(held_out, 'image')} of a test or validation set spared, as an image stays that may be trained on"
        )


def _refused(view: Collection, splits: str | None, application: Application) -> str | None:
    if application.way == TAG and (not application.tag or application.tag != application.tag.strip()):
        return "name a tag, without blanks at its ends"
    if application.way == SPLIT and splits in NEVER_ASSUMED:
        return f"the splits are read from {splits}, which stay as they are"
    if application.way == SPLIT and not known_splits(view, splits):
        return "the dataset has no splits to move images between"
    return None
