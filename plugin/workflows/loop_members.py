"""Which images of a collection a loop measures on, trains on, may pick, and leaves alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import fiftyone as fo
import numpy as np

from ..curation.splits import HELD_OUT_SPLITS
from ..curation.units import join_units
from ..datasets import runs
from ..datasets.fields import Kind, set_own_values
from ..datasets.labeling_batches import STATE_FIELD
from ..datasets.loops import SavedLoop, round_field, split_field
from ..datasets.samples import DEFAULT_LABEL_FIELD, Samples, chosen_label_field, label_fields, read_samples
from ..datasets.views import Collection, check_images, dataset_of
from ..failures import Failure
from ..progress import Progress
from ..vision.file_hashes import file_hashes
from .duplicates import DuplicateParams, find_duplicates
from .findings import DUPLICATES_RUN, read_findings
from .group_sources import read_groups
from .loop_settings import LoopSettings
from .multi_label_issues import field_of_several
from .training_rows import Labels, read_labels
from .vectors import FAILURE_FIELD, VectorParams
from .wording import counted

TEST, TRAIN, POOL = "test", "train", "pool"


@dataclass(frozen=True, eq=False)
class Members:
    """The n images of a loop's collection, ids ascending.

    Attributes:
        samples: Ids, paths, and splits of the user's.
        labels: As they are now.
        units: (n,) int64. Images with the same number belong together: near-duplicates, groups of the user's.
        rounds: (n,) int64. Round in which an image went out, or was first seen labelled; -1 = neither.
        states: (n,) object. Of the field `labeling_state`, None = none.
        readable: (n,) bool. The last job that opened it could.
    """

    samples: Samples
    labels: Labels
    units: np.ndarray
    rounds: np.ndarray
    states: np.ndarray
    readable: np.ndarray

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the (m,) int64 rows of sample ids; -1 = it is gone."""
        row = {key: place for place, key in enumerate(self.samples.ids)}
        return np.array([row.get(key, -1) for key in ids], np.int64)

    @property
    def spared(self) -> np.ndarray:
        """(n,) bool: in a test or validation split of the user's."""
        return np.isin(self.samples.splits, HELD_OUT_SPLITS)


@dataclass(frozen=True, eq=False)
class Roles:
    """What the n images are to a loop: (n,) bool each, of which at most one is true.

    Attributes:
        test: The evaluation set.
        train: Labelled, to train on.
        pool: To be picked from: neither labelled, nor in the evaluation set, nor out for labelling or skipped,
            and readable.
        beside: Left alone, as it belongs together with an image of the evaluation set.
    """

    test: np.ndarray
    train: np.ndarray
    pool: np.ndarray
    beside: np.ndarray


def loop_label_field(view: Collection, settings: LoopSettings) -> str:
    """Return the field of a loop's labels, which is made where there is none.

    Raises:
        FieldError: It is open which one is meant, or the one that is asked for holds something else.
    """
    check_images(view)
    dataset = dataset_of(view)
    if (several := field_of_several(view, settings.label_field)) is not None:
        return several
    asked = settings.label_field
    if asked is None and label_fields(view):
        return chosen_label_field(view, None)
    name = asked or DEFAULT_LABEL_FIELD
    if dataset.has_field(name):
        return chosen_label_field(view, name)  # says what is wrong with it
    kind = fo.Classifications if settings.several else fo.Classification
    dataset.add_sample_field(name, fo.EmbeddedDocumentField, embedded_doc_type=kind)
    return name


def note_classes(view: Collection, field: str, classes: Sequence[str]) -> None:
    """Add names of classes to those that the dataset knows of a label field."""
    dataset = dataset_of(view)
    known = list(dataset.classes.get(field, []))
    if new := [name for name in dict.fromkeys(classes) if name not in known]:
        dataset.classes[field] = known + new
        dataset.save()


def renew_duplicates(view: Collection, settings: LoopSettings, progress: Progress) -> str | None:
    """Look for near-duplicates where that was not done since images were added; return why not, as a sentence."""
    known = any(run.key == DUPLICATES_RUN for run in runs.list_runs(view))
    reason = runs.is_stale(view, DUPLICATES_RUN) if known else "never"
    if reason is None or (known and "added" not in reason):
        return None
    if not settings.duplicates:
        when = "never looked for" if not known else f"last looked for before {reason}"
        return f"near-duplicates were {when}: copies of evaluation images may be trained on"
    several = field_of_several(view, settings.label_field)
    label_field = None if several else settings.label_field
    find_duplicates(view, DuplicateParams(VectorParams(settings.backbone), label_field=label_field), progress)
    return None


