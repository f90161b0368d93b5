"""Puts media files aside and brings them back; a file is moved, never unlinked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

import fiftyone as fo

from .action_log import chunks
from .views import every_image

_CHUNK = 10_000


def put_aside(path: Path, aside: Path) -> None:
    """Move one file into the trash.

    Raises:
        OSError: It could not be moved; it is where it was, and nothing of it in the trash.
    """
    aside.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.move(path, aside)
    except OSError:
        # On another disk a file is copied first: without the original's removal the copy is of no use.
        if os.path.lexists(path):
            aside.unlink(missing_ok=True)
        _remove_empty(aside.parent)
        raise


def bring_back(aside: Path, path: Path) -> None:
    """Move one file from the trash to where it was.

    Raises:
        OSError: Another file is there now, or it could not be moved; it is still in the trash.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"another file is there now; the deleted one stays at {aside}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.move(aside, path)
    except OSError:
        if os.path.lexists(aside):
            path.unlink(missing_ok=True)
        raise
    _remove_empty(aside.parent)


def used_paths(paths: Iterable[str], dataset: fo.Dataset, ids: Collection[str]) -> set[str]:
    """Return those of the paths that samples use which are not among `ids`: of this dataset, or of any other."""
    used: set[str] = set()
    everything = list(paths)
    for name in fo.list_datasets():
        other = dataset if name == dataset.name else fo.load_dataset(name)
        images = every_image(other)
        for chunk in chunks(everything, _CHUNK):
            found, held = images.match(fo.ViewField("filepath").is_in(chunk)).values(["id", "filepath"])
            used.update(path for key, path in zip(found, held, strict=True) if other is not dataset or key not in ids)
    return used


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
