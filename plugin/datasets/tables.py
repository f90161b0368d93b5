"""Reads a table of images: CSV or JSONL with the columns path, label or labels, optional split and group columns."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from ..errors import TargetError
from ..failures import Failure
from .csv_cells import plain_cell
from .records import Record, Source

CSV_SUFFIXES = (".csv", ".tsv")
JSONL_SUFFIXES = (".jsonl", ".ndjson")
COLUMNS = "path, label (or labels), optionally split, and further columns that are kept as text"

# What a table may be separated by; the header decides.
_CSV_DELIMITERS = (",", ";", "\t")
_LABEL_COLUMNS = ("label", "labels")
# Names of fields that FiftyOne keeps, and that our jobs write under their defaults.
_FIFTYONE_NAMES = ("id", "filepath", "tags", "metadata", "created_at", "last_modified_at", "media_type")
_LABEL_NAMES = (
    *("ground_truth", "prediction", "label_quality", "label_issue", "suggested_label", "suggested_labels"),
    *("label_verdict", "outlier", "outlier_score"),
)
_FINDING_NAMES = (
    *("duplicate_group", "duplicate_score", "duplicate_role", "duplicate_conflict", "duplicate_decisions"),
    *("leak_score", "leak_kind", "leak_group", "leak_review", "duplicate_review", "winnow_failure"),
)
_LABELING_NAMES = (
    *("selection_rank", "selection_score", "selection_reason"),
    *("labeling_state", "labeling_batch", "labeling_note", "labeling_answers"),
)
_TAKEN_NAMES = frozenset(_FIFTYONE_NAMES + _LABEL_NAMES + _FINDING_NAMES + _LABELING_NAMES)
_KNOWN_COLUMNS = ("path", "split", *_LABEL_COLUMNS)

Row = dict[str, Any]


def is_table(path: Path) -> bool:
    """Whether the file's extension is that of a table."""
    return path.suffix.lower() in CSV_SUFFIXES + JSONL_SUFFIXES


def read_table(table: Path, label_delimiter: str | None = None) -> Source:
    """Read the rows of a table; paths in it are relative to the table's folder.

    Args:
        table: A CSV file (separated by comma, semicolon or tab) or a file with one JSON object a line, in UTF-8. In CSV
            an apostrophe before what looks like a formula is no part of the text (`csv_cells`).
        label_delimiter: Makes labels multi-label: text between two delimiters is one label, without the blanks around
            it. In JSONL a list of labels is multi-label in any case.

    A row whose file is missing, and every row after the first for one file, is left out and listed in the failures.

    Raises:
        TargetError: The table is empty, has no column `path`, is not UTF-8, holds a row that can't be read, or none of
            its files exists.
    """
    table = table.resolve()
    rows = list(_rows(table))
    if not rows:
        raise TargetError(f"table '{table}' has no rows. Expected are the columns {COLUMNS}.")
    fields = _group_fields(table, rows)

    first: dict[str, tuple[int, Record]] = {}
    present: list[Record] = []
    failures: list[Failure] = []
    for line, row in rows:
        record = _record(table, line, row, fields, label_delimiter)
        path = str(record.path)
        if path in first:
            failures.append(Failure(f"line {line}", path, _repeats(record, *first[path])))
            continue
        first[path] = (line, record)
        if record.path.is_file():
            present.append(record)
        else:
            failures.append(Failure(f"line {line}", path, "no such file"))

    if not present:
        missing = next(iter(first))
        raise TargetError(
            f"none of the {len(first)} files in table '{table}' exists; the first is '{missing}'. "
            f"Write absolute paths, or paths relative to the table's folder '{table.parent}'."
        )
    return Source(table, _all_multilabel(present), tuple(failures), tuple(_notes(failures, fields)))


