"""Reads a table of changes, which may come from anywhere: nothing in it is opened or run, only compared."""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..datasets.csv_cells import plain_cell
from ..errors import DataError
from .changes import DIGEST_COLUMN, TAG_DELIMITER

_NEEDED = ("path", "old_label", "new_label", "old_split", "new_split", "removed")


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One row of a table of changes.

    Attributes:
        line: Its line in the file, from 1.
        path: As it stands there, with slashes, without `.` and `..` where these can be resolved.
        old_label: Label before, "" = none; several with the table's delimiter.
        new_label: Label after.
        old_split: Split before, "" = none.
        new_split: Split after.
        removed: Whether the sample was deleted.
        tags: Tags that the sample was given.
        reviewer: Who did it, "" = not told.
        sha256: SHA-256 of the file in hexadecimal digits, "" = not told.
    """

    line: int
    path: str
    old_label: str
    new_label: str
    old_split: str
    new_split: str
    removed: bool
    tags: tuple[str, ...]
    reviewer: str
    sha256: str


def read_change_rows(table: Path) -> Iterator[ChangeRow]:
    """Yield the rows of a table as `winnow changes --csv` writes it; further columns are passed over.

    Raises:
        DataError: It can't be read, is not UTF-8, lacks a column, or a cell holds what it can't.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in _NEEDED if name not in (reader.fieldnames or ())]:
                raise DataError(
                    f"table '{table}' lacks the columns {', '.join(missing)}. Expected is what `winnow changes --csv` "
                    "writes."
                )
            for cells in reader:
                yield _row(table, reader.line_num, cells)
    except UnicodeDecodeError as cause:
        raise DataError(
            f"table '{table}' is not UTF-8 (byte {cause.start} can't be read). Save it as UTF-8."
        ) from cause
    except OSError as cause:
        raise DataError(f"table '{table}' can't be read: {cause.strerror}.") from cause
    except csv.Error as cause:
        raise DataError(f"table '{table}' is not valid CSV: {cause}.") from cause


def _row(table: Path, line: int, cells: dict[str, str | None]) -> ChangeRow:
    # Of a row with too few or too many cells DictReader makes None, and a key None.
    text = {name: plain_cell(cell) for name, cell in cells.items() if isinstance(cell, str)}
    if any(name not in text for name in _NEEDED) or None in cells:
        raise DataError(f"line {line} of table '{table}' has more or fewer cells than there are columns.")
    if text["removed"] not in ("0", "1", ""):
        raise DataError(f"line {line} of table '{table}': 'removed' is '{text['removed']}', but 0 or 1 is expected.")
    if not text["path"]:
        raise DataError(f"line {line} of table '{table}' has no path.")
    tags = text.get("tags", "").split(TAG_DELIMITER)
    return ChangeRow(
        line=line,
        path=posixpath.normpath(text["path"]),
        old_label=text["old_label"],
        new_label=text["new_label"],
        old_split=text["old_split"],
        new_split=text["new_split"],
        removed=text["removed"] == "1",
        tags=tuple(tag.strip() for tag in tags if tag.strip()),
        reviewer=text.get("reviewer", ""),
        sha256=text.get(DIGEST_COLUMN, "").lower(),
    )
