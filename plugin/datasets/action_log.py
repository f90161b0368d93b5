"""The log of what was changed at a person's wish: each action a run that holds what undoing it needs.

The records are BSON, so that a deleted sample's document comes back to the bit. They lie in the runs' results, which
MongoDB keeps in files of any size (GridFS); what is more than one part is spread over runs of its own. An action that
grows, such as a review, keeps its newest records with itself and hands older ones on to parts, so that what is written
each time stays small.
"""

from __future__ import annotations

import base64
import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import bson

from ..errors import DataError
from ..failures import Failure
from . import runs
from .runs import SavedRun
from .views import Collection, dataset_of

_PREFIX = "winnow_action_"
_PART_BYTES = 32 << 20  # of BSON, held in memory at a time
_NEWEST_BYTES = 256 << 10  # of BSON, written again whenever a growing action gets more records
_UNDONE = "undone"


@dataclass(frozen=True)
class Done:
    """What an action, or undoing one, did.

    Attributes:
        key: The action in the log, None where nothing was to be done.
        samples: Number of samples that were changed.
        notes: What was left as it is, and why.
        failures: Files that could not be moved.
    """

    key: str | None
    samples: int
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()


def record_action(
    view: Collection, method: str, params: Mapping[str, Any], samples: int, records: Iterable[Mapping[str, Any]]
) -> str:
    """Write an action into the log, before it is done: a crash then leaves something to undo, not a loss.

    Args:
        view: The collection that is to be changed.
        method: Name of the action.
        params: Its settings, plain JSON.
        samples: Number of samples that it changes.
        records: What undoing needs of each sample.

    Returns:
        The action's key.
    """
    key = runs.claim_key(view, _PREFIX)
    parts = _parts(records)
    first = next(parts)
    count = 1
    for part in parts:
        count += 1
        _save_part(view, f"{key}_part_{count}", part)
    # Last, so that what can be found in the log is complete.
    runs.save_run(
        view,
        key,
        method=method,
        params=params,
        fields=[],
        summary={"samples": samples},
        results={"records": first, "parts": count},
    )
    return key


def append_records(view: Collection, key: str, samples: int, records: Iterable[Mapping[str, Any]]) -> None:
    """Add records to an action that began without any, before more of it is done.

    Records and number change in one write: a crash leaves the old or the new, and more to undo than was done at worst.

    Args:
        view: Any collection of the dataset.
        key: The action.
        samples: Number of samples that it changes from now on, in all.
        records: What undoing needs of each sample that is changed next.
    """
    found = _results(view, key)
    count, newest = found["parts"], _unpacked(found["records"])
    *full, last = _parts(records)
    older = [found["records"]] * bool(newest and (full or len(newest) >= _NEWEST_BYTES))
    for part in (*older, *full):
        count += 1
        _save_part(view, f"{key}_part_{count}", part)
    if older:
        newest = b""
    held = {"records": _pack([newest, _unpacked(last)]), "parts": count, "grows": True}
    runs.update_run(view, key, summary={**runs.load_run(view, key).summary, "samples": samples}, results=held)


def read_records(view: Collection, key: str) -> Iterator[dict[str, Any]]:
    """Yield the records of an action in their order; one part is in memory at a time."""
    found = _results(view, key)
    grows = found.get("grows", False)
    if not grows:
        yield from _unpack(found["records"])
    for number in range(2, found["parts"] + 1):
        part = dataset_of(view).load_run_results(f"{key}_part_{number}", cache=False)
        yield from _unpack(part.results["records"])
    if grows:
        yield from _unpack(found["records"])


def list_logged(view: Collection) -> list[SavedRun]:
    """Return the actions, the newest first."""
    logged = [run for run in runs.list_runs(view) if run.key.startswith(_PREFIX)]
    return sorted(logged, key=lambda run: -_number(run.key))


def undone_at(run: SavedRun) -> str | None:
    """Return when an action was undone, as in "2026-01-31 12:00 UTC"; None where it was not."""
    return run.summary.get(_UNDONE)


def mark_undone(view: Collection, key: str) -> None:
    """Note in the log that an action was undone now."""
    dataset = dataset_of(view)
    config = dataset.get_run_info(key).config
    config.summary = {**config.summary, _UNDONE: f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
    dataset.update_run_config(key, config)


def chunks(records: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield the records as lists of at most `size`."""
    iterator = iter(records)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _results(view: Collection, key: str) -> dict[str, Any]:
    results = runs.load_results(view, key)
    if results is None:
        raise DataError(f"the records of action '{key}' were deleted, so it can't be undone.")
    return results


def _number(key: str) -> int:
    return int(key.removeprefix(_PREFIX))


def _save_part(view: Collection, key: str, records: str) -> None:
    """Save a part as a run that is not listed among Winnow's."""
    dataset = dataset_of(view)
    dataset.register_run(key, dataset.init_run(method="part of an action"), overwrite=True)
    dataset.save_run_results(key, dataset.init_run_results(key, results={"records": records}), cache=False)


def _parts(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the records as text, at least one part."""
    held: list[bytes] = []
    size, empty = 0, True
    for record in records:
        held.append(bson.encode(record))
        size += len(held[-1])
        if size >= _PART_BYTES:
            yield _pack(held)
            held, size, empty = [], 0, False
    if held or empty:
        yield _pack(held)


def _pack(documents: list[bytes]) -> str:
    return base64.b64encode(zlib.compress(b"".join(documents))).decode("ascii")


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _unpack(text: str) -> list[dict[str, Any]]:
    return bson.decode_all(_unpacked(text))
