"""What an action is to work on: copies, leaked training images, label issues, or what a person selected.

Nothing is chosen that could not be spared: of each duplicate group an image stays, and of each class a labelled one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import fiftyone as fo

from ..datasets import runs
from ..datasets.action_log import chunks
from ..datasets.samples import DEFAULT_LABEL_FIELD, label_fields
from ..datasets.split_names import read_splits
from ..datasets.views import Collection, dataset_of, every_image, single_images
from ..errors import DataError
from .findings import COPY, DUPLICATES_RUN, KEEPER, KEPT, LABEL_ISSUES_RUN, LEAKS_RUN
from .wording import counted

COPIES, LEAKED, LABEL_ISSUES, SELECTED = "copies", "leaked training images", "label issues", "selected"
CHOICES = (COPIES, LEAKED, LABEL_ISSUES, SELECTED)

_CHUNK = 20_000


@dataclass(frozen=True)
class Chosen:
    """Samples that an action is to work on.

    Attributes:
        ids: Sample ids, in ascending order; all of them exist.
        what: One of `CHOICES`.
        groups: Number of duplicate groups that they belong to.
        notes: What was spared or left out, and findings that are older than the dataset.
    """

    ids: tuple[str, ...]
    what: str
    groups: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DuplicateFields:
    """Names of the fields that `find_duplicates` wrote on a dataset; `more`: all others."""

    group: str = "duplicate_group"
    score: str = "duplicate_score"
    role: str = "duplicate_role"
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeakFields:
    """Names of the fields that `find_leaks` wrote on a dataset, and where it read the splits; None = detected."""

    group: str = "leak_group"
    score: str = "leak_score"
    kind: str = "leak_kind"
    splits: str | None = None


def choose(view: Collection, what: str, *, selected: Sequence[str] = (), split_field: str | None = None) -> Chosen:
    """Choose samples of a view by what earlier jobs found.

    Args:
        view: Only its samples are chosen; of a grouped view, every image of its groups.
        what: "copies" (images of duplicate groups that are not the one to keep), "leaked training images" (those with
            a counterpart in another split), "label issues" or "selected".
        selected: Ids of the samples that "selected" means.
        split_field: Where the splits are, for leaks; None = where the last search for leaks read them.

    Raises:
        DataError: The job that finds such samples was not run, or there is no such choice.
        FieldError: There are no splits to tell training images by.
    """
    images = single_images(view)
    if what == COPIES:
        return _copies(images)
    if what == LEAKED:
        return _leaked(images, split_field)
    if what == LABEL_ISSUES:
        return _label_issues(images)
    if what == SELECTED:
        return _selected(every_image(view), selected)
    raise DataError(f"'{what}' can't be chosen. Choose from: {', '.join(CHOICES)}.")


def choices(view: Collection, selected: Sequence[str] = ()) -> list[str]:
    """Return those of `CHOICES` that the dataset allows: what was looked for, and what is selected."""
    fields = {COPIES: duplicate_fields(view).role, LEAKED: _leak_field(view), LABEL_ISSUES: _issue_field(view)}
    found = [what for what, field in fields.items() if dataset_of(view).has_field(field)]
    return found + [SELECTED] * bool(selected)


def spare_last_of_class(view: Collection, chosen: Chosen, label_field: str | None = None) -> Chosen:
    """Leave the first image of each class out of a choice that has all of the class's images in the dataset."""
    images = every_image(view)
    fields = label_fields(images)
    field = label_field or (fields[0] if len(fields) == 1 or DEFAULT_LABEL_FIELD in fields else None)
    if field is None or not chosen.ids:
        return chosen
    ids, labels = images.values(["id", f"{field}.label"])
    going = set(chosen.ids)
    staying = {label for sample_id, label in zip(ids, labels, strict=True) if sample_id not in going}
    last: dict[str, str] = {}
    for sample_id, label in sorted(zip(ids, labels, strict=True)):
        if label is not None and label not in staying and sample_id in going:
            last.setdefault(label, sample_id)
    if not last:
        return chosen
    note = f"{counted(len(last), 'image')} spared as the last of its class: {', '.join(sorted(last)[:5])}"
    spared = set(last.values())
    left = tuple(sample_id for sample_id in chosen.ids if sample_id not in spared)
    return replace(chosen, ids=left, notes=(*chosen.notes, note))


def duplicate_fields(view: Collection) -> DuplicateFields:
    """Return the names of the fields that the last `find_duplicates` wrote."""
    written = {run.key: run.fields for run in runs.list_runs(view)}.get(DUPLICATES_RUN, ())
    defaults = DuplicateFields()
    group = _param(view, DUPLICATES_RUN, "group_field") or defaults.group
    score = _param(view, DUPLICATES_RUN, "score_field") or defaults.score
    role = _param(view, DUPLICATES_RUN, "role_field") or defaults.role
    return DuplicateFields(group, score, role, tuple(set(written) - {group, score, role}))


