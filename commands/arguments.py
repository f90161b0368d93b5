"""From what stands on the command line to what the workflows take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..terminal import say

if TYPE_CHECKING:
    from ..plugin.datasets.views import Collection
    from ..plugin.workflows.vectors import VectorParams


def given_options(**options: Any) -> dict[str, Any]:
    """Return the options that the user gave; the others keep the default of the workflow's params."""
    return {name: value for name, value in options.items() if value is not None}


def names_in(listed: str | None) -> tuple[str, ...] | None:
    """Return the names of a list with commas."""
    return None if listed is None else tuple(name.strip() for name in listed.split(",") if name.strip())


def vector_params(backbone: str | None, image_size: int | None) -> VectorParams:
    """Return how vectors are to be made, as far as it was said."""
    from ..plugin.workflows.vectors import VectorParams

    return VectorParams(**given_options(backbone=backbone, image_size=image_size))


def open_collection(
    target: str, label_delimiter: str | None, group_slice: str | None, saved_view: str | None = None
) -> Collection:
    """Open a TARGET as a dataset, one slice of it or a saved view, and tell on stderr what was added or left out."""
    from ..plugin.datasets.database import ensure_database
    from ..plugin.datasets.targets import open_target
    from ..plugin.datasets.views import load_view, one_slice

    ensure_database()
    opened = open_target(target, label_delimiter=label_delimiter)
    for note in opened.notes:
        say(note)
    return one_slice(opened.dataset if saved_view is None else load_view(opened.dataset, saved_view), group_slice)


def root_of(target: str) -> Path | None:
    """Return the folder that the paths in a CSV of pairs are relative to; None for a dataset: its paths stay whole."""
    path = Path(target)
    return path if path.is_dir() else path.parent if path.is_file() else None
