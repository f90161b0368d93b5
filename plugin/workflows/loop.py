"""The active-learning loop: pick, label, train, measure, and again, until it no longer pays.

Every step follows from what is stored, and may be run again: a loop that was killed anywhere goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from ..curation.probe import LEAST_LABELS
from ..datasets import loops
from ..datasets.loops import SavedLoop
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..home import winnow_home
from ..progress import Progress, silent
from .loop_evaluation_set import reserve_evaluation_set
from .loop_labeling import bring_back, finish_sending, need_client, renew_views, send_out
from .loop_members import loop_label_field, note_classes, read_members, renew_duplicates, settle
from .loop_picking import pick, pre_annotated
from .loop_report import LoopReport
from .loop_settings import WHERE_IT_STANDS, LoopParams, LoopSettings, check_changes
from .loop_state import (
    EXHAUSTED,
    LABEL,
    STOP_ADVISED,
    STOPPED,
    LoopState,
    evaluation_batch,
    read_batches,
    read_state,
    round_batch,
)
from .loop_training import train_round
from .wording import counted

if TYPE_CHECKING:
    from ..labeling.client import LabelStudioClient


def run_loop(
    view: Collection,
    params: LoopParams = WHERE_IT_STANDS,
    progress: Progress = silent,
    client: LabelStudioClient | None = None,
) -> LoopReport:
    """Tell where a loop stands, begin it, go one step on, or stop it.

    A step takes notice of the labels that came back. Where enough of them did, it trains the round's classifier,
    measures it on the evaluation set, and sends the next batch out, unless the curve says that this no longer pays.

    Args:
        view: The images: a dataset, or a slice of one; the same at each call.
        params: What to do.
        progress: Told along the way.
        client: Of Label Studio, for a loop that labels there.

    Raises:
        DataError: There is no such loop, or there is one already; a setting that can't be; training would take more
            than its budget; another process is at it.
        FieldError: A field that can't be read or written.
    """
    loops.check_name(params.name)
    if params.action == "status":
        return loop_status(view, params.name)
    with _alone(view, params.name):
        if params.action == "start":
            return _start(view, params, progress, client)
        if params.action == "stop":
            return _stop(view, params.name)
        return _next(view, params, progress, client)


def loop_status(view: Collection, name: str = "loop") -> LoopReport:
    """Tell where a loop stands; changes nothing."""
    loop = loops.find_loop(view, name)
    dataset = dataset_of(view).name
    if loop is None:
        others = [other for other in loops.list_loops(view) if other != name]
        notes = (f"other loops of this dataset: {', '.join(others)}",) if others else ()
        return LoopReport(name, dataset, None, notes=notes)
    return _report(_state(view, loop, LoopSettings.of(loop.settings)), dataset)


def _start(view: Collection, params: LoopParams, progress: Progress, client: LabelStudioClient | None) -> LoopReport:
    if loops.find_loop(view, params.name) is not None:
        raise DataError(
            f"there is a loop '{params.name}' on '{dataset_of(view).name}' already. Go on with it (next), or begin "
            "another one: --name."
        )
    settings = LoopSettings().changed(params.changes)
    need_client(settings, client)
    settings = replace(settings, label_field=loop_label_field(view, settings))
    note_classes(view, str(settings.label_field), settings.classes)
    notes = [note for note in (renew_duplicates(view, settings, progress),) if note]
    members = read_members(view, settings, params.name)
    evaluation, more = reserve_evaluation_set(view, settings, members, progress)
    if spared := int(members.spared.sum()):
        notes.append(f"{counted(spared, 'image')} of your own test or validation split are not picked, nor trained on")
    loops.save_loop(view, params.name, asdict(settings), evaluation, [*notes, *more])
    done = [f"{counted(len(evaluation.ids), 'image')} were set aside to measure on, and are never trained on"]
    return _go_out(view, _found(view, params.name), settings, done, progress, client)


def _next(view: Collection, params: LoopParams, progress: Progress, client: LabelStudioClient | None) -> LoopReport:
    loop = _found(view, params.name)
    before = LoopSettings.of(loop.settings)
    settings = before.changed(params.changes)
    check_changes(before, settings, params.name)
    need_client(settings, client)
    if loop.stopped:
        if not params.go_on:
            return _finished(view, _state(view, loop, settings), [])
        loops.mark_stopped(view, loop.name, "")
        loop = replace(loop, stopped="")
    if settings != before:
        loops.change_settings(view, loop.name, asdict(settings))
    note_classes(view, str(settings.label_field), settings.classes)
    state = _state(view, loop, settings)
    done = finish_sending(view, settings, loop.name, client if settings.label_studio else None, progress)
    if state.evaluation is None or not state.batches:
        return _go_out(view, loop, settings, done, progress, client)
    done += bring_back(view, state, params.label_file, client, progress)
    note = renew_duplicates(view, settings, progress)
    state = _settled(view, loop, settings)
    done += _train(view, state, progress)
    state = _state(view, loop, settings)
    if state.stage in (LABEL, EXHAUSTED) or (state.stage == STOP_ADVISED and not params.go_on):
        return _finished(view, state, done, note)
    done += _pick(view, state, progress, client)
    return _finished(view, _settled(view, loop, settings), done, note)


def _stop(view: Collection, name: str) -> LoopReport:
    loop = _found(view, name)
    loops.mark_stopped(view, name, "at your wish")
    return _finished(view, _state(view, replace(loop, stopped="at your wish"), LoopSettings.of(loop.settings)), [])


def _go_out(
    view: Collection,
    loop: SavedLoop,
    settings: LoopSettings,
    done: list[str],
    progress: Progress,
    client: LabelStudioClient | None,
) -> LoopReport:
    """Send out the evaluation set and the first batch, as far as they are not yet."""
    state = _settled(view, loop, settings)
    if state.evaluation is None:
        done += send_out(
            view,
            settings,
            evaluation_batch(loop.name),
            loop.evaluation.ids,
            purpose="evaluation",
            client=client,
            progress=progress,
        )
        state = _settled(view, loop, settings)
    done += _pick(view, state, progress, client)
    return _finished(view, _settled(view, loop, settings), done)


def _train(view: Collection, state: LoopState, progress: Progress) -> list[str]:
    """Train and measure the round whose labels are back, and before it the one with labels from before the loop."""
    done = []
    known = {each.number for each in state.rounds}
    at_start = int((state.roles.train & (state.members.rounds == 0)).sum())
    due = [0] if 0 not in known and at_start >= LEAST_LABELS else []
    if state.stage not in (LABEL, STOPPED) and state.number and state.number not in known:
        due.append(state.number)
    if state.evaluation is None or state.evaluation.lacking(state.settings.share):
        due = []
    for number in due:
        rounds = [each for each in loops.list_rounds(view, state.loop.name) if each.number < number]
        train_round(view, state.loop, state.settings, number, rounds, progress)
        done.append(f"Round {number} was trained and measured")
    return done


def _pick(view: Collection, state: LoopState, progress: Progress, client: LabelStudioClient | None) -> list[str]:
    """Pick the next batch and send it out; nothing where there is nothing left."""
    number = state.number + 1
    ids = pick(view, state, number, progress) if state.roles.pool.any() else []
    if not ids:
        return ["no image is left to pick that is readable and does not look like one that is labelled or out"]
    told = send_out(
        view,
        state.settings,
        round_batch(state.loop.name, number),
        ids,
        purpose="training",
        predictions=pre_annotated(view, state, ids, progress),
        client=client,
        progress=progress,
    )
    return [f"{counted(len(ids), 'image')} of round {number} went out for labelling", *told]


def _settled(view: Collection, loop: SavedLoop, settings: LoopSettings) -> LoopState:
    """Write what each image is to the loop, and return how far it is."""
    members = read_members(view, settings, loop.name)
    batches = read_batches(view, loop.name, members)
    members = settle(view, loop, members, {number: each.ids for number, each in batches.items() if number > 0})
    return read_state(view, loop, settings, members)


def _state(view: Collection, loop: SavedLoop, settings: LoopSettings) -> LoopState:
    return read_state(view, loop, settings, read_members(view, settings, loop.name))


def _finished(view: Collection, state: LoopState, done: list[str], note: str | None = None) -> LoopReport:
    """Save what is to be labelled as views, and return what was done."""
    more = [note] if note else []
    if state.stage != STOPPED:
        more += renew_views(view, state)
    return _report(state, dataset_of(view).name, done, more)


def _report(state: LoopState, dataset: str, done: Sequence[str] = (), more: Sequence[str] = ()) -> LoopReport:
    notes = [*state.frozen.notes(), *more, *state.loop.notes]
    return LoopReport(state.loop.name, dataset, state, tuple(done), tuple(dict.fromkeys(notes)))


def _found(view: Collection, name: str) -> SavedLoop:
    loop = loops.find_loop(view, name)
    if loop is None:
        known = ", ".join(loops.list_loops(view)) or "none"
        raise DataError(
            f"there is no loop '{name}' on '{dataset_of(view).name}' (there are: {known}). Begin it: "
            "`winnow loop TARGET start`."
        )
    return loop


@contextmanager
def _alone(view: Collection, name: str) -> Iterator[None]:
    """Keep two processes from taking the same step; the lock of a process that was killed is free again."""
    key = hashlib.sha256(f"{dataset_of(view)._doc.id} {name}".encode()).hexdigest()[:16]
    folder = winnow_home() / "loops"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{key}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise DataError(
            f"another process is working on loop '{name}'. Wait for it, then look where the loop stands."
        ) from None
    try:
        yield
    finally:
        lock.release()
