"""What a review of the labels of detections would do, and what their attributes hold after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone as fo

from ..datasets import runs
from ..datasets.action_log import chunks
from ..datasets.fields import GIVEN
from ..datasets.patch_decisions import decided_patches
from ..datasets.patches import check_patch_field, label_path, read_patches
from ..datasets.runs import SavedRun
from ..datasets.views import Collection, dataset_of, every_image
from ..errors import DataError
from .choosing import staleness
from .findings import PATCH_ISSUES_RUN
from .judged_labels import Judged, ReviewPlan, plan_of
from .review_terms import ACCEPT, FORGET, RELABEL, UNSURE
from .wording import counted

_CHUNK = 20_000
_UNDECIDED = ("label was not decided about", "labels were not decided about")
_GONE = ("selected patch is gone", "selected patches are gone")


def suggestion_attributes(suggestion_field: str) -> tuple[str, str, str]:
    """Return the attributes that hold the suggested class, its confidence, and the class that was judged."""
    return suggestion_field, f"{suggestion_field}_confidence", f"{suggestion_field}_{GIVEN}"


def plan_patch_review(
    view: Collection, field: str, decision: str, ids: Sequence[str] | None = None, *, above: float | None = None
) -> ReviewPlan:
    """Return what a decision would do about labels of detections.

    Args:
        view: A collection of images or of patches.
        field: Field of detections.
        decision: One of `REVIEWS`.
        ids: Label ids; None = the flagged ones of the view (to forget: those with a decision).
        above: Only suggestions of this confidence or more.

    Raises:
        DataError: Label issues of these patches were not looked for, or the decision is one about whole images.
        FieldError: The field holds no detections.
    """
    check_patch_field(view, field)
    if decision == RELABEL:
        raise DataError(
            f"'{RELABEL}' tags whole images, so it can't be decided about patches. Show the images themselves, select "
            "them, and decide it there."
        )
    run = _last_run(view, field)
    if run is None and (decision == ACCEPT or (ids is None and decision != FORGET)):
        raise DataError(f"label issues of the patches of '{field}' were not looked for. Find label issues first.")
    judged, notes = _meant(view, field, run, decision, ids)
    return plan_of(judged, decision, above, field, notes, unit="patch")


def patch_findings_after(view: Collection, field: str, decision: str) -> dict[str, Any]:
    """Return what the attributes of the findings hold of a label that was decided about."""
    run = _last_run(view, field)
    if run is None or decision == FORGET:
        return {}
    params, path = run.params, label_path(view, field)
    after: dict[str, Any] = dict.fromkeys([*suggestion_attributes(params["suggestion_field"]), params["verdict_field"]])
    after[params["issue_field"]] = False
    if decision != UNSURE:
        after[params["quality_field"]] = 1.0
    return {name: value for name, value in after.items() if dataset_of(view).has_field(f"{path}.{name}")}


def _last_run(view: Collection, field: str) -> SavedRun | None:
    """Return the last search among the labels of this field, where its flags still exist."""
    for run in runs.list_runs(view):
        if run.key == PATCH_ISSUES_RUN and run.params["patches_field"] == field:
            flag = f"{label_path(view, field)}.{run.params['issue_field']}"
            return run if dataset_of(view).has_field(flag) else None
    return None


def _meant(
    view: Collection, field: str, run: SavedRun | None, decision: str, ids: Sequence[str] | None
) -> tuple[dict[str, Judged], list[str]]:
    """Return what is known of the labels that are meant, by label id, and what is left out."""
    asked = read_patches(view, field).ids.tolist() if ids is None else sorted(set(ids))
    meant = decided_patches(view, field, asked) if decision == FORGET else asked
    judged = _read(view, field, run, meant, flagged=ids is None and decision != FORGET)
    notes = list(staleness(view, PATCH_ISSUES_RUN, "label issues of patches")) if decision == ACCEPT else []
    if ids is not None and (left := len(asked) - len(judged)):
        notes.append(counted(left, *(_UNDECIDED if decision == FORGET else _GONE)))
    return judged, notes


def _read(
    view: Collection, field: str, run: SavedRun | None, ids: Sequence[str], *, flagged: bool
) -> dict[str, Judged]:
    """Return label id -> what is known of it; the dataset is asked, since a view of patches may be older."""
    dataset, path = dataset_of(view), label_path(view, field)
    names = ["label"]
    if run is not None:
        names += suggestion_attributes(run.params["suggestion_field"])
    held = [name for name in names if dataset.has_field(f"{path}.{name}")]
    images = every_image(view)
    if flagged and run is not None:
        images = images.filter_labels(field, fo.ViewField(run.params["issue_field"]) == True)  # noqa: E712
    found: dict[str, Judged] = {}
    for chunk in chunks(ids, _CHUNK):
        columns = images.select_labels(ids=chunk, fields=field).values(
            [f"{path}.{name}" for name in ("id", *held)], unwind=True
        )
        for key, *values in zip(*columns, strict=True):
            known = dict(zip(held, values, strict=True))
            found[key] = Judged(*(known.get(name) for name in names))
    return dict(sorted(found.items()))
