"""Let a cleaned dataset leave FiftyOne: as folders SPLIT/CLASS/file, as a table, or as both."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..datasets import runs
from ..datasets.csv_cells import safe_cell
from ..datasets.multi_labels import multi_label_field, read_multi_labels
from ..datasets.sample_history import SPLIT_RUN
from ..datasets.samples import objects, read_samples
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..failures import Failure
from ..labeling.reconciling import PlainLabel
from ..progress import Progress, silent
from .changes import joined, relative_path
from .choosing import COPIES, LABEL_ISSUES, LEAKED, choose
from .export_files import Exported, write_folders
from .job_rates import timed
from .whole_files import whole_file
from .wording import counted, failure_lines

LEAVE_OUT = {"copies": COPIES, "leaks": LEAKED, "label issues": LABEL_ISSUES}


@dataclass(frozen=True)
class ExportDatasetParams:
    """Settings of `export_dataset`.

    Attributes:
        output: New folder for the images; None = none is made.
        csv: File for a table with the columns path, label and split; None = none is written.
        leave_out: Some of "copies" (of each duplicate group all but the image to keep), "leaks" (training images with a
            counterpart in another split) and "label issues" (images whose label is flagged).
        link: Make hard links instead of copies: no space is taken, and who edits one file edits both.
        label_field: Field of Classification or, for a table alone, Classifications; None = as everywhere.
        split_field: "tags", or the field that holds the splits; None = Winnow's where it has split the dataset, else
            detected.
        label_delimiter: Stands between the labels of an image that has several.
    """

    output: str | None = None
    csv: str | None = None
    leave_out: Sequence[str] = ()
    link: bool = False
    label_field: str | None = None
    split_field: str | None = None
    label_delimiter: str = "|"

    @property
    def writes_images(self) -> bool:
        """Whether images are written, which takes far longer than a table."""
        return self.output is not None

    def __post_init__(self) -> None:
        if unknown := [name for name in self.leave_out if name not in LEAVE_OUT]:
            raise DataError(f"'{unknown[0]}' can't be left out. Choose from: {', '.join(LEAVE_OUT)}.")
        if not self.output and not self.csv:
            raise DataError("name a folder for the images, a file for the table, or both.")
        if not self.label_delimiter:
            raise DataError("the delimiter of labels must have at least one character. The default is '|'.")


@dataclass(frozen=True)
class ExportDatasetReport:
    """What left.

    Attributes:
        dataset: Name of the dataset.
        images: Number of images that were exported.
        splits: Split -> number of its images, "" = none.
        classes: Number of classes.
        left_out: What was left out -> number of images.
        output: The folder, or None.
        csv: The table, or None.
        failures: Files that could not be copied, and are in neither.
        notes: Sentences for the user.
    """

    dataset: str
    images: int
    splits: dict[str, int]
    classes: int
    left_out: dict[str, int]
    output: str | None
    csv: str | None
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "dataset": self.dataset,
            "images": self.images,
            "splits": self.splits,
            "classes": self.classes,
            "left_out": self.left_out,
            "output": self.output,
            "csv": self.csv,
            "failures": len(self.failures),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        places = " and ".join(f"`{place}`" for place in (self.output, self.csv) if place)
        splits = ", ".join(f"{name or 'no split'} {count:,}" for name, count in self.splits.items())
        classes = counted(self.classes, "class", "classes")
        lines = [f"**{counted(self.images, 'image')} of {classes} are in {places}**: {splits}.", ""]
        lines += [f"- {counted(count, 'image')} left out: {what}" for what, count in self.left_out.items()]
        lines += [f"- {note}" for note in self.notes]
        lines += failure_lines(self.failures)
        if self.output:
            lines += ["", f"`winnow curate {self.output}` reads it as a dataset of its own."]
        return "\n".join(lines)


@timed("export_dataset")
def export_dataset(view: Collection, params: ExportDatasetParams, progress: Progress = silent) -> ExportDatasetReport:
    """Write images, labels and splits; the folder appears when it is complete, or not at all.

    What is read back from the folder or the table (`winnow curate`) has the same labels and splits.

    Args:
        view: A dataset or a view of images.
        params: Settings.
        progress: Told after each image.

    Raises:
        DataError: The folder exists, the disk has no room, labels can't be told by folders, or what is to be left out
            was not looked for.
        FieldError: It is open which field holds labels or splits.
    """
    several = multi_label_field(view, params.label_field)
    if several and params.output:
        raise DataError(
            f"images have several labels in '{several}', so no one folder is theirs. Export a table alone: --csv FILE."
        )
    samples = read_samples(view, None if several else params.label_field, params.split_field or _own_splits(view))
    labels: list[PlainLabel] = [samples.classes[label] if label >= 0 else None for label in samples.labels]
    if several:
        labels = _label_lists(view, samples.ids.tolist(), several)
        for label in labels:
            joined(label, params.label_delimiter)  # refused before anything is written
    going, left_out, notes = _chosen(view, params.leave_out)
    rows = [row for row, key in enumerate(samples.ids) if key not in going]
    if not rows:
        raise DataError(f"nothing of '{dataset_of(view).name}' is left to export. Leave less out.")
    exported = [Exported(samples.ids[row], samples.paths[row], labels[row], samples.splits[row]) for row in rows]
    failures: tuple[Failure, ...] = ()
    if params.output:
        folder = Path(params.output).expanduser().absolute()
        exported, failures, more = write_folders(exported, folder, link=params.link, progress=progress)
        notes += more
    if params.csv:
        _write_table(exported, Path(params.csv).expanduser().absolute(), params.label_delimiter)
    return ExportDatasetReport(
        dataset=dataset_of(view).name,
        images=len(exported),
        splits=dict(sorted(Counter(each.split for each in exported).items())),
        classes=len({name for each in exported for name in _names(each.label)}),
        left_out=left_out,
        output=params.output,
        csv=params.csv,
        failures=failures,
        notes=tuple(notes),
    )


def _own_splits(view: Collection) -> str | None:
    """Return the field that Winnow wrote the dataset's splits into, None where it never did."""
    run = next((run for run in runs.list_runs(view) if run.key == SPLIT_RUN), None)
    return run.fields[0] if run and dataset_of(view).has_field(run.fields[0]) else None


def _label_lists(view: Collection, ids: list[str], field: str) -> list[PlainLabel]:
    values, classes = read_multi_labels(view, objects(ids), field)
    return [None if (row != row).any() else [classes[column] for column in row.nonzero()[0]] for row in values]


def _chosen(view: Collection, leave_out: Sequence[str]) -> tuple[set[str], dict[str, int], list[str]]:
    """Return which samples stay behind, how many of each kind, and what there is to say of them."""
    going: set[str] = set()
    counts: dict[str, int] = {}
    notes: list[str] = []
    for name in leave_out:
        chosen = choose(view, LEAVE_OUT[name])
        counts[name] = len(set(chosen.ids) - going)
        going.update(chosen.ids)
        notes += chosen.notes
    return going, counts, notes


def _write_table(exported: Sequence[Exported], table: Path, delimiter: str) -> None:
    with whole_file(table) as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for each in exported:
            path = relative_path(each.path, table.parent)
            if safe_cell(path) != path:
                path = f".{os.sep}{path}"  # the same file, and no other program has to know of apostrophes
            writer.writerow([path, safe_cell(joined(each.label, delimiter)), safe_cell(each.split)])


def _names(label: PlainLabel) -> list[str]:
    return label if isinstance(label, list) else [label] if label else []
