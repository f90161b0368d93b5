"""Find the images that one split repeats from another."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..curation.duplicates import DuplicatePairs, Kind
from ..curation.leaks import cross_split_pairs, leaks_of_groups, leaks_of_pairs, straddles
from ..curation.units import join_units, number_by_first
from ..datasets import runs
from ..datasets.fields import check_value_field, write_values
from ..datasets.group_views import LEAKS_VIEW, save_group_view
from ..datasets.samples import Samples
from ..datasets.similarity_indexes import check_index
from ..datasets.views import Collection
from ..errors import DataError
from ..failures import Failure
from ..progress import Progress, silent
from .findings import LEAKS_RUN
from .group_sources import DESCRIPTIONS, check_groups, proposed_groups, read_groups
from .job_rates import timed
from .leak_price import LeakPrice, price_of
from .pairs import best_scores, expectation, expectation_lines, score_pairs, write_pairs
from .vectors import Embedded, VectorParams, embed_collection
from .wording import counted, failure_lines

# From the surest kind to the least sure one; the last are the user's own groups, by their name.
_KINDS = {Kind.SAME_FILE: "same file", Kind.SAME_PIXELS: "same pixels", Kind.NEAR: "near-duplicate"}


@dataclass(frozen=True)
class LeakParams:
    """Settings of `find_leaks`.

    Attributes:
        vectors: How images become vectors.
        split_field: Field that holds the splits, "tags", "folders" or "saved views"; None = detected.
        group_by: What else belongs together and must not lie in two splits: fields such as the patient, or
            `file:prefix`, `file:folder`, `exif:burst`.
        score_field: Field for the score of an image's best counterpart in another split; 1 where a group says so.
        kind_field: Field for the surest kind of an image's leak: "same file", "same pixels", "near-duplicate", or the
            name of the group.
        group_field: Field for the number of an image's leak: images that leak into each other, over several steps too.
        label_field: Field of the labels, for what leakage adds to the accuracy; None = detected.
        threshold: Score in 0..1 from which a pair counts; None = automatic.
        neighbors: Brain key of a similarity index in a vector database that proposes which images are near; None = this
            machine compares them itself.
    """

    vectors: VectorParams = field(default_factory=VectorParams)
    split_field: str | None = None
    group_by: tuple[str, ...] = ()
    score_field: str = "leak_score"
    kind_field: str = "leak_kind"
    group_field: str = "leak_group"
    label_field: str | None = None
    threshold: float | None = None
    neighbors: str | None = None


@dataclass(frozen=True, eq=False)
class LeakReport:
    """What `find_leaks` found.

    Attributes:
        samples: The readable samples, which `pairs.rows` numbers.
        pairs: Every candidate pair across two splits; the evaluation side first.
        groups: What belongs together besides: name -> (n,) object, None = in no group.
        price: What leakage adds to the accuracy of a linear probe; None where it can't be told.
        proposals: Further groups that file names or EXIF data suggest, as `group_by` names them.
        failures: Images that could not be read.
        notes: Sentences for the user.
    """

    samples: Samples
    pairs: DuplicatePairs
    groups: dict[str, np.ndarray]
    price: LeakPrice | None
    proposals: tuple[str, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def leaks(self) -> dict[str, set[tuple[int, str]]]:
        """Leaks by kind, the surest first: (row of the evaluation side, name of the other split)."""
        splits, flagged = self.samples.splits, self.pairs.flagged
        found = {
            name: leaks_of_pairs(self.pairs.rows[flagged & (self.pairs.kind == kind)], splits)
            for kind, name in _KINDS.items()
        }
        return {**found, **{name: leaks_of_groups(column, splits) for name, column in self.groups.items()}}

    def kinds(self) -> np.ndarray:
        """Return (n,) object: the surest kind of leak that each image of either side is part of, None = none."""
        found = np.full(len(self.samples), None, object)
        for name, column in reversed(self.groups.items()):
            found[straddles(column, self.samples.splits)] = name
        flagged = self.pairs.flagged
        for kind, name in reversed(_KINDS.items()):
            found[self.pairs.rows[flagged & (self.pairs.kind == kind)]] = name
        return found

    def numbers(self) -> np.ndarray:
        """Return (n,) int64: images with the same number, from 0 on, leak into each other; -1 = no leak."""
        splits, found = self.samples.splits, np.full(len(self.samples), -1, np.int64)
        leaked = np.array([kind is not None for kind in self.kinds()], bool)
        columns = [column.copy() for column in self.groups.values()]
        for column in columns:
            column[~straddles(column, splits)] = None
        units = join_units(len(self.samples), self.pairs.rows[self.pairs.flagged], *columns)
        found[leaked] = number_by_first(units[leaked])
        return found

    def summary(self) -> dict[str, Any]:
        """Return plain JSON.

        `by_splits`: for each pair of splits, images of the first that the second repeats; `by_kind`: the same for all
        pairs of splits, by kind; an image may be of several kinds.
        """
        return {
            "images": len(self.samples),
            "pairs": int(self.pairs.flagged.sum()),
            "by_splits": {f"{first} in {second}": count for (first, second), count in self._leaked_images().items()},
            "by_kind": {name: len({row for row, _ in found}) for name, found in self.leaks.items() if found},
            "price": self.price.summary() if self.price else None,
            "proposed_groups": list(self.proposals),
            "split_source": self.samples.split_source,
            **expectation(self.pairs),
            "failures": len(self.failures),
            "notes": [*self.samples.notes, *self.notes],
        }

    def text(self) -> str:
        """Return markdown for a person."""
        found = self.summary()
        lines = [
            f"- **{counted(count, 'image')} of {first}** repeated in **{second}**"
            for (first, second), count in self._leaked_images().items()
        ] or ["**No leaks** between the splits."]
        if found["by_kind"]:
            lines.append(f"- By kind: {', '.join(f'{name} {count:,}' for name, count in found['by_kind'].items())}.")
        if self.price:
            lines += ["", self.price.text()]
        notes = [f"- {note}" for note in found["notes"]]
        notes += [
            f"- {DESCRIPTIONS[name].capitalize()} may tell which images belong together; to look for groups in two "
            f"splits, group by `{name}`."
            for name in self.proposals
        ]
        after = (
            "Next: repair the splits, or train: the training side of each leak is left out, the test side told apart."
        )
        return "\n".join([*lines, *expectation_lines(self.pairs), *notes, *failure_lines(self.failures), "", after])

    def write_pairs(self, path: Path, root: Path | None = None) -> None:
        """Write every candidate pair as CSV; `a` is the evaluation side; best first."""
        write_pairs(path, root, self.samples, self.pairs)

    def _leaked_images(self) -> dict[tuple[str, str], int]:
        splits = self.samples.splits
        counts = Counter((splits[row], other) for row, other in set().union(*self.leaks.values()))
        return dict(sorted(counts.items()))


@timed("find_leaks")
def find_leaks(view: Collection, params: LeakParams = LeakParams(), progress: Progress = silent) -> LeakReport:
    """Find leaks, and write score and kind to both images of each.

    Raises:
        DataError: The collection has no two splits.
        DataError, MissingPartError: The similarity index cannot be used, see `score_pairs`.
        FieldError: See `embed_collection`; a field of `group_by` can't tell groups.
    """
    check_value_field(view, params.score_field, kind="float")
    check_value_field(view, params.kind_field, kind="str")
    check_value_field(view, params.group_field, kind="int")
    check_groups(view, params.group_by)
    notes = check_index(view, params.neighbors)
    embedded = embed_collection(
        view,
        params.vectors,
        label_field=params.label_field,
        split_field=params.split_field,
        on_disk=params.neighbors is not None or None,
        progress=progress,
    )
    check_splits(embedded.samples)
    pairs = score_pairs(view, embedded, params.threshold, progress, neighbors=params.neighbors)
    return report_leaks(view, embedded, pairs, params, progress, notes)


def report_leaks(
    view: Collection,
    embedded: Embedded,
    pairs: DuplicatePairs,
    params: LeakParams,
    progress: Progress = silent,
    notes: tuple[str, ...] = (),
) -> LeakReport:
    """Write what scored pairs and groups say about leaks; `notes` are passed on to the user."""
    samples = embedded.samples
    across = cross_split_pairs(pairs, samples.splits)
    groups = dict(zip(params.group_by, read_groups(view, samples, params.group_by), strict=True))
    report = LeakReport(samples, across, groups, None, (), embedded.failures)
    kinds, scores = report.kinds(), best_scores(across, len(samples))
    leaked = np.array([kind is not None for kind in kinds], bool)
    scores[leaked & np.isin(kinds, list(groups))] = 1  # the user's own word
    write_values(view, params.score_field, samples.ids[leaked], scores[leaked], kind="float")
    write_values(view, params.kind_field, samples.ids[leaked], kinds[leaked], kind="str")
    write_values(view, params.group_field, samples.ids[leaked], report.numbers()[leaked], kind="int")
    note = save_group_view(view, LEAKS_VIEW, score_field=params.score_field)
    report = replace(
        report,
        price=price_of(embedded, leaked, progress=progress),
        proposals=tuple(name for name in proposed_groups(samples) if name not in groups),
        notes=(*notes, *([note] if note else [])),
    )
    flagged = across.flagged
    runs.save_run(
        view,
        LEAKS_RUN,
        method="find_leaks",
        params=asdict(params),
        fields=[params.score_field, params.kind_field, params.group_field],
        summary=report.summary(),
        results={
            "pairs": samples.ids[across.rows[flagged]].tolist(),
            "scores": across.score[flagged].round(4).tolist(),
            "kinds": [_KINDS[Kind(kind)] for kind in across.kind[flagged]],
        },
    )
    return report


def has_two_splits(samples: Samples) -> bool:
    """Whether there is anything that could leak."""
    return len(set(samples.splits) - {""}) >= 2


def check_splits(samples: Samples) -> None:
    """Raise DataError where the samples do not lie in at least two splits."""
    if not has_two_splits(samples):
        found = sorted(set(samples.splits) - {""})
        raise DataError(
            f"leaks lie between two splits, and this collection has {len(found)}"
            + (f" ({', '.join(found)})" if found else "")
            + ". Put the split's name (train, validation, test) into a string field `split` or into the tags, or pass "
            "split_field."
        )