def leak_fields(view: Collection) -> LeakFields:
    """Return the names of the fields that the last `find_leaks` wrote, and where it read the splits."""
    names = ((name, _param(view, LEAKS_RUN, f"{name}_field")) for name in ("group", "score", "kind"))
    given = {name: field for name, field in names if field}
    return LeakFields(**given, splits=_param(view, LEAKS_RUN, "split_field"))


def _copies(images: Collection) -> Chosen:
    fields = duplicate_fields(images)
    role = fo.ViewField(_looked_for(images, fields.role, "near-duplicates"))
    ids, groups = images.match(role == COPY).sort_by("id").values(["id", fields.group])
    has_keeper = set(every_image(images).match(role.is_in([KEEPER, KEPT])).values(fields.group))
    # Spared by the first copy of the dataset, not of the view, so that two views don't spare one each.
    first: dict[int, str] = {}
    for sample_id, group in zip(*every_image(images).match(role == COPY).values(["id", fields.group]), strict=True):
        if group not in has_keeper:
            first[group] = min(sample_id, first.get(group, sample_id))
    spared = set(first.values()).intersection(ids)
    chosen = [(key, group) for key, group in zip(ids, groups, strict=True) if key not in spared]
    notes = []
    if spared:
        notes.append(f"{counted(len(spared), 'copy', 'copies')} spared, as the image to keep of its group is gone")
    notes += staleness(images, DUPLICATES_RUN, "near-duplicates")
    groups_of = {group for _, group in chosen}
    return Chosen(tuple(key for key, _ in chosen), COPIES, len(groups_of), tuple(notes))


def _leaked(images: Collection, split_field: str | None) -> Chosen:
    field = _looked_for(images, _leak_field(images), "leaks")
    splits = read_splits(images, split_field or _param(images, LEAKS_RUN, "split_field"))[0]
    ids, scores = images.values(["id", field])
    leaked = (score is not None and split == "train" for score, split in zip(scores, splits, strict=True))
    return Chosen(tuple(sorted(itertools.compress(ids, leaked))), LEAKED, notes=staleness(images, LEAKS_RUN, "leaks"))


def _label_issues(images: Collection) -> Chosen:
    field = _looked_for(images, _issue_field(images), "label issues")
    ids = images.match({field: True}).values("id")
    return Chosen(tuple(sorted(ids)), LABEL_ISSUES, notes=staleness(images, LABEL_ISSUES_RUN, "label issues"))


def _selected(images: Collection, selected: Sequence[str]) -> Chosen:
    group_field, asked = duplicate_fields(images).group, sorted(set(selected))
    has_groups = images.has_field(group_field)
    found: list[str] = []
    groups: set[int] = set()
    for chunk in chunks(asked, _CHUNK):
        view = images.select(chunk)
        found += view.values("id")
        groups.update(view.distinct(group_field) if has_groups else ())
    gone = len(asked) - len(found)
    notes = (f"{counted(gone, 'selected sample is', 'selected samples are')} gone",) if gone else ()
    return Chosen(tuple(sorted(found)), SELECTED, len(groups), notes)


def leaked_among(view: Collection, ids: Sequence[str]) -> int:
    """Return how many of the samples the last search for leaks flagged."""
    images, field = every_image(view), _leak_field(view)
    return images.select(list(ids)).exists(field).count() if images.has_field(field) else 0


def _leak_field(images: Collection) -> str:
    return _param(images, LEAKS_RUN, "score_field") or "leak_score"


def _issue_field(images: Collection) -> str:
    return _param(images, LABEL_ISSUES_RUN, "issue_field") or "label_issue"


def _param(images: Collection, key: str, name: str) -> str | None:
    """Return a setting of an earlier run, None where there was none."""
    return {run.key: run.params for run in runs.list_runs(images)}.get(key, {}).get(name)


def _looked_for(images: Collection, field: str, name: str) -> str:
    if not images.has_field(field):
        raise DataError(f"{name} of '{dataset_of(images).name}' were not looked for. Find {name} first.")
    return field


def staleness(images: Collection, key: str, name: str) -> tuple[str, ...]:
    """Return a note when the findings of a job are older than the dataset; `name` is what it looks for."""
    if key not in {run.key for run in runs.list_runs(images)}:
        return ()
    reason = runs.is_stale(images, key)
    return (f"the findings about {name} are older than the dataset ({reason})",) if reason else ()
