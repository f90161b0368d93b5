"""Tell which images were changed in a dataset, by whom and why: as a table that another copy can follow."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ..datasets.action_log import chunks
from ..datasets.csv_cells import safe_cell
from ..datasets.sample_history import ImageChange, history_label_field, read_history, same_split
from ..datasets.targets import source_folder
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..labeling.reconciling import PlainLabel
from ..progress import Progress, silent
from ..vision.file_hashes import file_hashes
from .whole_files import whole_file
from .wording import counted

COLUMNS = (
    *("path", "old_label", "new_label", "old_split", "new_split", "removed", "tags"),
    *("reason", "reviewer", "time", "run"),
)
DIGEST_COLUMN = "sha256"
TAG_DELIMITER = "|"  # of tags, reasons, reviewers and runs

_STEP = "reading what was changed"
_CHUNK = 1_000


@dataclass(frozen=True)
class ChangesParams:
    """Settings of `list_changes`.

    Attributes:
        csv: File for the table; None = only count.
        sha256: Add a column with the SHA-256 of each file, by which images are found whose path is another.
        label_field: Field of Classification or Classifications; None = as everywhere.
        label_delimiter: Stands between the labels of an image that has several.
    """

    csv: str | None = None
    sha256: bool = False
    label_field: str | None = None
    label_delimiter: str = "|"


@dataclass(frozen=True)
class ChangesReport:
    """How many images were changed.

    Attributes:
        dataset: Name of the dataset.
        changed: Number of images that were changed in any way.
        labels: Images with another label than before.
        splits: Images in another split.
        removed: Images whose sample was deleted.
        tagged: Images that were given a tag.
        reasons: Why -> number of images, the most frequent first.
        csv: The table that was written, or None.
    """

    dataset: str
    changed: int
    labels: int
    splits: int
    removed: int
    tagged: int
    reasons: dict[str, int]
    csv: str | None = None

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "dataset": self.dataset,
            "changed": self.changed,
            "labels": self.labels,
            "splits": self.splits,
            "removed": self.removed,
            "tagged": self.tagged,
            "reasons": self.reasons,
            "csv": self.csv,
        }

    def text(self) -> str:
        """Return markdown for a person."""
        if not self.changed:
            return f"Nothing was changed in '{self.dataset}' by Winnow or a reviewer."
        kinds = [(self.labels, "another label"), (self.splits, "another split"), (self.removed, "removed")]
        kinds += [(self.tagged, "tagged")]
        parts = ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)
        lines = [f"**{counted(self.changed, 'image')} of '{self.dataset}' changed**: {parts}.", ""]
        lines += ["| why | images |", "|---|---|"]
        lines += [f"| {reason} | {count:,} |" for reason, count in self.reasons.items()]
        if self.csv is None:
            return "\n".join([*lines, "", "`--csv FILE` writes a row for each."])
        return "\n".join(
            [*lines, "", f"Written to {self.csv}; `winnow changes COPY --replay FILE` does the same there."]
        )


def list_changes(
    view: Collection, params: ChangesParams = ChangesParams(), progress: Progress = silent
) -> ChangesReport:
    """Count the images that were changed at a person's wish, and write a row for each.

    Paths are relative to the folder that the dataset was made from, where they lie in it. A cell that a spreadsheet
    would run as a formula is escaped (`csv_cells`).

    Raises:
        DataError: A class has the delimiter in its name, or the file can't be written.
        FieldError: It is open which field holds the labels.
    """
    if not params.label_delimiter:
        raise DataError("the delimiter of labels must have at least one character. The default is '|'.")
    changes = _told(read_history(view, history_label_field(view, params.label_field)), progress)
    if params.csv is None:
        return _counted(view, changes, None)
    with whole_file(Path(params.csv)) as file:
        return _counted(view, _written(changes, file, source_folder(dataset_of(view)), params), params.csv)


def joined(label: PlainLabel, delimiter: str) -> str:
    """Return a label as a cell holds it, several with the delimiter between them.

    Raises:
        DataError: A class has the delimiter in its name.
    """
    if not isinstance(label, list):
        return label or ""
    if clash := next((name for name in label if delimiter in name), None):
        raise DataError(f"class '{clash}' has the delimiter '{delimiter}' in its name. Choose another delimiter.")
    return delimiter.join(label)


def relative_path(path: str, folder: Path | None) -> str:
    """Return the path relative to a folder, with slashes; one that does not lie in it stays whole."""
    if folder is None or not Path(path).is_relative_to(folder):
        return path
    return Path(path).relative_to(folder).as_posix()


def _told(changes: Iterator[ImageChange], progress: Progress) -> Iterator[ImageChange]:
    for number, change in enumerate(changes, start=1):
        progress(_STEP, number, 0)
        yield change


def _written(
    changes: Iterator[ImageChange], file: TextIO, folder: Path | None, params: ChangesParams
) -> Iterator[ImageChange]:
    """Write a row for each change, and hand it on."""
    columns = (*COLUMNS, DIGEST_COLUMN) if params.sha256 else COLUMNS
    writer = csv.writer(file)
    writer.writerow(columns)
    for chunk in chunks(changes, _CHUNK):
        # A file that lies in the trash is not read: what was removed has no digest.
        digests = file_hashes([change.path for change in chunk]) if params.sha256 else [None] * len(chunk)
        for change, digest in zip(chunk, digests, strict=True):
            row = _row(change, folder, params.label_delimiter) | {DIGEST_COLUMN: digest or ""}
            writer.writerow([safe_cell(row[column]) for column in columns])
            yield change


def _counted(view: Collection, changes: Iterator[ImageChange], csv_file: str | None) -> ChangesReport:
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for change in changes:
        counts["changed"] += 1
        counts["labels"] += change.old_label != change.new_label
        counts["splits"] += not same_split(change.old_split, change.new_split)
        counts["removed"] += change.removed
        counts["tagged"] += bool(change.tags)
        reasons.update(set(change.reasons))
    return ChangesReport(
        dataset=dataset_of(view).name,
        changed=counts["changed"],
        labels=counts["labels"],
        splits=counts["splits"],
        removed=counts["removed"],
        tagged=counts["tagged"],
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        csv=csv_file,
    )


def _row(change: ImageChange, folder: Path | None, delimiter: str) -> dict[str, str]:
    return {
        "path": relative_path(change.path, folder),
        "old_label": joined(change.old_label, delimiter),
        "new_label": joined(change.new_label, delimiter),
        "old_split": change.old_split,
        "new_split": change.new_split,
        "removed": str(int(change.removed)),
        "tags": TAG_DELIMITER.join(change.tags),
        "reason": TAG_DELIMITER.join(change.reasons),
        "reviewer": TAG_DELIMITER.join(change.reviewers),
        "time": change.time.isoformat(timespec="seconds") if change.time else "",
        "run": TAG_DELIMITER.join(change.runs),
    }
