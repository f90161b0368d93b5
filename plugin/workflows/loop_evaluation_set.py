"""Sets aside the images that a loop is measured on: at random, by whole units, and for good."""

from __future__ import annotations

import numpy as np

from ..curation.splits import standard_split
from ..curation.splitting import make_splits
from ..datasets.loops import FrozenSet
from ..datasets.views import Collection
from ..errors import DataError
from ..membership import is_among
from ..progress import Progress
from .loop_members import Members
from .loop_settings import LoopSettings
from .multi_label_issues import field_of_several
from .vectors import VectorParams, embed_collection
from .wording import counted

_LARGEST_SHARE = 5  # an evaluation set of more than a fifth would cost more labels than it tells
_SMALL = 100  # images; below, the interval of an accuracy spans twenty points


def reserve_evaluation_set(
    view: Collection, settings: LoopSettings, members: Members, progress: Progress
) -> tuple[FrozenSet, list[str]]:
    """Choose the evaluation set and freeze it by ids and content; return it with what a user should know of it.

    What belongs together is in it as a whole or not at all. Images that cannot be read are never in it.

    Args:
        view: The collection.
        settings: Of the loop.
        members: Its images.
        progress: Told along the way.

    Raises:
        DataError: There are too few images, or there is no such split.
    """
    several = field_of_several(view, settings.label_field)
    embedded = embed_collection(
        view,
        VectorParams(settings.backbone),
        label_field=None if several else settings.label_field,
        split_field=settings.split_field,
        thumbnails=False,
        progress=progress,
    )
    digests = dict(zip(embedded.samples.ids, embedded.digests, strict=True))
    readable = is_among(members.samples.ids, embedded.samples.ids)
    if settings.evaluation_split is None:
        rows, notes = _random(settings, members, np.flatnonzero(readable & ~members.spared))
    else:
        rows, notes = _of_split(settings.evaluation_split, members, readable), []
    ids = members.samples.ids[rows].tolist()
    if labelled := int(members.labels.known[rows].sum()):
        notes.append(
            f"{counted(labelled, 'image')} of the evaluation set had labels before the loop began; whether those were "
            "made without looking at predictions is not known"
        )
    if len(rows) < _SMALL:
        notes.append(
            f"an evaluation set of {counted(len(rows), 'image')} is small: accuracies are told with wide intervals"
        )
    return FrozenSet.of(ids, [digests[key].tobytes().hex() for key in ids]), notes


def _random(settings: LoopSettings, members: Members, free: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the rows of a random part of the free images, and what is to be told of it."""
    wanted = min(settings.evaluation_images, len(free) // _LARGEST_SHARE)
    if wanted < 1:
        raise DataError(
            f"there are {counted(len(free), 'image')} that can be read and lie in no test or validation split, too few "
            f"to measure on a fifth of them. Add images, or name a split to measure on (evaluation_split)."
        )
    share = wanted / len(free)
    made = make_splits(
        members.labels.values[free],
        members.units[free],
        {"test": share, "pool": 1 - share},
        seed=settings.seed,
    )
    rows = free[made.split == "test"]
    notes = []
    if wanted < settings.evaluation_images:
        notes.append(
            f"the evaluation set has {counted(len(rows), 'image')} instead of {settings.evaluation_images:,}, as it "
            "takes at most a fifth of all"
        )
    return rows, notes


def _of_split(asked: str, members: Members, readable: np.ndarray) -> np.ndarray:
    name = standard_split(asked) or asked
    rows = np.flatnonzero(readable & (members.samples.splits == name))
    if not len(rows):
        known = ", ".join(sorted(set(members.samples.splits) - {""})) or "none"
        raise DataError(f"there is no split '{asked}' to measure on; the splits are: {known}.")
    return rows
