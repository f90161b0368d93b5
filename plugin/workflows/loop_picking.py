"""Picks the batch of a loop's next round."""

from __future__ import annotations

from ..datasets.loops import split_field
from ..datasets.views import Collection
from ..errors import DataError
from ..progress import Progress
from .loop_members import POOL
from .loop_state import LoopState
from .select import SelectParams, select_for_labeling
from .vectors import VectorParams
from .wording import counted


def pick(view: Collection, state: LoopState, number: int, progress: Progress) -> list[str]:
    """Return the ids of the images to label next, best first; fewer than asked for where no more differ.

    Args:
        view: The collection.
        state: Of the loop; its fields are written.
        number: Of the round.
        progress: Told along the way.

    Raises:
        DataError: An image of the evaluation set was picked; see also `select_for_labeling`.
    """
    settings, name = state.settings, state.loop.name
    report = select_for_labeling(
        view.match({split_field(name): POOL}),
        SelectParams(
            vectors=VectorParams(settings.backbone),
            count=settings.batch,
            strategy=settings.strategy,
            label_field=settings.label_field,
            target_classes=settings.target_classes,
            split_field=split_field(name),
            seed=settings.seed + number,
        ),
        progress,
    )
    if picked := set(report.ids).intersection(state.loop.evaluation.ids):
        raise DataError(
            f"{counted(len(picked), 'image')} of the evaluation set of loop '{name}' would have been picked: the field "
            f"'{split_field(name)}' was changed. Run the step again, which sets it right."
        )
    return list(report.ids)
