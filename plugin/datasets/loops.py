"""Keeps active-learning loops as FiftyOne's custom runs, so that a loop survives restarts and can be left for weeks.

A loop is the run `winnow_loop_NAME`: its settings, and the evaluation set, frozen. Each round that was trained and
measured is a run of its own, `winnow_loop_NAME_round_NUMBER`, written once. What is out for labelling are batches
(`labeling_batches`). How far a loop is is stored nowhere: it follows from which of these exist, so that a crash between
two steps can't make them disagree.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import DataError
from . import runs
from .labeling_batches import METHOD as BATCH_METHOD
from .views import Collection, dataset_of

_PREFIX = "winnow_loop_"
_ROUND = "_round_"
_LOOP_METHOD, _ROUND_METHOD = "label_loop", "label_loop_round"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_STOPPED = "stopped"


@dataclass(frozen=True)
class FrozenSet:
    """The images that a loop is measured on, fixed when it began.

    Attributes:
        ids: m sample ids, ascending.
        hashes: m SHA-256 of their files, hexadecimal.
        digest: SHA-256 of ids and hashes: the same for the same images.
    """

    ids: tuple[str, ...]
    hashes: tuple[str, ...]
    digest: str

    @staticmethod
    def of(ids: Sequence[str], hashes: Sequence[str]) -> FrozenSet:
        """Freeze these samples, whose files have these hashes."""
        pairs = sorted(zip(ids, hashes, strict=True))
        ids, hashes = tuple(key for key, _ in pairs), tuple(value for _, value in pairs)
        return FrozenSet(ids, hashes, digest_of(ids, hashes))


@dataclass(frozen=True)
class SavedLoop:
    """A loop.

    Attributes:
        name: Its name.
        settings: Plain JSON.
        evaluation: The images that it is measured on.
        stopped: Why it was stopped, "" while it goes on.
        notes: What was told when it began.
        time: When it began (UTC).
    """

    name: str
    settings: dict[str, Any]
    evaluation: FrozenSet
    stopped: str
    notes: tuple[str, ...]
    time: datetime


@dataclass(frozen=True)
class SavedRound:
    """A round that was trained and measured.

    Attributes:
        number: 0 = with the labels that were there when the loop began.
        summary: What is to be told of it, plain JSON.
        predicted: What its classifier says of each image of the evaluation set: a class, several, or None.
        time: When it was saved (UTC).
    """

    number: int
    summary: dict[str, Any]
    predicted: tuple[Any, ...]
    time: datetime


def digest_of(ids: Sequence[str], hashes: Sequence[str]) -> str:
    """Return the SHA-256 of samples and the content of their files."""
    return hashlib.sha256(
        "\n".join(f"{key} {value}" for key, value in zip(ids, hashes, strict=True)).encode()
    ).hexdigest()


def check_name(name: str) -> None:
    """Make sure that a loop can be called so.

    Raises:
        DataError: It can't.
    """
    if not _NAME.fullmatch(name) or _ROUND in name:
        raise DataError(
            f"a loop can't be called '{name}'. Use a letter, then letters, digits and underscores, at most 32."
        )


def split_field(name: str) -> str:
    """Return the field with a loop's splits: "test" = its evaluation set, "train" = what it is trained on."""
    return f"{name}_split"


def round_field(name: str) -> str:
    """Return the field with the round in which an image went out for labelling; 0 = it was labelled before."""
    return f"{name}_round"


def prediction_field(name: str) -> str:
    """Return the field for what the last round's classifier says of a loop's batch."""
    return f"{name}_prediction"


def save_loop(
    view: Collection, name: str, settings: Mapping[str, Any], evaluation: FrozenSet, notes: Sequence[str]
) -> None:
    """Begin a loop."""
    runs.save_run(
        dataset_of(view),
        _PREFIX + name,
        method=_LOOP_METHOD,
        params=settings,
        fields=[],
        summary={
            "evaluation_images": len(evaluation.ids),
            "evaluation_digest": evaluation.digest,
            _STOPPED: "",
            "notes": list(notes),
        },
        results={"ids": list(evaluation.ids), "hashes": list(evaluation.hashes)},
    )


def find_loop(view: Collection, name: str) -> SavedLoop | None:
    """Return a loop; None where there is none of that name, or where beginning it was cut off.

    Raises:
        DataError: The list of its evaluation set is not the one that was frozen.
    """
    run = next((run for run in runs.list_runs(view) if run.key == _PREFIX + name), None)
    kept = None if run is None else runs.load_results(view, run.key)
    if run is None or kept is None:
        return None
    frozen = FrozenSet(tuple(kept["ids"]), tuple(kept["hashes"]), run.summary["evaluation_digest"])
    if digest_of(frozen.ids, frozen.hashes) != frozen.digest:
        raise DataError(
            f"the evaluation set of loop '{name}' is not the one that was frozen: its list was changed in the "
            "database. Begin a loop of another name; figures of this one mean nothing any more."
        )
    summary = run.summary
    return SavedLoop(name, run.params, frozen, summary[_STOPPED], tuple(summary["notes"]), run.time)


def list_loops(view: Collection) -> list[str]:
    """Return the names of the dataset's loops, the oldest first."""
    return [run.key.removeprefix(_PREFIX) for run in runs.list_runs(view) if run.method == _LOOP_METHOD]


def steps_made(view: Collection) -> str:
    """Return text that is another one after each step of a loop, whichever process made it."""
    dataset = dataset_of(view)
    dataset.reload()
    made = [
        f"{run.key} {run.time.isoformat()} {run.summary.get(_STOPPED, '')}"
        for run in runs.list_runs(dataset)
        if run.method in (_LOOP_METHOD, _ROUND_METHOD, BATCH_METHOD)
    ]
    return hashlib.sha256("\n".join(made).encode()).hexdigest()[:16]


def change_settings(view: Collection, name: str, settings: Mapping[str, Any]) -> None:
    """Keep other settings from now on."""
    runs.update_run(view, _PREFIX + name, params=settings)


def mark_stopped(view: Collection, name: str, why: str) -> None:
    """Note that a loop was stopped and why; "" = that it goes on."""
    key = _PREFIX + name
    runs.update_run(view, key, summary={**runs.load_run(view, key).summary, _STOPPED: why})


def save_round(
    view: Collection,
    name: str,
    number: int,
    summary: Mapping[str, Any],
    predicted: Sequence[Any],
    fields: Sequence[str],
) -> None:
    """Keep a round that was trained and measured."""
    runs.save_run(
        dataset_of(view),
        f"{_PREFIX}{name}{_ROUND}{number}",
        method=_ROUND_METHOD,
        params={"loop": name, "round": number},
        fields=fields,
        summary=summary,
        results={"predicted": list(predicted)},
    )


def list_rounds(view: Collection, name: str) -> list[SavedRound]:
    """Return a loop's rounds by number; one that was cut off while it was saved is none."""
    found = []
    for run in runs.list_runs(view):
        if run.method == _ROUND_METHOD and run.params["loop"] == name:
            kept = runs.load_results(view, run.key)
            if kept is not None:
                found.append(SavedRound(run.params["round"], run.summary, tuple(kept["predicted"]), run.time))
    return sorted(found, key=lambda each: each.number)
