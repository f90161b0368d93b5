"""Change what a person asks to be changed: tag, move between splits, delete; each counted, logged and undoable.

Labels are changed by review_labels.py, and brought back from here like the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..datasets import (
    bringing_back,
    group_marks,
    label_decisions,
    label_reviews,
    label_sets,
    moving,
    patch_relabelling,
    relabelling,
    removal,
    tagging,
)
from ..datasets.action_log import Done, list_logged, undone_at
from ..datasets.patches import patch_fields
from ..datasets.runs import SavedRun
from ..datasets.views import Collection, dataset_of, every_image
from ..errors import DataError
from ..failures import Failure
from .choosing import COPIES, LABEL_ISSUES, LEAKED, SELECTED, Chosen, choose, spare_last_of_class
from .reviewer import user_name
from .wording import counted, failure_lines

_UNDO: dict[str, Callable[[Collection, SavedRun], Done]] = {
    tagging.METHOD: tagging.undo_tag,
    moving.METHOD: moving.undo_move,
    removal.METHOD: removal.undo_removal,
    relabelling.METHOD: relabelling.undo_decision,
    label_sets.METHOD: label_sets.undo_label_sets,
    patch_relabelling.METHOD: patch_relabelling.undo_patch_decision,
    bringing_back.METHOD: bringing_back.undo_bring_back,
    label_reviews.METHOD: label_reviews.undo_label_review,
    group_marks.METHOD: group_marks.undo_group_review,
}

# What the log says of the images that an action worked on.
_WHAT = {COPIES: "near-duplicate", LEAKED: "leak", LABEL_ISSUES: "label issue", SELECTED: ""}

_DECIDED = {
    label_decisions.ACCEPTED: "accepted suggestions for {}",
    label_decisions.KEPT: "confirmed {}",
    label_decisions.UNSURE: "marked {} as unsure",
    None: "forgot what was decided about {}",
}


@dataclass(frozen=True)
class ActionReport:
    """What an action, or undoing one, changed.

    Attributes:
        action: Key of the action in the log, None where there was nothing to do.
        samples: Number of samples that were changed.
        sentence: What was done with them, as a sentence with the number.
        notes: What was spared or left as it is, and why.
        failures: Files that could not be moved.
        undoable: Whether `undo_action` can take it back.
    """

    action: str | None
    samples: int
    sentence: str
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    undoable: bool = True

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "action": self.action,
            "samples": self.samples,
            "notes": list(self.notes),
            "failures": len(self.failures),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        lines = [f"**{self.sentence}**", *(f"- {note}" for note in self.notes), *failure_lines(self.failures)]
        if self.action and self.undoable:
            lines += ["", f"It can be undone: `{self.action}`."]
        return "\n".join(lines)


@dataclass(frozen=True)
class ActionList:
    """The actions on a dataset, the newest first."""

    dataset: str
    actions: tuple[SavedRun, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "dataset": self.dataset,
            "actions": [
                {"action": run.key, "what": describe(run), "time": run.time.isoformat(), "undone": undone_at(run)}
                for run in self.actions
            ],
        }

    def text(self) -> str:
        """Return markdown for a person."""
        if not self.actions:
            return f"Nothing was tagged, moved, relabelled or deleted by Winnow in '{self.dataset}'."
        rows = ["| action | what | when | undone |", "|---|---|---|---|"]
        for run in self.actions:
            rows.append(f"| {run.key} | {describe(run)} | {run.time:%Y-%m-%d %H:%M} UTC | {undone_at(run) or ''} |")
        return "\n".join(rows)


def tag_samples(view: Collection, ids: Sequence[str] | Chosen, tag: str, *, by: str | None = None) -> ActionReport:
    """Tag samples; undoing takes the tag only from those that got it here.

    Args:
        view: Any collection of the dataset.
        ids: Sample ids, or what `choose` chose.
        tag: The tag.
        by: Name of the person, for the log; None = the name of the operating system's user.

    Raises:
        DataError: The tag is empty.
    """
    chosen = _chosen(view, ids)
    done = tagging.add_tag(view, chosen.ids, tag, by=by or user_name(), what=_WHAT[chosen.what])
    had = len(chosen.ids) - done.samples
    notes = (f"{counted(had, 'sample')} had the tag already",) if had else ()
    return _report(done, f"Tagged {counted(done.samples, 'sample')} '{tag}'.", (*chosen.notes, *notes))


def move_samples(
    view: Collection,
    ids: Sequence[str] | Chosen,
    split: str,
    split_field: str | None = None,
    *,
    by: str | None = None,
) -> ActionReport:
    """Move samples to another split, in the field or the tags that hold the dataset's splits.

    Args:
        view: Any collection of the dataset.
        ids: Sample ids, or what `choose` chose.
        split: Name of the split; "" = out of every split.
        split_field: "tags", or the field that holds the splits; None = detected.
        by: Name of the person, for the log; None = the name of the operating system's user.

    Raises:
        FieldError: The dataset has no splits, or the field holds something else.
        DataError: Tags can't name such a split.
    """
    chosen = _chosen(view, ids)
    who, what = by or user_name(), _WHAT[chosen.what]
    done = moving.change_split(view, chosen.ids, split, split_field, by=who, what=what)
    there = len(chosen.ids) - done.samples
    notes = (f"{counted(there, 'sample')} {'was' if there == 1 else 'were'} there already",) if there else ()
    where = f"to {split}" if split else "out of every split"
    return _report(done, f"Moved {counted(done.samples, 'sample')} {where}.", (*chosen.notes, *notes))


def delete_samples(
    view: Collection,
    ids: Sequence[str] | Chosen,
    delete_files: bool = False,
    label_field: str | None = None,
    *,
    by: str | None = None,
) -> ActionReport:
    """Delete samples from the dataset; the last labelled image of a class is spared.

    Args:
        view: Any collection of the dataset.
        ids: Sample ids, or what `choose` chose.
        delete_files: Move the files into the trash below Winnow's home too; else they stay where they are.
        label_field: Field of Classification labels; None = the only one, or `ground_truth`.
        by: Name of the person, for the log; None = the name of the operating system's user.
    """
    chosen = spare_last_of_class(view, _chosen(view, ids), label_field)
    who, what = by or user_name(), _WHAT[chosen.what]
    done = removal.remove_samples(view, chosen.ids, delete_files=delete_files, by=who, what=what)
    files = " and moved their files into Winnow's trash" if delete_files else "; their files stay on disk"
    sentence = f"Deleted {counted(done.samples, 'sample')} from '{dataset_of(view).name}'{files}."
    return _report(done, sentence, chosen.notes)


def undo_action(view: Collection, key: str | None = None) -> ActionReport:
    """Take an action back, as far as nothing else was changed since.

    Args:
        view: Any collection of the dataset.
        key: The action, as in `list_actions`; None = the newest that was not undone.

    Raises:
        DataError: There is no such action, or it was undone already.
    """
    logged = {run.key: run for run in list_logged(view)}
    name = dataset_of(view).name
    if key is None:
        key = next((run.key for run in logged.values() if not undone_at(run)), None)
        if key is None:
            raise DataError(f"there is nothing to undo in '{name}'.")
    if key not in logged:
        raise DataError(f"'{name}' has no action '{key}'. Its actions are: {', '.join(logged) or 'none'}.")
    run = logged[key]
    if when := undone_at(run):
        raise DataError(f"action '{key}' of '{name}' was undone already, at {when}.")
    done = _UNDO[run.method](view, run)
    unit = "detection" if run.params.get("label_field") in patch_fields(view) else "sample"
    sentence = f"Undone for {counted(done.samples, unit)}: {describe(run)}."
    return ActionReport(key, done.samples, sentence, done.notes, done.failures, undoable=False)


def list_actions(view: Collection) -> ActionList:
    """Return what was tagged, moved, relabelled and deleted on the dataset, the newest first."""
    return ActionList(dataset_of(view).name, tuple(list_logged(view)))


def describe(run: SavedRun) -> str:
    """Return what an action did, as in "deleted 77 samples"."""
    samples = counted(run.summary["samples"], "sample")
    if run.method == tagging.METHOD:
        return f"tagged {samples} '{run.params['tag']}'"
    if run.method == moving.METHOD:
        split = run.params["split"]
        return f"moved {samples} " + (f"to {split}" if split else "out of every split")
    if run.method in (relabelling.METHOD, patch_relabelling.METHOD):
        return _DECIDED[run.params["decision"]].format(counted(run.summary["samples"], "label"))
    if run.method == label_reviews.METHOD:
        return f"reviewed {counted(run.summary['samples'], 'label')} as {run.params['by']}"
    if run.method == group_marks.METHOD:
        what = "near-duplicates" if run.params["field"] == group_marks.DUPLICATE_REVIEW else "leaks"
        return f"reviewed {what} among {counted(run.summary['samples'], 'image')} as {run.params['by']}"
    if run.method == label_sets.METHOD:
        return _DECIDED[run.params["decision"]].format(f"labels of {samples}")
    if run.method == bringing_back.METHOD:
        return f"brought labels of {counted(run.params['labels'], 'sample')} back from {run.params['source']}"
    return f"deleted {samples}" + (" and their files" if run.params["delete_files"] else "")


def _chosen(view: Collection, ids: Sequence[str] | Chosen) -> Chosen:
    return ids if isinstance(ids, Chosen) else choose(every_image(view), SELECTED, selected=ids)


def _report(done: Done, sentence: str, notes: tuple[str, ...]) -> ActionReport:
    if done.key is None:
        sentence = "There was nothing to do."
    return ActionReport(done.key, done.samples, sentence, (*notes, *done.notes), done.failures)
