"""Opens what a command was pointed at: a dataset's name, a folder of images or a table of images."""

from __future__ import annotations

import difflib
import itertools
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo

from ..errors import TargetError
from ..failures import Failure
from ..progress import Progress, silent
from .folders import LAYOUTS, read_folder
from .records import Record, Source
from .removal import removed_paths
from .tables import COLUMNS, is_table, read_table

LABEL_FIELD = "ground_truth"
SPLIT_FIELD = "split"

# A dataset made from a folder or table has this tag, and in its `info` the absolute path of its source.
_TAG = "winnow"
_SOURCE_KEY = "winnow_source"
_CHUNK = 2_000


@dataclass(frozen=True)
class Opened:
    """An open target.

    Attributes:
        dataset: Persistent where it was made from a folder or a table.
        created: Whether the dataset was made now.
        added: Samples that were added now.
        gone: Samples whose file does not exist any more; they stay in the dataset.
        failures: Files and rows that were left out, with the reason.
        notes: Sentences for the user.
    """

    dataset: fo.Dataset
    created: bool = False
    added: int = 0
    gone: int = 0
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()


def open_target(target: str, *, label_delimiter: str | None = None, progress: Progress = silent) -> Opened:
    """Return the dataset that `target` names, made or updated from a folder or a table where it is one.

    A folder or table keeps its dataset: opened again, files that are new are added, and nothing else is changed, so
    that labels and decisions made in FiftyOne stay.

    Args:
        target: Name of a FiftyOne dataset, or path of a folder or of a CSV or JSONL table.
        label_delimiter: Separates the labels of a multi-label table.
        progress: Told after each chunk of added samples.

    Raises:
        TargetError: There is no such thing, it holds no images, or it could be two things.
    """
    path = Path(os.path.expanduser(target))
    is_name = target in fo.list_datasets()
    if not target or not os.path.exists(path):
        if is_name:
            return Opened(fo.load_dataset(target))
        raise TargetError(_not_found(target))

    own = _dataset_of(path.resolve())
    # Whoever writes a separator means the file system; a bare name could be either.
    if is_name and os.sep not in target and (own is None or own.name != target):
        kind = "folder" if path.is_dir() else "file"
        raise TargetError(
            f"'{target}' is both a FiftyOne dataset and a {kind} here, and the one was not made from the other. Write "
            f"'.{os.sep}{target}' for the {kind}, or start from another folder for the dataset."
        )
    source = _read(path, label_delimiter)
    dataset = own or _create(source.root)
    return _update(dataset, own is None, source, progress)


def source_folder(dataset: fo.Dataset) -> Path | None:
    """Return the folder that a dataset was made from, or that its table lies in; None where it came another way."""
    source = (dataset.info or {}).get(_SOURCE_KEY)
    if source is None:
        return None
    return Path(source).parent if is_table(Path(source)) else Path(source)


def _read(path: Path, label_delimiter: str | None) -> Source:
    if path.is_dir():
        return read_folder(path)
    if is_table(path):
        return read_table(path, label_delimiter)
    raise TargetError(f"'{path}' is no table: expected is a .csv, .tsv or .jsonl file with the columns {COLUMNS}.")


def _dataset_of(source: Path) -> fo.Dataset | None:
    """Return the dataset that was made from this folder or table."""
    for name in fo.list_datasets(tags=_TAG):
        dataset = fo.load_dataset(name)
        if dataset.info.get(_SOURCE_KEY) == str(source):
            return dataset
    return None


def _create(source: Path) -> fo.Dataset:
    """Make an empty persistent dataset named after the source; a number tells namesakes apart."""
    stem = _slug(source.stem if source.is_file() else source.name)
    taken = set(fo.list_datasets())
    name = next(
        name for name in itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2))) if name not in taken
    )
    dataset = fo.Dataset(name, persistent=True)
    dataset.tags = [_TAG]
    dataset.info = {_SOURCE_KEY: str(source)}
    dataset.save()
    return dataset