def _rows(table: Path) -> Iterator[tuple[int, Row]]:
    """Yield line number and content of each row."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            yield from _csv_rows(table, file) if table.suffix.lower() in CSV_SUFFIXES else _json_rows(table, file)
    except UnicodeDecodeError as cause:
        raise TargetError(
            f"table '{table}' is not UTF-8 (byte {cause.start} can't be read). Save it as UTF-8 and run again."
        ) from cause
    except OSError as cause:
        raise TargetError(f"table '{table}' can't be read: {cause.strerror}.") from cause


def _csv_rows(table: Path, file: TextIO) -> Iterator[tuple[int, Row]]:
    header = file.readline()
    if not header:
        return
    delimiter = max(_CSV_DELIMITERS, key=header.count)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    if "path" not in names:
        raise TargetError(f"table '{table}' has no column 'path'; it has {_listed(names)}. Expected are {COLUMNS}.")
    if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise TargetError(
            f"table '{table}' has more than one column {_listed(repeated)}. Rename or remove all but one."
        )
    reader = csv.reader(file, delimiter=delimiter)
    try:
        for cells in reader:
            line = reader.line_num + 1
            if not cells:
                continue
            if len(cells) > len(names):
                raise TargetError(
                    f"line {line} of table '{table}' has {len(cells)} cells, but there are {len(names)} columns. "
                    "Put text that contains the separator in double quotes."
                )
            yield line, dict(zip(names, map(plain_cell, cells), strict=False))
    except csv.Error as cause:
        raise TargetError(f"line {reader.line_num + 1} of table '{table}' is not valid CSV: {cause}.") from cause


def _json_rows(table: Path, file: TextIO) -> Iterator[tuple[int, Row]]:
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as cause:
            raise TargetError(
                f"line {line} of table '{table}' is not valid JSON: {cause}. Expected is one object a line."
            ) from cause
        if not isinstance(row, dict):
            raise TargetError(f"line {line} of table '{table}' is no JSON object. Expected is one object a line.")
        yield line, row


def _record(table: Path, line: int, row: Row, fields: dict[str, str], label_delimiter: str | None) -> Record:
    path = row.get("path")
    if not isinstance(path, str) or not path.strip():
        raise TargetError(
            f"line {line} of table '{table}' has no 'path'; its columns are {_listed(list(row))}. "
            f"Expected are {COLUMNS}."
        )
    return Record(
        path=Path(os.path.abspath(table.parent / path)),
        label=_label(table, line, row, label_delimiter),
        split=_text(table, line, "split", row.get("split")),
        groups={
            field: text
            for column, field in fields.items()
            if (text := _text(table, line, column, row.get(column))) is not None
        },
    )


def _label(table: Path, line: int, row: Row, delimiter: str | None) -> str | tuple[str, ...] | None:
    column = next((name for name in _LABEL_COLUMNS if name in row), "label")
    value = row.get(column)
    if isinstance(value, list):
        labels = (_text(table, line, column, each) for each in value)
        return tuple(dict.fromkeys(label for label in labels if label is not None))
    text = _text(table, line, column, value)
    if text is None or delimiter is None:
        return text
    return tuple(dict.fromkeys(part.strip() for part in text.split(delimiter) if part.strip()))


def _text(table: Path, line: int, column: str, value: Any) -> str | None:
    """Return a cell as it is written, None where it is empty."""
    if value is None or value == "":
        return None
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value).encode(errors="replace").decode()  # JSON can escape half a character, MongoDB can't keep it
    raise TargetError(
        f"line {line} of table '{table}': column '{column}' is {json.dumps(value)}, but text or a number is expected."
    )


def _all_multilabel(records: list[Record]) -> tuple[Record, ...]:
    """Where some rows have a list of labels and others a single one, make every label a list."""
    if not any(isinstance(record.label, tuple) for record in records):
        return tuple(records)
    return tuple(
        Record(record.path, (record.label,), record.split, record.groups) if isinstance(record.label, str) else record
        for record in records
    )


def _group_fields(table: Path, rows: list[tuple[int, Row]]) -> dict[str, str]:
    """Return the further columns, and for each the name of the field that keeps it."""
    columns = dict.fromkeys(name for _, row in rows for name in row if name not in _KNOWN_COLUMNS and name)
    fields = {column: _field_name(column) for column in columns}
    if len(set(fields.values())) < len(fields):
        raise TargetError(f"table '{table}' has columns whose names differ only in signs: {_listed(list(columns))}.")
    return fields


def _field_name(column: str) -> str:
    """Return a name that FiftyOne takes for a field; names that FiftyOne or Winnow need get the prefix `table_`."""
    name = "".join(sign if sign.isalnum() else "_" for sign in column).strip("_")
    return f"table_{name}" if not name.isidentifier() or name in _TAKEN_NAMES else name


def _repeats(record: Record, first_line: int, first: Record) -> str:
    if (record.label, record.split) == (first.label, first.split):
        return f"repeats line {first_line}"
    return f"contradicts line {first_line}, which was taken: {_told(first)} there, {_told(record)} here"


def _told(record: Record) -> str:
    label = ", ".join(record.label) if isinstance(record.label, tuple) else record.label
    return f"label {label or 'none'}" + (f" in split {record.split}" if record.split else "")


def _notes(failures: list[Failure], fields: dict[str, str]) -> Iterator[str]:
    if fields:
        yield f"further columns are kept as text fields: {', '.join(fields.values())}"
    for beginning, what in (
        ("no such file", "files in the table are missing"),
        ("repeats", "rows repeat an earlier row for the same file and were left out"),
        ("contradicts", "rows contradict an earlier row for the same file; the first row was taken"),
    ):
        found = [failure for failure in failures if failure.reason.startswith(beginning)]
        if found:
            yield f"{len(found)} {what}, e.g. {found[0].id}: '{found[0].path}'"


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
