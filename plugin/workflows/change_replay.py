"""Follow a table of changes on another copy of the data: planned first, and each step undoable.

An image is found by its path below the dataset's folder, else by its content. What does not hold the label and split
that the table says it had is a conflict: it is reported and left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..datasets.action_log import Done
from ..datasets.bringing_back import NewLabel, SampleChange, bring_back
from ..datasets.label_decisions import ACCEPTED
from ..datasets.label_sets import decide_label_sets
from ..datasets.relabelling import decide_labels
from ..datasets.samples import DEFAULT_LABEL_FIELD
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..failures import Failure
from ..progress import Progress, silent
from .actions import ActionReport, delete_samples, move_samples, tag_samples
from .change_rows import read_change_rows
from .replay_plan import ReplayParams, ReplayPlan, Step, plan_replay
from .review_labels import findings_after
from .review_terms import ACCEPT
from .reviewer import user_name
from .wording import counted

_STEP = "following the changes"
_SHOWN = 10

# Carries out one action.
_Part = Callable[[], Done | ActionReport]


@dataclass(frozen=True)
class ReplayReport:
    """What following a table of changes comes to.

    Attributes:
        dataset: Name of the dataset.
        rows: Number of rows of the table.
        labels: Images that get another label.
        splits: Images that are moved to another split.
        removed: Samples that are deleted; their files stay.
        tagged: Images that are tagged.
        as_they_should_be: Rows that ask for nothing that is not so already.
        absent: Rows whose image is not in the dataset.
        conflicts: Rows that are left alone, with the reason.
        actions: Keys of the actions that did it; empty for a plan.
        done: Whether it was done.
        notes: What was spared on the way.
    """

    dataset: str
    rows: int
    labels: int
    splits: int
    removed: int
    tagged: int
    as_they_should_be: int
    absent: int
    conflicts: tuple[Failure, ...]
    actions: tuple[str, ...] = ()
    done: bool = False
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "dataset": self.dataset,
            "rows": self.rows,
            "labels": self.labels,
            "splits": self.splits,
            "removed": self.removed,
            "tagged": self.tagged,
            "as_they_should_be": self.as_they_should_be,
            "absent": self.absent,
            "conflicts": [{"row": each.id, "path": each.path, "reason": each.reason} for each in self.conflicts],
            "actions": list(self.actions),
            "done": self.done,
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        counts = [(self.labels, "another label"), (self.splits, "moved to another split"), (self.tagged, "tagged")]
        counts += [(self.removed, "removed (files stay)")]
        parts = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing to do"
        verb = "Changed" if self.done else "Would change"
        lines = [f"**{verb} in '{self.dataset}'**: {parts}; {counted(self.rows, 'row')} read.", ""]
        if self.as_they_should_be:
            lines.append(f"- {counted(self.as_they_should_be, 'image')} as they should be already")
        if self.absent:
            lines.append(f"- {counted(self.absent, 'row')} about images that are not in this dataset")
        lines += [f"- {note}" for note in self.notes]
        lines += self._conflict_lines()
        if self.actions:
            lines += [
                "",
                f"It can be undone, the last first: {', '.join(f'`{key}`' for key in reversed(self.actions))}.",
            ]
        elif not self.done and (self.labels or self.splits or self.removed or self.tagged):
            lines += ["", "Nothing was changed yet: the same command with `--yes` does it."]
        return "\n".join(lines)

    def _conflict_lines(self) -> list[str]:
        if not self.conflicts:
            return []
        lines = ["", f"**{counted(len(self.conflicts), 'row')} left alone**, as the image is not as it was:", ""]
        lines += [f"- {each.id}, `{each.path}`: {each.reason}" for each in self.conflicts[:_SHOWN]]
        more = len(self.conflicts) - _SHOWN
        return lines + [f"- and {more:,} more; `--json` lists all."] * (more > 0)


def replay_changes(view: Collection, params: ReplayParams, progress: Progress = silent) -> ReplayReport:
    """Plan what a table of changes asks for, and do it where that is confirmed: labels, splits, tags, deletions last.

    Labels that are changed are marked as decided by the table's reviewer.

    Raises:
        DataError: The table can't be read, or none of its images is in the dataset.
        FieldError: It is open which field holds the labels or splits, or there are none to move between.
    """
    rows = list(read_change_rows(Path(params.table)))
    plan = plan_replay(view, rows, params, progress)
    if rows and plan.absent == len(rows):
        raise DataError(
            f"none of the {len(rows)} images of '{params.table}' is in '{dataset_of(view).name}', such as "
            f"'{rows[0].path}'. Paths are looked for below the dataset's folder; write the table with --sha256 to have "
            "images found by their content."
        )
    if not params.confirmed:
        return _report(view, plan)
    parts = [*_labels(view, plan, params), *_splits(view, plan), *_tags(view, plan), *_removals(view, plan)]
    actions: list[str] = []
    notes: list[str] = []
    for number, part in enumerate(parts):
        progress(_STEP, number, len(parts))
        done = part()
        key = done.key if isinstance(done, Done) else done.action
        actions += [key] if key else []
        notes += done.notes
    return _report(view, plan, actions, notes)


def _report(view: Collection, plan: ReplayPlan, actions: Sequence[str] = (), notes: Sequence[str] = ()) -> ReplayReport:
    return ReplayReport(
        dataset=dataset_of(view).name,
        rows=plan.rows,
        labels=sum(step.relabel for step in plan.steps),
        splits=sum(step.move for step in plan.steps),
        removed=sum(step.row.removed for step in plan.steps),
        tagged=sum(bool(step.tags) for step in plan.steps),
        as_they_should_be=plan.fine,
        absent=plan.absent,
        conflicts=tuple(plan.conflicts),
        actions=tuple(actions),
        done=bool(actions),
        notes=tuple(notes),
    )


def _labels(view: Collection, plan: ReplayPlan, params: ReplayParams) -> Iterator[_Part]:
    """Yield what changes labels, and what gives them where there are none or takes them away."""
    field = plan.label_field or DEFAULT_LABEL_FIELD
    changed: dict[str, list[Step]] = defaultdict(list)
    given: dict[str, list[Step]] = defaultdict(list)
    for step in plan.steps:
        if step.relabel:
            has_both = step.image.label is not None and bool(plan.several or step.row.new_label)
            (changed if has_both else given)[step.row.reviewer or user_name()].append(step)
    for by, steps in sorted(changed.items()):
        yield partial(_relabel, view, field, steps, by, params.label_delimiter, several=plan.several)
    for by, steps in sorted(given.items()):
        yield partial(_give, view, field, steps, by, params, several=plan.several)


def _splits(view: Collection, plan: ReplayPlan) -> Iterator[_Part]:
    moves = _grouped((step.row.reviewer, step.row.new_split, step.image.id) for step in plan.steps if step.move)
    for (by, split), ids in moves:
        yield partial(move_samples, view, ids, split, plan.split_source, by=by or None)


def _tags(view: Collection, plan: ReplayPlan) -> Iterator[_Part]:
    for (by, tag), ids in _grouped((step.row.reviewer, tag, step.image.id) for step in plan.steps for tag in step.tags):
        yield partial(tag_samples, view, ids, tag, by=by or None)


def _removals(view: Collection, plan: ReplayPlan) -> Iterator[_Part]:
    label_field = None if plan.several else plan.label_field
    for (by, _), ids in _grouped((step.row.reviewer, "", step.image.id) for step in plan.steps if step.row.removed):
        yield partial(delete_samples, view, ids, label_field=label_field, by=by or None)


def _relabel(view: Collection, field: str, steps: Sequence[Step], by: str, delimiter: str, *, several: bool) -> Done:
    """Change labels as a person decided."""
    if not several:
        new = {step.image.id: step.row.new_label for step in steps}
        findings = findings_after(view, ACCEPT)
        return decide_labels(view, field, list(new), ACCEPTED, by=by, labels=new, findings=findings)
    cells = {}
    for step in steps:
        wanted = _names(step.row.new_label, delimiter)
        cells[step.image.id] = {name: name in wanted for name in wanted.symmetric_difference(step.image.label or ())}
    return decide_label_sets(view, field, cells, ACCEPTED, by=by, findings={})


def _give(view: Collection, field: str, steps: Sequence[Step], by: str, params: ReplayParams, *, several: bool) -> Done:
    """Label images that have no label, and take labels away that are none any more."""
    changes = {}
    for step in steps:
        new = step.row.new_label
        label = sorted(_names(new, params.label_delimiter)) if several else new or None
        changes[step.image.id] = SampleChange({field: NewLabel(label, {"annotator": by})})
    return bring_back(view, changes, {field: several}, by=by, source=Path(params.table).name)


def _names(cell: str, delimiter: str) -> set[str]:
    return {name for name in cell.split(delimiter) if name}


def _grouped(steps: Iterable[tuple[str, str, str]]) -> list[tuple[tuple[str, str], list[str]]]:
    """Return the sample ids, which come last, by what comes before."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for by, what, key in steps:
        found[by, what].append(key)
    return sorted(found.items())
