"""Check whether images have drifted away from others: a split, a view, a dataset, or what a classifier was made for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..curation.drift import Drift, check_drift
from ..curation.drift_shuffles import SMALLEST_P_VALUE
from ..datasets.fields import check_value_field, write_values
from ..datasets.views import Collection, dataset_of
from ..errors import DataError
from ..failures import Failure
from ..membership import is_among
from ..progress import Progress, silent
from ..training.reference import Reference
from ..vision.statistics import STATISTICS
from .drift_images import Described, Judge, describe_sides, mark_failures_of
from .drift_record import save_drift
from .drift_report import DriftReport
from .drift_settings import DriftParams
from .drift_sides import Side, choose_sides
from .drift_slices import drifting_slices
from .job_rates import timed
from .wording import counted

_TRAIN = "train"


@timed("check_drift")
def check_drift_of(view: Collection, params: DriftParams, progress: Progress = silent) -> DriftReport:
    """Hold the images of a view against a reference, and write for each how unlike it they are.

    Raises:
        DataError: No reference or several are named, a side is empty, too small or cannot be read, or both are the same
            images.
        FieldError: A field to read does not exist, or one to write is not Winnow's.
        ClassifierError: There is no such classifier, or nothing is stored with it and no reference is named.
        TargetError: There is no such dataset or folder to compare with.
    """
    check_value_field(view, params.score_field, kind="float")
    check_value_field(view, params.novel_field, kind="bool")
    if not SMALLEST_P_VALUE <= params.alpha < 1:
        raise DataError(
            f"the accepted share of false alarms must lie between {SMALLEST_P_VALUE:g} and 1, got {params.alpha:g}; no "
            "check is surer than that."
        )
    sides = choose_sides(view, params)
    judge = None if params.classifier is None else Judge.load(view, params.classifier)
    if sides.reference is not None:
        name = sides.reference.name
        found = _against_images(view, sides.current, sides.reference, judge, params, progress)
    elif judge is not None:
        name = "what is stored with the classifier"
        found = _against_stored(view, sides.current, judge, params, progress)
    else:
        raise DataError(
            "name what the images are held against: a split, a saved view or a tag of the dataset, another dataset or "
            "folder, or a classifier, with which the look of its images is stored."
        )
    report = DriftReport(
        found.drift,
        found.current,
        len(found.reference.vectors),
        (sides.current.name, name),
        judge,
        trained_on=isinstance(found.reference, Reference),
        slices=drifting_slices(sides.current, found.current, found.drift, params.slice_by),
        params=params,
        failures=found.failures,
        notes=(*sides.notes, *_doubts(view, judge, found)),
    )
    _write(view, report)
    save_drift(view, report, found.reference)
    return report


@dataclass(frozen=True, eq=False)
class _Compared:
    """Both sides, and the outcome."""

    current: Described
    reference: Described | Reference
    drift: Drift

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The samples of both sides that could not be read."""
        return (*self.current.failures, *(self.reference.failures if isinstance(self.reference, Described) else ()))


def _against_stored(view: Collection, side: Side, judge: Judge, params: DriftParams, progress: Progress) -> _Compared:
    stored = judge.stored()
    (current,) = describe_sides(view, [side], judge, params, progress)
    if current.probabilities is None:
        raise ValueError("a classifier says something of each image")
    drift = stored.check(
        current.vectors,
        current.probabilities,
        current.statistics,
        alpha=params.alpha,
        seed=params.seed,
        progress=progress,
    )
    return _Compared(current, stored, drift)


def _against_images(
    view: Collection, side: Side, held_against: Side, judge: Judge | None, params: DriftParams, progress: Progress
) -> _Compared:
    current, reference = describe_sides(view, [side, held_against], judge, params, progress)
    multilabel = judge is not None and judge.classifier.multilabel
    drift = check_drift(
        reference.vectors,
        current.vectors,
        reference_probs=reference.probabilities,
        current_probs=current.probabilities,
        alpha=params.alpha,
        seed=params.seed,
        reference_labels=None if multilabel or reference.probabilities is None else reference.labels(),
        reference_statistics=reference.statistics,
        current_statistics=current.statistics,
        statistic_names=STATISTICS,
        multilabel=multilabel,
        progress=progress,
    )
    return _Compared(current, reference, drift)


def _doubts(view: Collection, judge: Judge | None, found: _Compared) -> Iterator[str]:
    """Yield what a reader should know before taking the outcome for the truth."""
    if isinstance(found.reference, Described):
        known = {digest.tobytes() for digest in found.reference.digests}
        if same := sum(digest.tobytes() in known for digest in found.current.digests):
            yield f"{counted(same, 'file')} of what is checked is byte for byte among the reference, and can't look new"
        if judge is not None and (seen := _learnt(view, judge, found.reference)):
            yield (
                f"the classifier was trained on {seen:,} of the reference images and is surer of them than of any new "
                "image, which by itself looks like drift; hold the images against what is stored with it instead"
            )
    if judge is not None and (seen := _learnt(view, judge, found.current)):
        yield (
            f"the classifier was trained on {seen:,} of the images that are checked and is surer of them than of new "
            "ones; check images that it has not seen"
        )
    if lost := sum(found.drift.left_out):
        yield f"{counted(lost, 'image')} without a usable vector or prediction are left out"


def _learnt(view: Collection, judge: Judge, side: Described) -> int:
    """Return how many of the images are of the dataset and the split that the classifier was trained on."""
    if judge.classifier.details.get("dataset") != dataset_of(view).name:
        return 0
    own = is_among(side.samples.ids, dataset_of(view).values("id"))
    return int((own & (side.samples.splits == _TRAIN)).sum())


def _write(view: Collection, report: DriftReport) -> None:
    params, samples, drift = report.params, report.current.samples, report.drift
    write_values(view, params.score_field, samples.ids, drift.scores.astype(np.float64).round(4), kind="float")
    write_values(view, params.novel_field, samples.ids, drift.novel, kind="bool")
    failed = report.failures
    if failed:  # those of another dataset can't be marked in this one
        own = set(dataset_of(view).values("id"))
        failed = tuple(failure for failure in failed if failure.id in own)
    looked_at = np.array([*samples.ids, *(failure.id for failure in failed)], object)
    mark_failures_of(view, looked_at, failed)
