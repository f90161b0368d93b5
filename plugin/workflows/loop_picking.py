"""Picks the batch of a loop's next round."""

from __future__ import annotations

from collections.abc import Sequence

from ..datasets.loops import prediction_field, split_field
from ..datasets.views import Collection
from ..errors import DataError
from ..progress import Progress
from .loop_members import POOL
from .loop_state import LoopState
from .predict import PredictParams, apply_classifier
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


def pre_annotated(view: Collection, state: LoopState, ids: Sequence[str], progress: Progress) -> str | None:
    """Write what the last round's classifier says of a batch; return the field, None where nothing is to be said."""
    trained = [each.summary for each in state.rounds if each.summary["trained"]]
    if not state.settings.pre_annotate or not trained:
        return None
    params = PredictParams(classifier=trained[-1]["classifier"], prediction_field=prediction_field(state.loop.name))
    apply_classifier(view.select(list(ids)), params, progress)
    return params.prediction_field
