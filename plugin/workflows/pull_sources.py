"""Where labels are brought back from: projects of Label Studio, files that it exported, or a table.

All of them become the same: tasks with annotations, as Label Studio's API gives them, and the controls that they
answer.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..datasets.action_log import chunks
from ..datasets.labeling_batches import BatchEntry
from ..datasets.views import Collection as Images
from ..datasets.views import dataset_of, every_image
from ..errors import DataError
from ..labeling.asked import controls_in
from ..labeling.choice_trees import Choice
from ..labeling.client import LabelStudioClient, LabelStudioError
from ..labeling.exported import CSV_SUFFIXES, Task, is_export, read_export, read_rows, tasks_of_rows
from ..labeling.labeling_config import Control, parse_labeling_config
from ..labeling.task_identity import BATCH, BLIND, SAMPLE, SHA256
from ..progress import Progress

TABLE_CONTROL = "label"
_MARKS = (SAMPLE, SHA256, BATCH, BLIND)
_OF_ANNOTATIONS = (
    *("id", "completed_by", "result", "was_cancelled", "ground_truth"),
    *("created_at", "updated_at", "lead_time", "parent_prediction"),
)
_ID_COLUMNS, _LABEL_COLUMNS = (SAMPLE, "sample", "id"), ("label", "labels")
_CHUNK = 20_000


@dataclass(frozen=True)
class Source:
    """Annotated tasks.

    Attributes:
        name: For people.
        tasks: Reduced to what a pull looks at.
        controls: What they answer.
        project: In Label Studio; 0 = a file.
        is_whole: Whether a task that is not there was deleted: exports leave out what is not annotated.
        notes: Sentences for the user.
    """

    name: str
    tasks: tuple[Task, ...]
    controls: tuple[Control, ...]
    project: int = 0
    is_whole: bool = False
    notes: tuple[str, ...] = ()


def from_projects(
    client: LabelStudioClient, entries: Sequence[BatchEntry], project: int, progress: Progress
) -> Iterator[Source]:
    """Yield the projects that batches were sent to, or the one that is asked for.

    Args:
        client: Of the Label Studio.
        entries: The dataset's batches.
        project: Number of the one project to read; 0 = those of the batches.
        progress: Told of each hundred tasks.

    Raises:
        DataError: No batch was sent to this Label Studio.
        LabelStudioError: It refused, or did not answer.
        LabelingConfigError: A project asks nothing about images.
    """
    here = [entry for entry in entries if entry.project_id and entry.url.rstrip("/") == client.base_url]
    numbers = [project] if project else sorted({entry.project_id for entry in here})
    if not numbers:
        others = ", ".join(sorted({entry.url for entry in entries if entry.url})) or "nowhere"
        raise DataError(
            f"nothing was sent to the Label Studio at {client.base_url} (batches went: {others}). Send a batch first, "
            "set LABEL_STUDIO_URL to the address that it was sent to, or name a project with --project."
        )
    for number in numbers:
        try:
            found = client.project(number)
        except LabelStudioError as error:
            if error.status != 404 or project:
                raise
            note = f"project {number} is no longer in Label Studio, so nothing came back from it"
            yield Source(f"project {number}", (), (), number, notes=(note,))
            continue
        config = parse_labeling_config(str(found["label_config"]))
        yield Source(
            f"project {number} of Label Studio",
            tuple(_read_tasks(client, number, int(found.get("task_number") or 0), progress)),
            config.controls,
            number,
            is_whole=True,
        )


def from_file(
    images: Images, path: Path, config: Path | None, fields: Collection[str], label_delimiter: str | None
) -> Source:
    """Return what an export of Label Studio holds (JSON, JSON_MIN, CSV), or a table of labels.

    Args:
        images: Any collection of the dataset.
        path: The file. A table has the columns `path` (absolute, or relative to the table's folder) or `sample` (an
            id), `label` or `labels`, and optionally `annotator` and `annotated_at` (ISO 8601).
        config: The labeling config, as XML; None = the answers are taken as they are written.
        fields: Names of the controls that are known to be read.
        label_delimiter: What separates several labels in a cell of a table.

    Raises:
        DataError: The file can't be read, or is neither.
        LabelingConfigError: The labeling config asks nothing about images.
    """
    if not path.is_file():
        raise DataError(f"there is no file '{path}'. Name an export of Label Studio (JSON, JSON-MIN, CSV) or a table.")
    controls = _controls_of(config)
    names = {control.name for control in controls} or set(fields)
    if path.suffix.lower() in CSV_SUFFIXES:
        rows = read_rows(path)
        if not is_export(rows):
            return _from_table(images, path, rows, label_delimiter)
        tasks = tasks_of_rows(path, rows, names)
    else:
        tasks = read_export(path, names)
    slim = tuple(_slim(task) for task in tasks)
    return Source(f"'{path.name}'", slim, controls or controls_in(slim))


def _read_tasks(client: LabelStudioClient, project: int, total: int, progress: Progress) -> Iterator[Task]:
    done = 0
    for done, task in enumerate(client.tasks(project), start=1):
        yield _slim(task)
        if done % 100 == 0:
            progress("reading tasks", done, max(total, done))
    progress("reading tasks", done, max(total, done))


def _slim(task: Mapping[str, Any]) -> Task:
    """Return what a pull looks at: of a million tasks the rest would not fit into memory."""
    data = task["data"] if isinstance(task.get("data"), Mapping) else {}
    predictions = [
        {"created_at": each.get("created_at")} if isinstance(each, Mapping) else {}
        for each in task.get("predictions") or []
    ]
    annotations = [
        {name: each[name] for name in _OF_ANNOTATIONS if name in each}
        for each in task.get("annotations") or []
        if isinstance(each, Mapping) and isinstance(each.get("id"), int)
    ]
    return {
        "id": task.get("id"),
        "data": {name: data[name] for name in _MARKS if name in data},
        "annotations": annotations,
        "predictions": predictions,
    }


def _controls_of(config: Path | None) -> tuple[Control, ...]:
    if config is None:
        return ()
    try:
        return parse_labeling_config(config.read_text("utf-8-sig")).controls
    except (OSError, UnicodeDecodeError) as cause:
        raise DataError(f"labeling config '{config}' can't be read: {cause}. Save it as XML in UTF-8.") from cause


def _from_table(images: Images, path: Path, rows: Sequence[Mapping[str, str]], delimiter: str | None) -> Source:
    columns = rows[0]
    id_column = next((name for name in _ID_COLUMNS if name in columns), None)
    label_column = next((name for name in _LABEL_COLUMNS if name in columns), None)
    if label_column is None or (id_column is None and "path" not in columns):
        raise DataError(
            f"table '{path}' has the columns {', '.join(columns)}; needed are path or sample, and label; annotator and "
            "annotated_at may follow."
        )
    keys = _sample_ids(images, path, rows, id_column)
    tasks: dict[str, Task] = {}
    for line, (row, key) in enumerate(zip(rows, keys, strict=True), start=2):
        labels = _labels(row.get(label_column) or "", delimiter)
        if labels is None:
            continue  # not labelled yet
        name = key or f"line {line}"
        task = tasks.setdefault(
            name, {"id": None, "data": {SAMPLE: key} if key else {}, "annotations": [], "predictions": []}
        )
        task["annotations"].append(_table_annotation(line, row, labels))
    seen = dict.fromkeys(
        label
        for task in tasks.values()
        for each in task["annotations"]
        for label in each["result"][0]["value"]["choices"]
    )
    control = Control(
        TABLE_CONTROL,
        "image",
        "",
        "choices",
        1 if delimiter is None else None,
        tuple(Choice(each, each) for each in seen),
    )
    return Source(f"'{path.name}'", tuple(tasks.values()), (control,))


def _table_annotation(line: int, row: Mapping[str, str], labels: list[str]) -> dict[str, Any]:
    at = (row.get("annotated_at") or "").strip()
    if at:
        try:
            given = datetime.fromisoformat(at)
        except ValueError:
            raise DataError(f"line {line}: '{at}' is no time. Write it as in 2026-01-31T12:00:00.") from None
        at = (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    value = {"choices": labels}
    return {
        "id": line,
        "completed_by": (row.get("annotator") or "").strip() or None,
        "updated_at": at,
        "result": [{"from_name": TABLE_CONTROL, "to_name": "image", "type": "choices", "value": value}],
    }


def _labels(cell: str, delimiter: str | None) -> list[str] | None:
    """Return the labels of a cell; None where it is empty."""
    if not cell.strip():
        return None
    if delimiter is None:
        return [cell.strip()]
    return list(dict.fromkeys(part.strip() for part in cell.split(delimiter) if part.strip()))


def _sample_ids(
    images: Images, table: Path, rows: Sequence[Mapping[str, str]], id_column: str | None
) -> list[str | None]:
    """Return the sample that each row names; None where the dataset has none at that path."""
    if id_column is not None:
        return [(row.get(id_column) or "").strip() or None for row in rows]
    folder = table.resolve().parent
    paths = [os.path.abspath(folder / (row.get("path") or "")) for row in rows]
    found: dict[str, str] = {}
    for chunk in chunks(sorted(set(paths)), _CHUNK):
        names, keys = every_image(images).match({"filepath": {"$in": chunk}}).values(["filepath", "id"])
        found |= dict(zip(names, keys, strict=True))
    if not found and id_column is None:
        raise DataError(
            f"no path in table '{table}' is that of an image of '{dataset_of(images).name}', such as '{paths[0]}'. "
            f"Write absolute paths, or paths relative to the table's folder '{folder}'."
        )
    return [found.get(path) for path in paths]
