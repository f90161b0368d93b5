"""Find the near-duplicates of a collection and write their groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..curation.duplicates import DuplicatePairs, Kind
from ..curation.groups import DuplicateGroups, group_duplicates
from ..datasets import runs
from ..datasets.decisions import read_decisions
from ..datasets.fields import Kind as FieldKind
from ..datasets.fields import check_value_field, write_values
from ..datasets.group_views import DUPLICATES_VIEW, save_group_view
from ..datasets.samples import Samples
from ..datasets.similarity_indexes import check_index
from ..datasets.views import Collection
from ..failures import Failure
from ..progress import Progress, silent
from .findings import COPY, DUPLICATES_RUN, KEEPER, KEPT
from .job_rates import timed
from .keepers import DEFAULT_KEEP, check_keep, choose_keepers
from .pairs import best_scores, expectation, expectation_lines, score_pairs, write_pairs
from .vectors import Embedded, VectorParams, embed_collection
from .wording import counted, failure_lines

_EXACT = (Kind.SAME_FILE, Kind.SAME_PIXELS)


@dataclass(frozen=True)
class DuplicateParams:
    """Settings of `find_duplicates`.

    Attributes:
        vectors: How images become vectors.
        group_field: Field for the number of an image's group.
        score_field: Field for the score of an image's best near-duplicate.
        role_field: Field for the role of a group's members: "keeper", "copy", or "kept" where a person looked at all of
            them and keeps every one.
        conflict_field: Field that is true for members of a group whose labels differ.
        threshold: Score in 0..1 from which a pair counts; None = automatic.
        label_field: Field of the labels, which should not differ within a group; None = detected.
        keep: Which member of a group is its keeper, see `keepers.POLICIES`; a later one decides between equals.
        keep_paths: Folders whose files are kept before all others, the first one first.
        neighbors: Brain key of a similarity index in a vector database that proposes which images are near; None = this
            machine compares them itself.
    """

    vectors: VectorParams = field(default_factory=VectorParams)
    group_field: str = "duplicate_group"
    score_field: str = "duplicate_score"
    role_field: str = "duplicate_role"
    conflict_field: str = "duplicate_conflict"
    threshold: float | None = None
    label_field: str | None = None
    keep: tuple[str, ...] = DEFAULT_KEEP
    keep_paths: tuple[str, ...] = ()
    neighbors: str | None = None

    def __post_init__(self) -> None:
        check_keep(self.keep)


@dataclass(frozen=True, eq=False)
class DuplicateReport:
    """What `find_duplicates` found.

    Attributes:
        samples: The readable samples, which `pairs.rows` and `groups` number.
        pairs: Every candidate pair.
        groups: Groups of near-duplicates.
        keepers: (g,) int64. The row of each group's member that is to be kept.
        kept: (g,) bool. A person looked at all members and keeps every one.
        failures: Images that could not be read.
        notes: Sentences for the user.
    """

    samples: Samples
    pairs: DuplicatePairs
    groups: DuplicateGroups
    keepers: np.ndarray
    kept: np.ndarray
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return plain JSON; `same_file` and `same_pixels` count the images of groups that repeat another exactly."""
        sizes, flagged = self.groups.sizes, self.pairs.flagged
        exact = [np.unique(self.pairs.rows[flagged & (self.pairs.kind == kind), 1]) for kind in _EXACT]
        return {
            "images": len(self.samples),
            "pairs": int(flagged.sum()),
            "groups": len(self.groups),
            "images_in_groups": int(sizes.sum()),
            "kept_groups": int(self.kept.sum()),
            "copies": int((sizes - 1)[~self.kept].sum()),
            "same_file": len(exact[0]),
            "same_pixels": len(np.setdiff1d(exact[1], exact[0])),
            "largest_group": int(sizes.max(initial=0)),
            "lowest_score_in_a_group": round(float(self.groups.lowest.min()), 4) if len(self.groups) else None,
            "bridges": self.groups.bridges,
            "label_conflicts": int(self.groups.in_conflict(self.samples.labels).sum()),
            **expectation(self.pairs),
            "failures": len(self.failures),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return markdown for a person."""
        found = self.summary()
        if not found["groups"]:
            lines = [f"**No near-duplicates** among {found['images']:,} images."]
        else:
            lines = [
                f"**{counted(found['groups'], 'group')} of near-duplicates** with {found['images_in_groups']:,} of "
                f"{counted(found['images'], 'image')}; the largest group has {found['largest_group']:,}. "
                f"{counted(found['copies'], 'image is a copy', 'images are copies')} of the one to keep.",
                *self._remarks(found),
            ]
        return "\n".join(
            [
                *lines,
                *expectation_lines(self.pairs),
                *(f"- {note}" for note in self.notes),
                *failure_lines(self.failures),
                "",
                "Next: find leaks, the duplicates across splits.",
            ]
        )

    def _remarks(self, found: dict[str, Any]) -> Iterator[str]:
        if found["same_file"] or found["same_pixels"]:
            files = counted(found["same_file"], "image repeats another's file", "images repeat another's file")
            yield f"- Exact copies: {files} byte for byte, {found['same_pixels']:,} only its pixels."
        if conflicts := found["label_conflicts"]:
            yield (
                f"- **{counted(conflicts, 'group')} with different labels** on copies of one image: at least one of "
                "them is wrong (`duplicate_conflict` is true)."
            )
        if found["kept_groups"]:
            yield f"- {counted(found['kept_groups'], 'group')} of which you keep every image, as decided before."
        if found["bridges"]:
            yield (
                f"- {counted(found['bridges'], 'pair')} between two groups: alike themselves, but not each of one "
                "group to each of the other."
            )

    def write_pairs(self, path: Path, root: Path | None = None) -> None:
        """Write every candidate pair as CSV: path_a, path_b, split_a, split_b, score, flagged; best first."""
        write_pairs(path, root, self.samples, self.pairs)


@timed("find_duplicates")
def find_duplicates(
    view: Collection, params: DuplicateParams = DuplicateParams(), progress: Progress = silent
) -> DuplicateReport:
    """Find near-duplicates, and write group and score of each image that has one.

    Raises:
        DataError, FieldError: See `embed_collection`.
        DataError, MissingPartError: The similarity index cannot be used, see `score_pairs`.
    """
    check_fields(view, params)
    notes = check_index(view, params.neighbors)
    embedded = embed_collection(
        view,
        params.vectors,
        label_field=params.label_field,
        on_disk=params.neighbors is not None or None,
        progress=progress,
    )
    pairs = score_pairs(view, embedded, params.threshold, progress, neighbors=params.neighbors)
    return report_duplicates(view, embedded, pairs, params, notes)


def check_fields(view: Collection, params: DuplicateParams) -> None:
    """Make sure that the results can be written, before long work.

    Raises:
        FieldError: See `datasets.fields.write_values`.
    """
    for name, kind in _fields(params):
        check_value_field(view, name, kind=kind)


def report_duplicates(
    view: Collection,
    embedded: Embedded,
    pairs: DuplicatePairs,
    params: DuplicateParams,
    notes: tuple[str, ...] = (),
) -> DuplicateReport:
    """Write what scored pairs say about duplicates; `notes` are passed on to the user."""
    samples = embedded.samples
    groups = group_duplicates(pairs, len(samples))
    keepers = choose_keepers(groups, samples, embedded.preprocessing, params.keep, params.keep_paths)
    kept = _kept_groups(view, samples, groups)
    members = np.flatnonzero(groups.group >= 0)
    ids, group = samples.ids[members], groups.group[members]
    role = np.where(kept[group], KEPT, np.where(np.isin(members, keepers), KEEPER, COPY))
    conflict = groups.in_conflict(samples.labels)[group]
    columns = (group, best_scores(pairs, len(samples))[members], role, conflict)
    for (name, kind), values in zip(_fields(params), columns, strict=True):
        write_values(view, name, ids, values, kind=kind)
    note = save_group_view(
        view,
        DUPLICATES_VIEW,
        score_field=params.score_field,
        group_field=params.group_field,
        role_field=params.role_field,
        roles=(KEEPER, COPY),
    )
    notes = (*notes, note) if note else notes
    report = DuplicateReport(samples, pairs, groups, keepers, kept, embedded.failures, notes)
    flagged = pairs.flagged
    runs.save_run(
        view,
        DUPLICATES_RUN,
        method="find_duplicates",
        params=asdict(params),
        fields=[name for name, _ in _fields(params)],
        summary=report.summary(),
        results={
            "pairs": samples.ids[pairs.rows[flagged]].tolist(),
            "scores": pairs.score[flagged].round(4).tolist(),
            "kinds": [Kind(kind).name.lower() for kind in pairs.kind[flagged]],
            "groups": [
                {"keeper": keeper, "lowest_score": lowest}
                for keeper, lowest in zip(samples.ids[keepers], groups.lowest.round(4).tolist(), strict=True)
            ],
        },
    )
    return report


def _kept_groups(view: Collection, samples: Samples, groups: DuplicateGroups) -> np.ndarray:
    """Return (g,) bool: a person keeps every member. A group with a new member is not one of them."""
    decisions = read_decisions(view)
    if not decisions.kept:
        return np.zeros(len(groups), bool)
    members = np.flatnonzero(groups.group >= 0)
    members = members[np.argsort(groups.group[members], kind="stable")]
    parts = np.split(samples.ids[members], np.cumsum(groups.sizes)[:-1])
    return np.array([decisions.keeps_all(part) for part in parts], bool)[: len(groups)]


def _fields(params: DuplicateParams) -> tuple[tuple[str, FieldKind], ...]:
    return (
        (params.group_field, "int"),
        (params.score_field, "float"),
        (params.role_field, "str"),
        (params.conflict_field, "bool"),
    )
