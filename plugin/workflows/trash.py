"""What lies in Winnow's trash, where deleted files and classifiers go, and how to be rid of it for good."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bson import ObjectId

from ..errors import DataError
from ..home import winnow_home
from .cache import readable_size
from .wording import counted

_DAY = 86_400.0
_CLASSIFIER = re.compile(r".+-(\d{8}-\d{6})-\d{6}")  # as `classifiers.delete_classifier` names it


@dataclass(frozen=True)
class TrashReport:
    """What the trash holds after the command.

    Attributes:
        folder: Where it lies.
        deletions: Whatever was put away at one time: a classifier, or the files of one deletion.
        bytes: That all of them take.
        oldest_days: How long ago the first of them was put away; None for an empty trash.
        freed: Bytes that the command removed for good.
    """

    folder: str
    deletions: int
    bytes: int
    oldest_days: float | None
    freed: int = 0

    def summary(self) -> dict[str, Any]:
        """Return plain JSON."""
        oldest = None if self.oldest_days is None else round(self.oldest_days, 2)
        return {
            "folder": self.folder,
            "deletions": self.deletions,
            "bytes": self.bytes,
            "oldest_days": oldest,
            "freed": self.freed,
        }

    def text(self) -> str:
        """Return markdown for a person."""
        freed = f"{readable_size(self.freed)} were freed. " if self.freed else ""
        if self.oldest_days is None:
            return f"{freed}**The trash is empty** ({self.folder})."
        return (
            f"{freed}**{readable_size(self.bytes)}** of {counted(self.deletions, 'deletion')} in {self.folder}, the "
            f"oldest {self.oldest_days:.0f} days ago. `winnow trash empty --older-than 30` removes those of more than "
            "30 days for good."
        )


def describe_trash() -> TrashReport:
    """Look at the trash."""
    return _report(freed=0)


def empty_trash(older_than_days: float) -> TrashReport:
    """Remove for good what was put away longer ago than that; undoing such a deletion brings back no file.

    Raises:
        DataError: Something could not be removed; what came before it is gone.
    """
    freed, now = 0, time.time()
    for path, since in _deletions():
        if now - since >= older_than_days * _DAY:
            freed += _bytes_of(path)
            try:
                shutil.rmtree(path)
            except OSError as cause:
                raise DataError(f"cannot remove '{path}' ({cause}). See whose it is, then run this again.") from cause
    return _report(freed=freed)


def _report(*, freed: int) -> TrashReport:
    found = list(_deletions())
    oldest = max(((time.time() - since) / _DAY for _, since in found), default=None)
    return TrashReport(str(_trash()), len(found), sum(_bytes_of(path) for path, _ in found), oldest, freed)


def _trash() -> Path:
    return winnow_home() / "trash"


def _deletions() -> Iterator[tuple[Path, float]]:
    """Yield each folder that something was put away in, with the time of that; whatever else lies there is not ours."""
    for path in sorted(_trash().glob("*")):
        if ObjectId.is_valid(path.name) and path.is_dir():
            yield path, ObjectId(path.name).generation_time.timestamp()
    for path in sorted((_trash() / "classifiers").glob("*")):
        if (stamp := _CLASSIFIER.fullmatch(path.name)) and path.is_dir():
            yield path, datetime.strptime(stamp[1], "%Y%m%d-%H%M%S").timestamp()


def _bytes_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
