"""How far a loop is: it follows from its batches, the labels and the rounds that were measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..curation.learning_curve import Advice
from ..datasets.labeling_batches import LabelingState, list_batches, load_batch
from ..datasets.loops import SavedLoop, SavedRound, list_rounds
from ..datasets.views import Collection
from .loop_curve import RoundPoint, advice_on, learning_curve
from .loop_members import FrozenCheck, Members, Roles, check_frozen, roles_of
from .loop_settings import LoopSettings
from .training_rows import Labels

BEGIN, LABEL, TRAIN, PICK = "begin", "label", "train", "pick"
STOP_ADVISED, EXHAUSTED, STOPPED = "stop advised", "no image left", "stopped"


@dataclass(frozen=True, eq=False)
class BatchProgress:
    """How much of a batch is back.

    Attributes:
        name: Of the batch.
        ids: Sample ids, best first.
        back: Samples that have a label.
        skipped: Samples without one that annotators skipped.
        disputed: Samples without one on which annotators disagree.
        gone: Samples that were deleted.
        url: Label Studio's address, "" = it is labelled without.
        project_id: Of Label Studio, 0 = without.
    """

    name: str
    ids: tuple[str, ...]
    back: int
    skipped: int
    disputed: int
    gone: int
    url: str
    project_id: int

    @property
    def asked(self) -> int:
        """Number of samples that there still are."""
        return len(self.ids) - self.gone

    @property
    def answered(self) -> int:
        """Number of samples that are labelled or skipped."""
        return self.back + self.skipped

    def lacking(self, share: float) -> int:
        """Return how many more answers there must be, for a share in 0..1 of the batch."""
        return max(0, math.ceil(share * self.asked - 1e-9) - self.answered)


@dataclass(frozen=True, eq=False)
class LoopState:
    """A loop as it is now.

    Attributes:
        loop: As it began.
        settings: Of the next step.
        members: The images.
        roles: What they are to the loop.
        frozen: Whether the evaluation set is what it was.
        evaluation: How much of it is labelled; None = it did not go out yet.
        batches: The same of each round's batch.
        rounds: Those that were trained and measured.
        points: The learning curve.
        advice: Whether to go on.
    """

    loop: SavedLoop
    settings: LoopSettings
    members: Members
    roles: Roles
    frozen: FrozenCheck
    evaluation: BatchProgress | None
    batches: dict[int, BatchProgress]
    rounds: list[SavedRound]
    points: tuple[RoundPoint, ...]
    advice: Advice

    @property
    def number(self) -> int:
        """The round that went out last, 0 before the first."""
        return max(self.batches, default=0)

    @property
    def all_batches(self) -> list[BatchProgress]:
        """Those of all rounds, after that of the evaluation set."""
        return [*([self.evaluation] if self.evaluation else []), *self.batches.values()]

    @property
    def measured(self) -> bool:
        """Whether that round was trained and measured."""
        return any(each.number == self.number for each in self.rounds)

    @property
    def metric_name(self) -> str:
        """What the score is, for a person."""
        if self.settings.metric == "macro_f1":
            return "macro F1"
        return "micro F1" if self.members.labels.several else "accuracy"

    @property
    def lacking(self) -> dict[str, int]:
        """Batch -> how many more answers there must be before the loop goes on; only those that lack some."""
        held = [each for each in (self.evaluation, self.batches.get(self.number)) if each is not None]
        missing = {each.name: each.lacking(self.settings.share) for each in held}
        return {name: count for name, count in missing.items() if count}

    @property
    def stage(self) -> str:
        """What comes next."""
        if self.loop.stopped:
            return STOPPED
        if self.evaluation is None:
            return BEGIN
        if self.batches and not self.measured:
            return LABEL if self.lacking else TRAIN
        if not self.roles.pool.any():
            return EXHAUSTED
        return STOP_ADVISED if self.advice.stop else PICK if self.batches else BEGIN


def evaluation_batch(name: str) -> str:
    """Return the name of the batch of a loop's evaluation set."""
    return f"{name}_evaluation"


def round_batch(name: str, number: int) -> str:
    """Return the name of the batch of a loop's round."""
    return f"{name}_{number}"


def read_state(view: Collection, loop: SavedLoop, settings: LoopSettings, members: Members) -> LoopState:
    """Return how far a loop is."""
    frozen = check_frozen(members, loop)
    rounds = list_rounds(view, loop.name)
    labels = Labels(members.labels.values[frozen.rows], members.labels.classes, members.labels.field)
    points = learning_curve(rounds, labels, frozen.intact, settings.metric, settings.seed)
    batches = read_batches(view, loop.name, members)
    return LoopState(
        loop=loop,
        settings=settings,
        members=members,
        roles=roles_of(members, loop.evaluation.ids),
        frozen=frozen,
        evaluation=batches.pop(-1, None),
        batches=batches,
        rounds=rounds,
        points=points,
        advice=advice_on(points, settings),
    )


def read_batches(view: Collection, name: str, members: Members) -> dict[int, BatchProgress]:
    """Return the batches of a loop by round, that of the evaluation set as -1."""
    found: dict[int, BatchProgress] = {}
    for key, number in batch_numbers(view, name).items():
        batch = load_batch(view, key)
        counts = _counts(members, batch.sample_ids)
        found[number] = BatchProgress(key, batch.sample_ids, *counts, url=batch.url, project_id=batch.project_id)
    return found


def batch_numbers(view: Collection, name: str) -> dict[str, int]:
    """Return the rounds of a loop's batches, -1 for that of the evaluation set."""
    numbers = {}
    for entry in list_batches(view):
        head, _, number = entry.name.rpartition("_")
        if head == name and (number.isdigit() or entry.name == evaluation_batch(name)):
            numbers[entry.name] = int(number) if number.isdigit() else -1
    return numbers


def _counts(members: Members, ids: Sequence[str]) -> tuple[int, int, int, int]:
    """Return how many samples are back, skipped, disputed and gone."""
    rows = members.rows_of(ids)
    there = rows[rows >= 0]
    known, states = members.labels.known[there], members.states[there]
    disputed = ~known & np.isin(states, [LabelingState.CONFLICT, LabelingState.DISAGREEMENT])
    skipped = ~known & (states == LabelingState.SKIPPED)
    return int(known.sum()), int(skipped.sum()), int(disputed.sum()), int((rows < 0).sum())
