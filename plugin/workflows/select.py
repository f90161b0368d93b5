"""Choose the images to label next, and write their rank, score and reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from ..curation.selection import BY_CLASS, STRATEGIES, Selection, choose
from ..datasets import runs
from ..datasets.fields import Kind, check_value_field, write_values
from ..datasets.views import Collection, every_image
from ..errors import DataError
from ..progress import Progress, silent
from .job_rates import timed
from .select_pool import Candidates, read_candidates, suspects
from .select_probabilities import Probabilities, read_probabilities
from .select_report import SelectReport
from .vectors import VectorParams

SELECTION_RUN = "winnow_selection"


@dataclass(frozen=True)
class SelectParams:
    """Settings of `select_for_labeling`.

    Attributes:
        vectors: How images become vectors.
        count: Images to choose.
        strategy: One of `curation.selection.STRATEGIES`.
        label_field: Field of the labels, one an image or several; None = detected. One that does not exist yet is fine
            where nothing is labelled.
        predictions_field: Field with predictions to go by, with logits or confidences; None = those of a linear probe
            on the labelled images.
        target_classes: Names of rare or weak classes of which more are wanted.
        relabel: Share of the batch, in 0..1, that goes to labelled images whose label is probably wrong.
        split_field: Field with splits, or "tags"; None = detected. Images of a test or validation split are not
            chosen, nor what looks like them.
        rank_field: Field for the rank; 1 = label first.
        score_field: Field for what the strategy ranked by.
        reason_field: Field for why.
        seed: Of everything random.
    """

    vectors: VectorParams = field(default_factory=VectorParams)
    count: int = 100
    strategy: str = "auto"
    label_field: str | None = None
    predictions_field: str | None = None
    target_classes: tuple[str, ...] = ()
    relabel: float = 0.0
    split_field: str | None = None
    rank_field: str = "selection_rank"
    score_field: str = "selection_score"
    reason_field: str = "selection_reason"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise DataError(f"count must be at least 1, got {self.count}. Say how many images to choose.")
        if self.strategy not in STRATEGIES:
            raise DataError(f"strategy must be one of {', '.join(STRATEGIES)}, got '{self.strategy}'.")
        if not 0 <= self.relabel <= 1:
            raise DataError(f"relabel must be between 0 and 1, as in 0.1 for a tenth, got {self.relabel:g}.")
        if len({self.rank_field, self.score_field, self.reason_field}) < 3:
            raise DataError("rank, score and reason need a field each, of different names.")
        if self.target_classes and self.strategy not in BY_CLASS:
            raise DataError(
                f"strategy '{self.strategy}' does not look at classes, so it can't go for {self.target_classes[0]}. "
                f"Take one of {', '.join(BY_CLASS)}, or leave the classes out."
            )

    @property
    def fields(self) -> dict[str, Kind]:
        """Name of a field -> what it holds: rank, score and reason."""
        return {self.rank_field: "int", self.score_field: "float", self.reason_field: "str"}


@timed("select_for_labeling")
def select_for_labeling(
    view: Collection, params: SelectParams = SelectParams(), progress: Progress = silent
) -> SelectReport:
    """Choose images of a view to label next, and write rank, score and reason in place of those of an earlier choice.

    Labels count wherever in the dataset they are. Not chosen: what has a label, is out for labelling or was skipped by
    an annotator, belongs to an evaluation set, cannot be read, or looks like one of these or of the batch.

    Raises:
        DataError: There is nothing left to choose, or the strategy needs predictions that cannot be had.
        FieldError: A field does not fit.
    """
    images = every_image(view)
    for name, kind in params.fields.items():
        check_value_field(images, name, kind=kind)
    found = read_candidates(view, params.vectors, params.label_field, params.split_field, progress)
    doubtful = suspects(view, found, round(params.count * params.relabel))
    wanted = params.count - len(doubtful.rows)
    _check_left(found, wanted)
    known = read_probabilities(
        images,
        found,
        params.strategy,
        predictions_field=params.predictions_field,
        target_classes=params.target_classes,
        seed=params.seed,
    )
    chosen = _choose(found, known, wanted, params, progress)
    rows, scores, reasons = _mixed(chosen, doubtful)
    report = SelectReport(
        ids=tuple(found.samples.ids[rows].tolist()),
        scores=tuple(scores.tolist()),
        reasons=tuple(reasons.tolist()),
        asked=params.count,
        suspects=len(doubtful.rows),
        selection=chosen,
        labelled=int((found.labels.known & ~found.held_out).sum()),
        away=int(found.away.sum()),
        held_out=int(found.held_out.sum()),
        label_field=found.labels.field,
        predicted_by=known.source,
        expected=known.expected(chosen.rows),
        failures=found.failures,
        notes=(*found.notes, *known.notes),
    )
    for (name, kind), values in zip(params.fields.items(), (np.arange(1, len(rows) + 1), scores, reasons), strict=True):
        write_values(images, name, report.ids, values, kind=kind, label_field=found.labels.field)
    runs.save_run(
        view,
        SELECTION_RUN,
        method="select_for_labeling",
        params=asdict(params),
        fields=list(params.fields),
        summary=report.summary(),
    )
    return report


def _check_left(found: Candidates, wanted: int) -> None:
    if wanted and not found.open.any():
        raise DataError(
            f"there is no image left to choose: of {len(found.open):,} images of the view "
            f"{int(found.labels.known.sum()):,} are labelled, {int(found.away.sum()):,} are out for labelling or were "
            f"skipped, and {int(found.held_out.sum()):,} belong to an evaluation set. Add images, choose a larger "
            "view, or bring back what is out."
        )


def _choose(
    found: Candidates, known: Probabilities, wanted: int, params: SelectParams, progress: Progress
) -> Selection:
    targets = [known.classes.index(name) for name in params.target_classes] or None
    return choose(
        found.vectors,
        wanted,
        known.values,
        found.taken,
        params.strategy,
        params.seed,
        groups=found.groups,
        avoided=found.kept_off,
        target_classes=targets,
        several=found.labels.several if known.values is not None else None,
        classes=known.classes,
        progress=progress,
    )


def _mixed(chosen: Selection, doubtful: Selection) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, scores and reasons with the suspects spread evenly among the images to label."""
    place = np.concatenate([(np.arange(len(each.rows)) + 0.5) / max(len(each.rows), 1) for each in (chosen, doubtful)])
    order = np.argsort(place, kind="stable")
    return (
        np.concatenate([chosen.rows, doubtful.rows])[order],
        np.concatenate([chosen.score, doubtful.score])[order],
        np.concatenate([chosen.reason, doubtful.reason])[order],
    )
