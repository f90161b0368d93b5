"""What a review of suspicious labels would do, and what it leaves out: said before, and done by review_labels.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..datasets import runs
from ..datasets.action_log import chunks
from ..datasets.fields import GIVEN
from ..datasets.label_decisions import decided_ids
from ..datasets.multi_label_decisions import decided_labels
from ..datasets.multi_labels import multi_label_field, multi_label_fields
from ..datasets.samples import chosen_label_field
from ..datasets.views import Collection, dataset_of, every_image, single_images
from ..errors import DataError
from .change_plan import ChangePlan, plan_changes
from .choosing import LABEL_ISSUES, SELECTED, Chosen, choose, staleness
from .findings import LABEL_ISSUES_RUN
from .judged_labels import Judged, ReviewPlan, plan_of
from .patch_review import plan_patch_review
from .patch_vectors import WHOLE_IMAGES, chosen_patches
from .review_terms import (
    ACCEPT,
    FORGET,
    REVIEWS,
)
from .wording import counted

_CHUNK = 20_000


@dataclass(frozen=True)
class IssueFields:
    """Where the last search for label issues read and wrote; None where that does not exist (any more)."""

    labels: str | None = None
    quality: str | None = None
    issue: str | None = None
    suggestion: str | None = None
    verdict: str | None = None


def plan_review(
    view: Collection,
    decision: str,
    ids: Sequence[str] | None = None,
    *,
    above: float | None = None,
    label_field: str | None = None,
    patches_field: str = WHOLE_IMAGES,
) -> ReviewPlan | ChangePlan:
    """Return what `review_labels` would do with the same arguments, without doing it; it raises the same errors."""
    _check(decision, above)
    if (patches := chosen_patches(view, patches_field)) is not None:
        return plan_patch_review(view, patches, decision, ids, above=above)
    fields = issue_fields(view)
    labelled_in = _label_field(view, fields, label_field, decision)
    if labelled_in in multi_label_fields(view):
        chosen = _choose(view, decision, ids, partial(decided_labels, label_field=labelled_in))
        return plan_changes(view, decision, chosen, labelled_in, fields, above)
    chosen = _choose(view, decision, ids, partial(decided_ids, label_field=labelled_in))
    judged = _read(view, chosen.ids, labelled_in, fields.suggestion)
    return plan_of(judged, decision, above, labelled_in, chosen.notes)


def issue_fields(view: Collection) -> IssueFields:
    """Return the fields of the last `find_label_issues`."""
    dataset = dataset_of(view)
    run = next((run for run in runs.list_runs(dataset) if run.key == LABEL_ISSUES_RUN), None)
    if run is None:
        return IssueFields()
    names = (run.params.get(name) for name in ("quality_field", "issue_field", "suggestion_field", "verdict_field"))
    held = (name if name and dataset.has_field(name) else None for name in names)
    return IssueFields(run.summary["label_field"], *held)


def _check(decision: str, above: float | None) -> None:
    if decision not in REVIEWS:
        raise DataError(f"'{decision}' can't be decided about a label. Choose from: {', '.join(REVIEWS)}.")
    if above is not None and decision == FORGET:
        raise DataError("labels that were decided about have no suggestion any more: forget them without `above`.")
    if above is not None and not 0 <= above <= 1:
        raise DataError(f"`above` is a confidence in 0..1, got {above:g}.")


def _label_field(view: Collection, fields: IssueFields, asked: str | None, decision: str) -> str:
    name = dataset_of(view).name
    if fields.labels is None and decision == ACCEPT:
        raise DataError(f"label issues of '{name}' were not looked for. Find label issues first.")
    if fields.labels is not None and asked not in (None, fields.labels):
        raise DataError(
            f"label issues of '{name}' were last looked for in '{fields.labels}', not in '{asked}'. "
            f"Find label issues of '{asked}' first."
        )
    asked = asked or fields.labels
    return multi_label_field(view, asked) or chosen_label_field(view, asked)


def _choose(
    view: Collection, decision: str, ids: Sequence[str] | None, decided_of: Callable[[Collection], Iterable[str]]
) -> Chosen:
    """Return the samples that are meant; `decided_of` finds those of a view about which anything was decided."""
    if ids is None:
        if decision == FORGET:
            return Chosen(tuple(sorted(decided_of(single_images(view)))), SELECTED)
        return choose(view, LABEL_ISSUES)
    chosen = choose(view, SELECTED, selected=ids)
    if decision == ACCEPT:
        return replace(chosen, notes=(*chosen.notes, *staleness(view, LABEL_ISSUES_RUN, "label issues")))
    if decision == FORGET:
        decided = set(decided_of(every_image(view))).intersection(chosen.ids)
        others = len(chosen.ids) - len(decided)
        note = counted(others, "label was not decided about", "labels were not decided about")
        return replace(chosen, ids=tuple(sorted(decided)), notes=(*chosen.notes, *[note] * (others > 0)))
    return chosen


def _read(view: Collection, ids: Sequence[str], label_field: str, suggestion: str | None) -> dict[str, Judged]:
    """Return sample id -> what is known of its label, by id."""
    images = every_image(view)
    paths = ["id", f"{label_field}.label"]
    if suggestion is not None:
        paths += [f"{suggestion}.label", f"{suggestion}.confidence"]
        paths += [f"{suggestion}.{GIVEN}"] * (images.get_field(f"{suggestion}.{GIVEN}") is not None)
    found: dict[str, Judged] = {}
    for chunk in chunks(ids, _CHUNK):
        found |= {key: Judged(*known) for key, *known in zip(*images.select(chunk).values(paths), strict=True)}
    return dict(sorted(found.items()))