def read_members(view: Collection, settings: LoopSettings, name: str) -> Members:
    """Read a collection as a loop sees it; `settings.label_field` is set.

    Raises:
        DataError, FieldError: See `datasets.samples.read_samples`.
    """
    several = field_of_several(view, settings.label_field)
    samples = read_samples(view, None if several else settings.label_field, settings.split_field)
    findings = read_findings(view, samples.ids)
    groups = np.array([str(group) if group >= 0 else None for group in findings.groups], object)
    columns = read_groups(view, samples, settings.group_by)
    return Members(
        samples,
        read_labels(view, samples, several),
        join_units(len(samples), np.empty((0, 2)), groups, *columns),
        np.array([-1 if each is None else each for each in _column(view, samples.ids, round_field(name))], np.int64),
        np.array(_column(view, samples.ids, STATE_FIELD), object),
        np.array([reason is None for reason in _column(view, samples.ids, FAILURE_FIELD)], bool),
    )


def roles_of(members: Members, evaluation_ids: Sequence[str]) -> Roles:
    """Return what each image is to a loop."""
    rows = members.rows_of(evaluation_ids)
    test = np.zeros(len(members.samples), bool)
    test[rows[rows >= 0]] = True
    beside = ~test & np.isin(members.units, np.unique(members.units[test]))
    free = ~test & ~beside & ~members.spared
    known, untouched = (
        members.labels.known,
        (members.rounds < 0) & np.array([state is None for state in members.states], bool),
    )
    return Roles(test, free & known, free & ~known & untouched & members.readable, beside)


def settle(view: Collection, loop: SavedLoop, members: Members, went_out: Mapping[int, Sequence[str]]) -> Members:
    """Write what each image is to a loop, and in which round it came; return the members with their rounds.

    It follows from the batches, the labels and the evaluation set alone, so that it mends what a crash left undone.

    Args:
        view: The collection.
        loop: The loop.
        members: Its images.
        went_out: Round -> ids of the images that went out in it.
    """
    rounds = members.rounds.copy()
    for number, ids in went_out.items():
        rows = members.rows_of(ids)
        rounds[rows[rows >= 0]] = number
    roles = roles_of(members, loop.evaluation.ids)
    rounds[roles.train & (rounds < 0)] = max(went_out, default=0)
    rounds[roles.test] = -1
    settled = replace(members, rounds=rounds)
    roles = roles_of(settled, loop.evaluation.ids)
    split = np.full(len(rounds), None, object)
    for name, chosen in ((TEST, roles.test), (TRAIN, roles.train), (POOL, roles.pool)):
        split[chosen] = name
    _write_changes(view, members.samples.ids, split_field(loop.name), split, "str")
    _write_changes(view, members.samples.ids, round_field(loop.name), _or_none(rounds), "int")
    return settled


@dataclass(frozen=True, eq=False)
class FrozenCheck:
    """Whether the evaluation set is still what was frozen.

    Attributes:
        intact: (m,) int64. Places in the frozen set of the images that are as they were.
        rows: (m,) int64. Their rows among the members.
        gone: Ids of samples that were deleted.
        changed: Files that hold something else now, or are gone.
    """

    intact: np.ndarray
    rows: np.ndarray
    gone: tuple[str, ...]
    changed: tuple[Failure, ...]

    def notes(self) -> list[str]:
        """Return what a user must know."""
        found = []
        if self.gone:
            found.append(
                f"**{counted(len(self.gone), 'sample')} of the evaluation set "
                f"{'was' if len(self.gone) == 1 else 'were'} deleted**; all rounds are measured without"
            )
        if self.changed:
            named = ", ".join(f"`{each.path}`" for each in self.changed[:3])
            found.append(
                f"**{counted(len(self.changed), 'file')} of the evaluation set changed** since it was frozen "
                f"({named}); all rounds are measured without. Put the files back as they were to count them again"
            )
        return found


def check_frozen(members: Members, loop: SavedLoop) -> FrozenCheck:
    """Compare the evaluation set with what was frozen: ids, and the content of the files."""
    rows = members.rows_of(loop.evaluation.ids)
    there = np.flatnonzero(rows >= 0)
    paths = [str(members.samples.paths[row]) for row in rows[there]]
    now = file_hashes(paths)
    same = np.array([now[place] == loop.evaluation.hashes[row] for place, row in enumerate(there)], bool)
    changed = tuple(
        Failure(loop.evaluation.ids[row], paths[place], "its content changed" if now[place] else "it cannot be read")
        for place, row in enumerate(there)
        if not same[place]
    )
    gone = tuple(loop.evaluation.ids[row] for row in np.flatnonzero(rows < 0))
    return FrozenCheck(there[same], rows[there[same]], gone, changed)


def _column(view: Collection, ids: np.ndarray, field: str) -> list:
    if dataset_of(view).get_field(field) is None:
        return [None] * len(ids)
    values = dict(zip(*view.values(["id", field]), strict=True))
    return [values.get(key) for key in ids]


def _or_none(rounds: np.ndarray) -> np.ndarray:
    values = rounds.astype(object)
    values[rounds < 0] = None
    return values


def _write_changes(view: Collection, ids: np.ndarray, field: str, values: np.ndarray, kind: Kind) -> None:
    """Write a field where it holds something else: of a million images, a round changes some hundred."""
    held = _column(view, ids, field)
    rows = [row for row, value in enumerate(held) if value != values[row]]
    if rows or dataset_of(view).get_field(field) is None:
        set_own_values(view, field, ids[rows], values[rows], kind=kind)
