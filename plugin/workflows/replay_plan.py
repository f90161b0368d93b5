"""What following a table of changes would do to each image of a dataset, and which rows it leaves alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..datasets.multi_labels import multi_label_field
from ..datasets.sample_history import history_label_field, same_split
from ..datasets.split_names import read_splits
from ..datasets.views import Collection, every_image
from ..failures import Failure
from ..progress import Progress, silent
from .change_rows import ChangeRow
from .changes import joined
from .known_images import KnownImage, KnownImages


@dataclass(frozen=True)
class ReplayParams:
    """Settings of `replay_changes`.

    Attributes:
        table: File that `list_changes` wrote.
        confirmed: Whether to do it; else it is only planned.
        label_field: Field of Classification or Classifications; None = as everywhere.
        split_field: "tags", or the field that holds the splits; None = detected.
        label_delimiter: Stands between the labels of an image that has several.
    """

    table: str
    confirmed: bool = False
    label_field: str | None = None
    split_field: str | None = None
    label_delimiter: str = "|"


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one image.

    Attributes:
        row: What the table says.
        image: The image as it is.
        relabel: Whether its label changes.
        move: Whether it goes to another split.
        tags: Tags that it lacks.
    """

    row: ChangeRow
    image: KnownImage
    relabel: bool
    move: bool
    tags: tuple[str, ...]


@dataclass
class ReplayPlan:
    """What is to be done, and what is not.

    Attributes:
        rows: Number of rows of the table.
        label_field: Field of the labels; None = the dataset has none.
        several: Whether an image may have several.
        split_source: "tags", the field of the splits, or None.
        steps: What is to be done.
        conflicts: Rows that are left alone, with the reason.
        absent: Rows whose image is not in the dataset.
        fine: Rows that ask for nothing that is not so already.
    """

    rows: int
    label_field: str | None
    several: bool
    split_source: str | None
    steps: list[Step] = field(default_factory=list)
    conflicts: list[Failure] = field(default_factory=list)
    absent: int = 0
    fine: int = 0


def plan_replay(
    view: Collection, rows: Sequence[ChangeRow], params: ReplayParams, progress: Progress = silent
) -> ReplayPlan:
    """Compare the rows of a table with the images of a dataset.

    Raises:
        FieldError: It is open which field holds the labels or splits.
    """
    label_field = history_label_field(view, params.label_field)
    several = label_field is not None and label_field == multi_label_field(view, label_field)
    source = params.split_field or read_splits(every_image(view), None)[1]
    known = KnownImages(view, label_field, several=several, split_source=source)
    known.read_contents(rows, progress)
    plan = ReplayPlan(len(rows), label_field, several, source)
    taken: dict[str, int] = {}
    for row in rows:
        found = known.find(row)
        if not found:
            plan.absent += 1
            continue
        reason = _conflict(row, found, taken, params.label_delimiter)
        if reason is not None:
            plan.conflicts.append(Failure(f"line {row.line}", row.path, reason))
            continue
        image = found[0]
        taken[image.id] = row.line
        step = Step(
            row,
            image,
            relabel=joined(image.label, params.label_delimiter) != row.new_label,
            move=not same_split(image.split, row.new_split),
            tags=tuple(tag for tag in row.tags if tag not in image.tags),
        )
        if step.relabel or step.move or step.tags or row.removed:
            plan.steps.append(step)
        else:
            plan.fine += 1
    return plan


def _conflict(row: ChangeRow, found: Sequence[KnownImage], taken: Mapping[str, int], delimiter: str) -> str | None:
    """Return why a row can't be followed, None where it can."""
    if len(found) > 1:
        return f"{len(found)} images have this content"
    image = found[0]
    if image.id in taken:
        return f"line {taken[image.id]} is about the same image"
    label = joined(image.label, delimiter)
    if label not in (row.old_label, row.new_label):
        return f"its label is '{label}', neither '{row.old_label}' nor '{row.new_label}'"
    if not any(same_split(image.split, split) for split in (row.old_split, row.new_split)):
        return f"its split is '{image.split}', neither '{row.old_split}' nor '{row.new_split}'"
    return None
