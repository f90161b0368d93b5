"""What a loop has to tell: where it stands, what it learnt, what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets.loops import split_field
from .evaluation_parts import interval_text
from .loop_curve import RoundPoint
from .loop_labeling import open_batches, view_name
from .loop_state import (
    BEGIN,
    EXHAUSTED,
    LABEL,
    PICK,
    STOP_ADVISED,
    STOPPED,
    BatchProgress,
    LoopState,
)
from .loop_training import expected_minutes
from .wording import counted, listed, rounded

_CLASSES_TOLD = 8
_ROUNDS_TOLD = 12


@dataclass(frozen=True, eq=False)
class LoopReport:
    """A loop after a step, or as it stands.

    Attributes:
        name: Of the loop.
        dataset: Name of the dataset.
        state: The loop; None where it has not begun.
        done: What this step did, as sentences.
        notes: What a user should know.
    """

    name: str
    dataset: str
    state: LoopState | None
    done: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def stage(self) -> str:
        """What comes next; "not begun" where there is no loop."""
        return "not begun" if self.state is None else self.state.stage

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        state = self.state
        if state is None:
            return {"loop": self.name, "stage": self.stage, "next": self.next_step(), "notes": list(self.notes)}
        expected = state.advice.expected
        return {
            "loop": self.name,
            "stage": self.stage,
            "round": state.number,
            "labels": int(state.roles.train.sum()),
            "pool": int(state.roles.pool.sum()),
            "evaluation": _progress(state.evaluation),
            "evaluation_intact": len(state.frozen.intact),
            "evaluation_digest": state.loop.evaluation.digest,
            "batch": _progress(state.batches.get(state.number)),
            "lacking": state.lacking,
            "metric": state.metric_name,
            "rounds": [point.summary() for point in state.points],
            "rounds_without_gain": state.advice.without_gain,
            "expected_gain_per_100_labels": None if expected is None else rounded(expected.gain),
            "expected_gain_interval": None if expected is None else rounded(expected.interval),
            "stop_advised": state.advice.stop,
            "stopped": state.loop.stopped,
            "done": list(self.done),
            "notes": list(self.notes),
            "next": self.next_step(),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        lines = [self.headline(), *(f"- {line[:1].upper()}{line[1:].rstrip('.')}." for line in self.done)]
        if self.state is not None:
            lines += [f"- {line}" for line in self.waiting_lines()]
            lines += [*curve_lines(self.state), *_added_lines(self.state)]
            lines += ["", *told] if (told := self.outlook_lines()) else []
        if self.notes:
            lines += ["", *self.note_lines()]
        return "\n".join([*lines, "", f"Next: {self.next_step()}"])

    def headline(self) -> str:
        """Return in one line where the loop stands."""
        state = self.state
        if state is None:
            return f"**No loop `{self.name}`** on '{self.dataset}' yet."
        labels = counted(int(state.roles.train.sum()), "label")
        where = f"**Loop `{self.name}`, round {state.number}**: {labels} to train on"
        if scored := [point for point in state.points if np.isfinite(point.score)]:
            last = scored[-1]
            where += f", {state.metric_name} {last.score:.1%} ({interval_text(last.interval)})"
        return f"{where}; {int(state.roles.pool.sum()):,} images are left to pick from."

    def waiting_lines(self) -> list[str]:
        """Return how much is back of what is out, as sentences."""
        return [] if self.state is None else list(_waiting(self.state))

    def outlook_lines(self) -> list[str]:
        """Return what more labels should bring, and whether to stop, as sentences."""
        return [] if self.state is None else list(_outlook(self.state))

    def note_lines(self) -> list[str]:
        """Return the notes as markdown lines."""
        return [f"- {note[:1].upper()}{note[1:]}." for note in self.notes]

    def to_label(self) -> dict[str, int]:
        """Return how many images are still to be labelled: "evaluation" and "training" -> images."""
        batches = {} if self.state is None else open_batches(self.state)
        return {what: batch.lacking(1.0) for what, batch in batches.items()}

    def next_step(self) -> str:
        """Return what to do next, as a sentence."""
        if self.state is None:
            return "begin it: `winnow loop TARGET start`, or Start in the App's panel."
        return next_sentence(self.state)


def next_sentence(state: LoopState) -> str:
    """Return what to do next, as a sentence."""
    stage, again = state.stage, "`winnow loop TARGET next`, or Next step in the App's panel"
    if stage == STOPPED:
        return f"nothing; the loop was stopped: {state.loop.stopped}. `winnow loop TARGET next --go-on` takes it up."
    if stage == BEGIN:
        return f"send out what is to be labelled: {again}."
    if stage == LABEL:
        return f"label {_to_label(state)}; then go on: {again}."
    if stage == STOP_ADVISED:
        return (
            f"stop here ({_why_stop(state)}) and {_final(state)}, or pick another batch all the same: "
            "`winnow loop TARGET next --go-on`."
        )
    if stage == EXHAUSTED:
        return f"nothing is left to label; {_final(state)}."
    if stage == PICK:
        return f"pick the next batch: {again}."
    minutes = expected_minutes(state.settings, int(state.roles.train.sum()), state.rounds)
    budget = f"about {minutes:.1f} processor minutes of the {state.settings.budget_minutes:g} that it may take"
    return f"train on what is back ({budget}), measure, and pick the next batch: {again}."


def curve_lines(state: LoopState) -> list[str]:
    """Return the learning curve as a table."""
    points = state.points[-_ROUNDS_TOLD:]
    if not points:
        return []
    rows = [
        "",
        f"| round | labels | {state.metric_name} | 95 % interval | gain, in points | processor minutes |",
        "|---|---|---|---|---|---|",
    ]
    for point in points:
        measured = not np.isnan(point.score)
        cells = (
            f"{point.number}",
            f"{point.labels:,}",
            f"{point.score:.1%}" if measured else "not measured",
            interval_text(point.interval) if measured else "",
            gain_text(point),
            f"{point.minutes:.1f}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    untrained = [point for point in points if not point.trained]
    return [*rows, *(f"\nRound {point.number} was not trained: {point.why_not}." for point in untrained[-1:])]


def gain_text(point: RoundPoint) -> str:
    """Return the gain on the round before, as in "+1.5 (-0.5 to +3.5)"; "" for the first."""
    if np.isnan(point.gain):
        return ""
    low, high = point.gain_interval
    return f"{100 * point.gain:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _outlook(state: LoopState) -> Iterator[str]:
    if (expected := state.advice.expected) is not None:
        low, high = (100 * end for end in expected.interval)
        yield (
            f"The next {expected.more} labels should bring about {100 * expected.gain:.1f} points "
            f"({low:.1f} to {high:.1f}), by a power law through the rounds so far."
        )
    if state.advice.stop and state.stage != STOPPED:
        yield f"**Time to stop**: {_why_stop(state)}."


def _waiting(state: LoopState) -> Iterator[str]:
    if state.evaluation is not None and state.evaluation.lacking(1.0):
        yield f"Evaluation set: {_back(state.evaluation)}."
    batch = state.batches.get(state.number)
    if batch is not None and not state.measured:
        yield f"Batch of round {state.number}: {_back(batch)}."
    for number, earlier in state.batches.items():
        if number != state.number and earlier.lacking(1.0):
            yield f"Of round {number}, {counted(earlier.lacking(1.0), 'image')} never came back; labels still count."


def _back(batch: BatchProgress) -> str:
    more = [f"{count:,} {what}" for count, what in _parts(batch) if count]
    return f"{batch.back:,} of {batch.asked:,} images are labelled" + (f" ({', '.join(more)})" if more else "")


def _parts(batch: BatchProgress) -> list[tuple[int, str]]:
    return [(batch.skipped, "skipped"), (batch.disputed, "disputed"), (batch.gone, "deleted")]


def _to_label(state: LoopState) -> str:
    parts = []
    for what, batch in open_batches(state).items():
        if batch.name in state.lacking:
            view = f"the App's view `{view_name(state.loop.name, what)}`"
            where = f"project {batch.project_id} at {batch.url}" if batch.url else view
            parts.append(f"{counted(batch.lacking(1.0), 'image')} in {where}")
    least = "" if state.settings.share == 1 else f" (at least {state.settings.share:.0%} of each batch)"
    return " and ".join(parts) + least


def _added_lines(state: LoopState) -> list[str]:
    """Tell what the last trained round did for its classes."""
    trained = [point for point in state.points if point.trained]
    if not trained or not trained[-1].classes:
        return []
    point = trained[-1]
    told = [each for each in point.classes if each.added][:_CLASSES_TOLD]
    texts = [f"{each.name} +{each.added:,}{_found(each.found_before, each.found)}" for each in told]
    rest = sum(1 for each in point.classes if each.added) - len(told)
    weak = sorted((each.found, each.name) for each in point.classes if each.found < 1)[:3]
    lines = [f"Round {point.number} added " + (", ".join(texts) or "no label") + (f" and {rest} more" if rest else "")]
    if weak:
        lines.append("Least recognised: " + listed([f"{name} ({found:.0%})" for found, name in weak]))
    return ["", *(f"- {line}." for line in lines)]


def _found(before: float, now: float) -> str:
    if now != now:
        return ""
    return f" (recognised: {now:.0%})" if before != before else f" (recognised: {before:.0%} -> {now:.0%})"


def _final(state: LoopState) -> str:
    field = split_field(state.loop.name)
    return f"train the final classifier on all labels: `winnow train TARGET --split-field {field}`"


def _why_stop(state: LoopState) -> str:
    reasons = []
    if state.advice.no_gain:
        reasons.append(f"{counted(state.advice.without_gain, 'round')} in a row brought no gain")
    if state.advice.little_expected:
        reasons.append(
            f"100 more labels should bring less than {state.settings.least_gain:g} points, which is the least that is "
            "worth it"
        )
    return " and ".join(reasons)


def _progress(batch: BatchProgress | None) -> dict[str, Any] | None:
    if batch is None:
        return None
    return {
        "batch": batch.name,
        "images": batch.asked,
        "back": batch.back,
        "skipped": batch.skipped,
        "disputed": batch.disputed,
        "deleted": batch.gone,
        "project": batch.project_id,
    }
