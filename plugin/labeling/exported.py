"""Reads what Label Studio exports (JSON, JSON_MIN, CSV) as the tasks that its API would give.

JSON holds whole tasks. JSON_MIN and CSV hold a row an annotation, with the task's data and the answers side by side and
without skipped annotations; there, which columns are answers has to be known.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from .task_identity import SAMPLE

Task = dict[str, Any]
Row = Mapping[str, Any]

CSV_SUFFIXES = (".csv", ".tsv")
_DELIMITERS = (",", ";", "\t")
_BOM_TEXT = "utf-8-sig"


def read_export(path: Path, controls: Collection[str]) -> list[Task]:
    """Return the tasks of an export in JSON or JSON_MIN.

    Args:
        path: The file.
        controls: Names of the controls; needed for JSON_MIN.

    Raises:
        DataError: The file can't be read, is something else, or it is open which of its columns are answers.
    """
    try:
        content = json.loads(path.read_text(_BOM_TEXT))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else f"it is no JSON ({cause})"
        raise DataError(f"export '{path}' can't be read: {reason}. Export the project as JSON or JSON-MIN.") from cause
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise DataError(f"'{path}' holds no list of tasks. Export the project from Label Studio as JSON or JSON-MIN.")
    if all("annotations" in each and isinstance(each.get("data"), dict) for each in content):
        return content
    if any("annotations" in each or "data" in each for each in content):
        raise DataError(f"some tasks of '{path}' have no data or no annotations. Export the project as JSON again.")
    return tasks_of_rows(path, content, controls)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file, in UTF-8, separated by comma, semicolon or tab.

    Raises:
        DataError: It can't be read, has no rows, or a row has more cells than there are columns.
    """
    try:
        with path.open(encoding=_BOM_TEXT, newline="") as file:
            header = file.readline()
            delimiter = max(_DELIMITERS, key=header.count)
            names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
            rows = [row for row in csv.reader(file, delimiter=delimiter) if row]
    except OSError as cause:
        raise DataError(f"table '{path}' can't be read: {cause.strerror}.") from cause
    except UnicodeDecodeError as cause:
        raise DataError(f"table '{path}' is not UTF-8 (byte {cause.start}). Save it as UTF-8 and run again.") from cause
    except csv.Error as cause:
        raise DataError(f"table '{path}' is not valid CSV: {cause}.") from cause
    if not rows:
        raise DataError(f"table '{path}' has no rows.")
    if longest := next((row for row in rows if len(row) > len(names)), None):
        raise DataError(
            f"a row of table '{path}' has {len(longest)} cells, but there are {len(names)} columns: "
            f"'{longest[0]}' ... Put text that contains the separator in double quotes."
        )
    return [dict(zip(names, row, strict=False)) for row in rows]


def is_export(rows: Sequence[Row]) -> bool:
    """Tell whether rows are Label Studio's: those of other tables have no number of an annotation."""
    return all("annotation_id" in row for row in rows)


def tasks_of_rows(path: Path, rows: Sequence[Row], controls: Collection[str]) -> list[Task]:
    """Return the tasks of an export that holds a row an annotation.

    Args:
        path: The file, for messages.
        rows: Of JSON_MIN or CSV.
        controls: Names of the controls.

    Raises:
        DataError: It is open which columns are answers, or the rows are not Label Studio's.
    """
    if not is_export(rows):
        raise DataError(f"'{path}' is no export of Label Studio: its rows have no 'annotation_id'.")
    if not controls:
        raise DataError(
            f"'{path}' does not say which of its columns are answers. Name them with --field CONTROL=FIELD, or export "
            "the project as JSON."
        )
    tasks: dict[Any, Task] = {}
    for row in rows:
        task = tasks.setdefault(
            (str(row.get("id")), row.get(SAMPLE)),
            {"id": _number(row.get("id")), "data": dict(row), "annotations": [], "predictions": []},
        )
        number = _number(row.get("annotation_id"))
        if number in (None, ""):
            continue
        if not isinstance(number, int):
            raise DataError(f"'{path}' is no export of Label Studio: '{number}' is no number of an annotation.")
        task["annotations"].append(_annotation(number, row, controls))
    return list(tasks.values())


def _annotation(number: int, row: Row, controls: Collection[str]) -> dict[str, Any]:
    return {
        "id": number,
        "completed_by": _number(row.get("annotator")),
        "created_at": str(row.get("created_at") or ""),
        "updated_at": str(row.get("updated_at") or ""),
        "lead_time": _seconds(row.get("lead_time")),
        "result": [region for name in sorted(controls) for region in _regions(name, row.get(name))],
    }


def _regions(name: str, cell: Any) -> Iterator[dict[str, Any]]:
    """Yield the answer in a cell: a choice alone is written as it is, several ones as JSON, paths as lists of lists."""
    if isinstance(cell, str) and cell[:1] in "[{":
        with contextlib.suppress(ValueError):  # a class that begins like that
            cell = json.loads(cell)
    if isinstance(cell, Mapping):
        for kind in ("choices", "taxonomy"):
            if kind in cell:
                yield _region(name, kind, cell[kind])
    elif isinstance(cell, list) and cell:
        if all(isinstance(each, Mapping) for each in cell):
            yield from (region for each in cell for region in _regions(name, each))
        else:
            yield _region(name, "taxonomy" if isinstance(cell[0], list) else "choices", cell)
    elif cell not in (None, ""):
        yield _region(name, "choices", [str(cell)])


def _region(name: str, kind: str, written: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "", "type": kind, "value": {kind: written}}


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _seconds(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
