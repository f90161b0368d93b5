"""What says which images belong together: fields of the user's, file names, folders, or the camera's clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from ..curation.name_groups import looks_like_groups, name_prefixes
from ..datasets.group_columns import check_group_fields, group_fields, read_group_columns
from ..datasets.samples import Samples
from ..datasets.views import Collection
from ..vision.capture import bursts, capture_of

FILE_PREFIX, FOLDER, BURST = "file:prefix", "file:folder", "exif:burst"
_LOOKED_AT = 200
_SHARE_WITH_TIME = 0.5


def _folders(paths: np.ndarray) -> np.ndarray:
    column = np.empty(len(paths), object)
    column[:] = [os.path.dirname(path) for path in paths]
    return column


_OF_FILES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    FILE_PREFIX: name_prefixes,
    FOLDER: _folders,
    BURST: bursts,
}
DESCRIPTIONS = {
    FILE_PREFIX: "file names without their last number",
    FOLDER: "folders",
    BURST: "shots of one camera within seconds",
}


def group_sources(view: Collection) -> list[str]:
    """Return everything that groups can be read from: the fields first."""
    return [*group_fields(view), *_OF_FILES]


def check_groups(view: Collection, names: Sequence[str]) -> None:
    """Make sure that groups can be read, before long work.

    Raises:
        FieldError: There is no such field, or it can't tell groups.
    """
    check_group_fields(view, [name for name in names if name not in _OF_FILES])


def read_groups(view: Collection, samples: Samples, names: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Return a column (n,) object for each name: the group of each sample, None where it is in none.

    Args:
        view: The collection of the samples.
        samples: n samples.
        names: Fields, or `file:prefix`, `file:folder`, `exif:burst`.

    Raises:
        FieldError: There is no such field, or it can't tell groups.
    """
    fields = [name for name in names if name not in _OF_FILES]
    of_fields = dict(zip(fields, read_group_columns(view, samples.ids, fields), strict=True))
    return tuple(of_fields[name] if name in of_fields else _OF_FILES[name](samples.paths) for name in names)


def proposed_groups(samples: Samples) -> list[str]:
    """Return what file names and EXIF data suggest besides the user's fields; nothing is taken for granted."""
    found = []
    if looks_like_groups(name_prefixes(samples.paths)):
        found.append(FILE_PREFIX)
    some = samples.paths[:: max(1, len(samples) // _LOOKED_AT)]
    if sum(capture_of(path) is not None for path in some) > _SHARE_WITH_TIME * len(some):
        found.append(BURST)
    return found
