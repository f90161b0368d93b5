"""Reads and writes samples as the documents that they are in the database.

They come back to the bit, all fields of a sample change together or not at all, and 20,000 of them take seconds where
objects take a minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import bson
import fiftyone as fo
from bson import ObjectId
from pymongo import UpdateOne

from .action_log import chunks
from .views import Collection, dataset_of

CHUNK = 20_000

Document = dict[str, Any]


def read_documents(
    view: Collection, ids: Sequence[str], fields: Sequence[str], condition: Mapping[str, Any]
) -> Iterator[tuple[ObjectId, Document]]:
    """Yield those samples of the dataset that exist and meet a condition of MongoDB's, by id, with these fields."""
    collection = dataset_of(view)._sample_collection
    for chunk in chunks(ids, CHUNK):
        wanted = {"_id": {"$in": [ObjectId(key) for key in chunk]}, **condition}
        for document in collection.find(wanted, list(fields)).sort("_id"):
            yield document["_id"], plain(document)


def find_documents(
    view: Collection, condition: Mapping[str, Any], fields: Sequence[str]
) -> Iterator[tuple[ObjectId, Document]]:
    """Yield the samples of the dataset that meet a condition of MongoDB's, by id, with these fields."""
    for document in dataset_of(view)._sample_collection.find(condition, list(fields)).sort("_id"):
        yield document["_id"], plain(document)


def read_paths(view: Collection) -> tuple[list[str], list[str]]:
    """Return ids and paths of all samples of the dataset, by id, in a quarter of the time that FiftyOne takes."""
    found = list(dataset_of(view)._sample_collection.find({}, {"filepath": 1}).sort("_id"))
    return [str(document["_id"]) for document in found], [document["filepath"] for document in found]


def write_documents(
    view: Collection, values: Mapping[ObjectId, Document], unchanged: Mapping[ObjectId, Document] | None = None
) -> int:
    """Set fields of samples, and renew the samples that are in memory.

    Args:
        view: Any collection of the dataset.
        values: Sample id -> field -> value.
        unchanged: Sample id -> what fields must still hold, as it was read; a sample of which somebody else has
            changed one meanwhile is passed over. None = nothing must.

    Returns:
        The number of samples that were written.
    """
    dataset, now, held = dataset_of(view), datetime.now(UTC), unchanged or {}
    changes = [
        UpdateOne({"_id": key, **held.get(key, {})}, {"$set": each | {"last_modified_at": now}})
        for key, each in values.items()
    ]
    if not changes:
        return 0
    written = dataset._sample_collection.bulk_write(changes, ordered=False).matched_count
    fo.Sample._reload_docs(dataset._sample_collection_name, sample_ids=[str(key) for key in values])
    return int(written)


def plain(document: Mapping[str, Any]) -> Document:
    """Return a document as the database keeps it: times in UTC without a zone, whatever FiftyOne's own setting."""
    return bson.decode(bson.encode(document))
