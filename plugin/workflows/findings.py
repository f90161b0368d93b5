"""What earlier jobs found, read back from their fields for the jobs that build on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..datasets import runs
from ..datasets.label_changes import SampleChanges, read_changes
from ..datasets.views import Collection

DUPLICATES_RUN = "winnow_duplicates"
LEAKS_RUN = "winnow_leaks"
LABEL_ISSUES_RUN = "winnow_label_issues"
PATCH_ISSUES_RUN = "winnow_patch_label_issues"

# The role of an image in its duplicate group.
KEEPER, COPY, KEPT = "keeper", "copy", "kept"


@dataclass(frozen=True, eq=False)
class Findings:
    """Earlier findings about m samples; a job that never ran found nothing.

    Attributes:
        groups: (m,) int64 duplicate groups, -1 = none.
        leaked: (m,) bool. The image has a counterpart in another split.
        is_issue: (m,) bool. The label is flagged.
        quality: (m,) float32. Label quality, NaN = not judged.
        notes: What is missing or older than the dataset.
    """

    groups: np.ndarray
    leaked: np.ndarray
    is_issue: np.ndarray
    quality: np.ndarray
    notes: tuple[str, ...]


def read_findings(view: Collection, ids: np.ndarray, label_field: str | None = None) -> Findings:
    """Return what the duplicate, leak and label-issue jobs last found about these samples.

    Args:
        view: The collection.
        ids: (m,) sample ids.
        label_field: Field whose labels matter: label issues of another field are none of these. None = any.
    """
    known = {run.key: run for run in runs.list_runs(view)}
    judged = known[LABEL_ISSUES_RUN].summary["label_field"] if LABEL_ISSUES_RUN in known else label_field
    if label_field not in (None, judged):
        del known[LABEL_ISSUES_RUN]

    def column(key: str, position: int) -> list:
        # A user may have deleted the fields of a run; then it is as if the job had never run.
        if key not in known or not view.has_field(known[key].fields[position]):
            return [None] * len(ids)
        found_ids, values = view.values(["id", known[key].fields[position]])
        by_id = dict(zip(found_ids, values, strict=True))
        return [by_id.get(sample_id) for sample_id in ids]

    groups = [-1 if value is None else value for value in column(DUPLICATES_RUN, 0)]
    quality = [np.nan if value is None else value for value in column(LABEL_ISSUES_RUN, 0)]
    notes = []
    for key, name in ((DUPLICATES_RUN, "duplicates"), (LEAKS_RUN, "leaks"), (LABEL_ISSUES_RUN, "label issues")):
        reason = runs.is_stale(view, key) if key in known else None
        if key == LABEL_ISSUES_RUN and label_field not in (None, judged):
            notes.append(f"{name} were last looked for in '{judged}', not in '{label_field}'")
        elif key not in known:
            notes.append(f"{name} have not been looked for on this dataset")
        elif reason:
            notes.append(f"the findings about {name} are older than the dataset ({reason}); run that job again")
    return Findings(
        groups=np.array(groups, np.int64),
        leaked=np.array([value is not None for value in column(LEAKS_RUN, 0)], bool),
        is_issue=np.array([value is True for value in column(LABEL_ISSUES_RUN, 1)], bool),
        quality=np.array(quality, np.float32),
        notes=tuple(notes),
    )


def read_suggested_changes(view: Collection, ids: np.ndarray, label_field: str) -> Mapping[str, SampleChanges]:
    """Return sample id -> what the last search for label issues would change in a field of several labels an image.

    Nothing where it never looked at that field, or its suggestions were deleted.
    """
    run = next((each for each in runs.list_runs(view) if each.key == LABEL_ISSUES_RUN), None)
    if run is None or run.summary["label_field"] != label_field or not view.has_field(run.params["suggestion_field"]):
        return {}
    return read_changes(view, run.params["suggestion_field"], ids.tolist())
