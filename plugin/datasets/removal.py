"""Deletes samples, and their files where that is asked for; and brings both back as they were."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
from bson import ObjectId

from ..failures import Failure
from ..home import winnow_home
from .action_log import Done, chunks, list_logged, mark_undone, read_records, record_action, undone_at
from .runs import SavedRun
from .trash import bring_back, put_aside, used_paths
from .views import Collection, dataset_of, every_image

METHOD = "delete_samples"
_CHUNK = 1_000


def remove_samples(
    view: Collection, ids: Sequence[str], *, delete_files: bool = False, by: str = "", what: str = ""
) -> Done:
    """Delete samples; those that are gone are passed over.

    Args:
        view: Any collection of the dataset.
        ids: Sample ids.
        delete_files: Move their files into the trash below Winnow's home. A file that another sample uses stays.
        by: Name of the person, for the log.
        what: What kind of images they are, such as "near-duplicate", for the log.
    """
    dataset = dataset_of(view)
    paths = _paths(every_image(view), ids)
    if not paths:
        return Done(None, 0)
    used = used_paths(set(paths.values()), dataset, paths) if delete_files else set()
    aside = _places(paths, used) if delete_files else {}
    records = ({"document": document, "aside": aside.get(str(document["_id"]))} for document in _read(dataset, paths))
    params = {"delete_files": delete_files, "by": by, "what": what}
    key = record_action(view, METHOD, params, len(paths), records)

    for chunk in chunks(paths, _CHUNK):
        dataset.delete_samples(chunk)
    failures = []
    for sample_id, place in aside.items():
        try:
            put_aside(Path(paths[sample_id]), Path(place))
        except OSError as error:
            failures.append(Failure(sample_id, paths[sample_id], f"file could not be moved: {_reason(error)}"))
    notes = (f"{len(used)} files stay, as other samples use them",) if used else ()
    return Done(key, len(paths), notes, tuple(failures))


def undo_removal(view: Collection, run: SavedRun) -> Done:
    """Bring samples back under their old ids, and their files; a sample whose file was added anew stays away."""
    dataset = dataset_of(view)
    known = {field.db_field for field in dataset.get_field_schema(include_private=True).values()}
    back, readded = 0, 0
    lost: set[str] = set()
    failures: list[Failure] = []
    for chunk in chunks(read_records(view, run.key), _CHUNK):
        documents = [record["document"] for record in chunk]
        present, taken = _present(dataset, documents, run.newest_sample)
        returning = []
        for record in chunk:
            document = record["document"]
            if document["_id"] in present:
                continue
            if document["filepath"] in taken:
                readded += 1
                continue
            # FiftyOne can't load a sample with a field that the dataset does not have (any more).
            lost |= set(document) - known
            kept = {name: value for name, value in document.items() if name in known}
            returning.append(kept | {"_dataset_id": dataset._doc.id})
            failures += _return_file(record)
        if returning:
            dataset._sample_collection.insert_many(returning)
        back += len(returning)
    mark_undone(view, run.key)
    return Done(run.key, back, tuple(_notes(readded, lost)), tuple(failures))


def removed_paths(view: Collection) -> set[str]:
    """Return the paths of samples that were deleted and not brought back."""
    removals = [run for run in list_logged(view) if run.method == METHOD and not undone_at(run)]
    return {record["document"]["filepath"] for run in removals for record in read_records(view, run.key)}


def _paths(images: Collection, ids: Sequence[str]) -> dict[str, str]:
    """Return id -> path of those samples that exist, by id."""
    found: dict[str, str] = {}
    for chunk in chunks(sorted(set(ids)), _CHUNK):
        found |= dict(zip(*images.select(chunk).values(["id", "filepath"]), strict=True))
    return found


def _places(paths: dict[str, str], used: set[str]) -> dict[str, str]:
    """Return id -> where the sample's file goes; of samples with the same file the first one's."""
    trash = winnow_home() / "trash" / str(ObjectId())
    first: dict[str, str] = {}
    for sample_id, path in paths.items():
        if path not in used and os.path.isfile(path):
            first.setdefault(path, sample_id)
    return {sample_id: str(trash / sample_id / os.path.basename(path)) for path, sample_id in first.items()}


def _read(dataset: fo.Dataset, ids: dict[str, str]) -> Iterator[dict[str, Any]]:
    for chunk in chunks(ids, _CHUNK):
        wanted = {"_id": {"$in": [ObjectId(sample_id) for sample_id in chunk]}}
        yield from dataset._sample_collection.find(wanted).sort("_id")


def _present(
    dataset: fo.Dataset, documents: list[dict[str, Any]], newest: str | None
) -> tuple[set[ObjectId], set[str]]:
    """Return which of the documents' ids the dataset has, and which of their paths samples have that came later."""
    collection = dataset._sample_collection
    by_id = {"_id": {"$in": [document["_id"] for document in documents]}}
    paths = [document["filepath"] for document in documents]
    came_later = {"filepath": {"$in": paths}, "_id": {"$gt": ObjectId(newest)}}
    ids = {document["_id"] for document in collection.find(by_id, {"_id": 1})}
    return ids, {document["filepath"] for document in collection.find(came_later, {"filepath": 1})}


def _return_file(record: dict[str, Any]) -> list[Failure]:
    place, document = record["aside"], record["document"]
    if place is None or not os.path.lexists(place):
        return []
    try:
        bring_back(Path(place), Path(document["filepath"]))
    except OSError as error:
        reason = f"file could not be brought back: {_reason(error)}"
        return [Failure(str(document["_id"]), document["filepath"], reason)]
    return []


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _notes(readded: int, lost: set[str]) -> Iterator[str]:
    if readded:
        yield f"{readded} samples stay deleted, as their files were added to the dataset again"
    if lost:
        yield f"what the samples had in {', '.join(sorted(lost))} is lost, as the dataset has no such field any more"