def _slug(name: str) -> str:
    """Return the part of a name that FiftyOne can show in an address: lower-case ASCII letters, digits and hyphens."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")[:80] or "images"


def _update(dataset: fo.Dataset, created: bool, source: Source, progress: Progress) -> Opened:
    """Add what the source has and the dataset has not."""
    multilabel = any(isinstance(record.label, tuple) for record in source.records)
    _check_label_type(dataset, source, multilabel)
    known = dict(zip(dataset.values("filepath"), dataset.values("id"), strict=True))
    unknown = [record for record in source.records if str(record.path) not in known]
    removed = removed_paths(dataset) if unknown and not created else set()
    new = [record for record in unknown if str(record.path) not in removed]
    _add(dataset, new, multilabel, progress)

    in_source = {str(record.path) for record in source.records}
    gone = sum(path not in in_source and not os.path.exists(path) for path in known)
    notes = [*source.notes]
    if gone:
        notes.append(f"{gone} samples whose file is gone stay in dataset '{dataset.name}'")
    if len(new) < len(unknown):
        out = len(unknown) - len(new)
        notes.append(f"{out} images stay out, as their samples were deleted with Winnow; undoing brings them back")
    if not created:
        notes.append(f"{len(new)} new images were added to dataset '{dataset.name}', {len(known)} were there before")
        notes.extend(_differences(dataset, source))
    return Opened(dataset, created, len(new), gone, source.failures, tuple(notes))


def _check_label_type(dataset: fo.Dataset, source: Source, multilabel: bool) -> None:
    field = dataset.get_field(LABEL_FIELD)
    wanted = fo.Classifications if multilabel else fo.Classification
    labelled = any(record.label is not None for record in source.records)
    if labelled and field is not None and getattr(field, "document_type", None) is not wanted:
        raise TargetError(
            f"field '{LABEL_FIELD}' of dataset '{dataset.name}' does not hold {wanted.__name__}, as the labels of "
            f"'{source.root}' now ask for. Use the same label delimiter as before, or delete the dataset first."
        )


def _add(dataset: fo.Dataset, records: list[Record], multilabel: bool, progress: Progress) -> None:
    """Add samples in bulk, and keep the list of classes complete."""
    for start in range(0, len(records), _CHUNK):
        chunk = records[start : start + _CHUNK]
        dataset.add_samples([_sample(record, multilabel) for record in chunk], progress=False)
        progress("adding samples", start + len(chunk), len(records))
    labels = {label for record in records for label in _labels(record)}
    if labels:
        known = list(dataset.classes.get(LABEL_FIELD, []))
        dataset.classes[LABEL_FIELD] = known + sorted(labels.difference(known))
        dataset.save()
    if any(record.split for record in records):
        dataset.create_index(SPLIT_FIELD)


def _sample(record: Record, multilabel: bool) -> fo.Sample:
    fields: dict[str, object] = dict(record.groups)
    if record.label is not None:
        labels = [fo.Classification(label=label) for label in _labels(record)]
        fields[LABEL_FIELD] = fo.Classifications(classifications=labels) if multilabel else labels[0]
    if record.split is not None:
        fields[SPLIT_FIELD] = record.split
    # Named, since FiftyOne does not know the extension of every image format.
    return fo.Sample(filepath=str(record.path), media_type="image", **fields)


def _labels(record: Record) -> tuple[str, ...]:
    if record.label is None:
        return ()
    return record.label if isinstance(record.label, tuple) else (record.label,)


def _differences(dataset: fo.Dataset, source: Source) -> Iterator[str]:
    """Tell where the dataset says something else than the source; the dataset's word stands."""
    labels = dataset.values(_label_path(dataset)) if dataset.has_field(LABEL_FIELD) else [None] * len(dataset)
    splits = dataset.values(SPLIT_FIELD) if dataset.has_field(SPLIT_FIELD) else [None] * len(dataset)
    held = dict(zip(dataset.values("filepath"), zip(labels, splits, strict=True), strict=True))
    differing = 0
    for record in source.records:
        label = list(record.label) if isinstance(record.label, tuple) else record.label
        path = str(record.path)
        differing += path in held and held[path] != (label, record.split)
    if differing:
        yield (
            f"{differing} samples have another label or split in FiftyOne than in '{source.root.name}'; FiftyOne's was "
            "kept. To take the source's, delete these samples in FiftyOne and run again"
        )


def _label_path(dataset: fo.Dataset) -> str:
    multilabel = dataset.get_field(LABEL_FIELD).document_type is fo.Classifications
    return f"{LABEL_FIELD}.classifications.label" if multilabel else f"{LABEL_FIELD}.label"


def _not_found(target: str) -> str:
    names = fo.list_datasets()
    similar = difflib.get_close_matches(target, names, n=5, cutoff=0.5) or names[:5]
    known = f"datasets like it: {', '.join(similar)}" if similar else "there are no datasets yet"
    return (
        f"'{target}' is neither a FiftyOne dataset nor a folder nor a table here ({known}). Expected is the name of a "
        f"dataset, a folder laid out {LAYOUTS}, or a .csv or .jsonl table with the columns {COLUMNS}."
    )
