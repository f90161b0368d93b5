"""Make splits that neither near-duplicates nor groups of the user's straddle, or repair those that exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..curation.split_repair import repair_splits
from ..curation.splits import precedence, standard_split
from ..curation.splitting import count_classes, make_splits
from ..curation.units import join_units
from ..datasets import runs
from ..datasets.fields import write_values
from ..datasets.multi_labels import multi_label_field, read_multi_labels
from ..datasets.samples import Samples, read_samples
from ..datasets.split_names import read_splits
from ..datasets.views import Collection
from ..errors import DataError
from ..progress import Progress, silent
from .group_sources import read_groups
from .job_rates import timed
from .pairs import score_pairs
from .split_report import SplitReport
from .split_settings import check_existing, output_field, parse_fractions
from .vectors import Embedded, VectorParams, embed_collection

RUN = "winnow_split"


@dataclass(frozen=True)
class SplitParams:
    """Settings of `split_dataset`.

    Attributes:
        vectors: How images become vectors.
        fractions: Splits with their shares, which sum to 1. The usual spellings of split names are made standard.
        group_by: Fields whose images with the same value stay together, such as the patient.
        freeze: Existing splits that keep their images. They get only what belongs to these, so that the fractions are
            those of the rest.
        repair: Keep the existing splits, and move the fewest images that make them clean; fractions play no part.
        label_field: Field of Classification or Classifications; None = as everywhere.
        split_field: Field that holds the existing splits, or "tags"; None = detected.
        output_field: Field for the result; None = `split`, or `split_clean` where the user has a field `split`.
        threshold: Score in 0..1 from which a pair counts as near-duplicates; None = automatic.
        seed: Decides which of the images that are alike in all that counts go where.
    """

    vectors: VectorParams = field(default_factory=VectorParams)
    fractions: str = "train=0.8, validation=0.1, test=0.1"
    group_by: Sequence[str] = ()
    freeze: Sequence[str] = ()
    repair: bool = False
    label_field: str | None = None
    split_field: str | None = None
    output_field: str | None = None
    threshold: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("group_by", "freeze"):
            if isinstance(getattr(self, name), str):
                raise DataError(f"{name} must be a list of names, got the text '{getattr(self, name)}'.")

    @property
    def frozen(self) -> tuple[str, ...]:
        """The frozen splits under their standard names."""
        return tuple(standard_split(name) or name for name in self.freeze)

    @property
    def needs_splits(self) -> bool:
        """Whether the job starts from existing splits."""
        return self.repair or bool(self.freeze)


@timed("split_dataset")
def split_dataset(view: Collection, params: SplitParams = SplitParams(), progress: Progress = silent) -> SplitReport:
    """Split a collection, and write the split of each image.

    Near-duplicates and images of the same group stay together, over several steps too.

    Raises:
        DataError: The fractions can't be used, or there are no splits to repair or freeze.
        FieldError: A field of groups or labels can't be read, or the field for the result is not Winnow's.
    """
    fractions = parse_fractions(params.fractions, () if params.repair else params.frozen)
    result_field = output_field(view, params.output_field)
    several = multi_label_field(view, params.label_field)
    label_field = None if several else params.label_field
    samples = read_samples(view, label_field, params.split_field)
    if params.needs_splits:
        check_existing(samples.splits, params.frozen)
    columns = read_groups(view, samples, params.group_by)
    labels, classes = _labels(view, samples, several)

    embedded = embed_collection(
        view, params.vectors, label_field=label_field, split_field=params.split_field, progress=progress
    )
    pairs = _duplicates(view, embedded, samples, params, progress)
    units = join_units(len(samples), pairs, *columns)
    report = SplitReport(
        samples=samples,
        labels=labels,
        classes=classes,
        pairs=len(pairs),
        units=units,
        field=result_field,
        repaired=params.repair,
        failures=embedded.failures,
        notes=_notes(view, samples, several, used=params.needs_splits),
        **(
            _repair(samples, labels, units, params)
            if params.repair
            else _make(samples, labels, units, fractions, params)
        ),
    )
    _write(view, report, params, several or samples.label_field)
    return report


def _repair(samples: Samples, labels: np.ndarray, units: np.ndarray, params: SplitParams) -> dict[str, Any]:
    repaired = repair_splits(samples.splits, labels, units, frozen=params.frozen)
    names = tuple(sorted(set(samples.splits) - {""}, key=precedence, reverse=True))
    return {
        "split": repaired.split,
        "names": names,
        "counts": count_classes(labels, repaired.split, names),
        "ideal": count_classes(labels, samples.splits, names).astype(np.float64),
        "moved": repaired.moved,
        "conflicts": repaired.conflicts,
    }


def _make(
    samples: Samples, labels: np.ndarray, units: np.ndarray, fractions: dict[str, float], params: SplitParams
) -> dict[str, Any]:
    frozen = np.where(np.isin(samples.splits, list(params.frozen)), samples.splits, "").astype(object)
    made = make_splits(labels, units, fractions, frozen=frozen, seed=params.seed)
    return {
        "split": made.split,
        "names": made.names,
        "counts": made.counts,
        "ideal": made.ideal,
        "moved": np.zeros(0, np.int64),
        "conflicts": made.conflicts,
    }


def _duplicates(
    view: Collection, embedded: Embedded, samples: Samples, params: SplitParams, progress: Progress
) -> np.ndarray:
    """Return (m, 2) int64: the near-duplicates, as rows of all samples."""
    if not params.needs_splits:  # new splits must not depend on old ones
        embedded = replace(embedded, samples=replace(embedded.samples, split_source=None))
    pairs = score_pairs(view, embedded, params.threshold, progress)
    return np.searchsorted(samples.ids.astype(str), embedded.samples.ids.astype(str))[pairs.rows[pairs.flagged]]


def _labels(view: Collection, samples: Samples, several: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    if several is None:
        return samples.labels, (*samples.classes, "no label")
    labels, classes = read_multi_labels(view, samples.ids, several)
    return labels, (*classes, "none of the classes", "not annotated")


def _notes(view: Collection, samples: Samples, several: str | None, *, used: bool) -> tuple[str, ...]:
    """Return what reading the samples told, without what it told about splits or labels that play no part."""
    about_splits = read_splits(view, samples.split_source)[2] if samples.split_source else []
    return tuple(note for note in samples.notes if (used if note in about_splits else several is None))


def _write(view: Collection, report: SplitReport, params: SplitParams, label_field: str | None) -> None:
    values = [name or None for name in report.split]
    write_values(view, report.field, report.samples.ids, values, kind="str", label_field=label_field)
    moved = report.moved
    runs.save_run(
        view,
        RUN,
        method="split_dataset",
        params=asdict(params),
        fields=[report.field],
        summary=report.summary(),
        results={
            "moved": report.samples.ids[moved].tolist(),
            "from": report.samples.splits[moved].tolist(),
            "to": report.split[moved].tolist(),
        },
    )
