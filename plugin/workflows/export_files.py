"""Copies images into folders that tell their split and class, all of them or none."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..curation.splits import standard_split
from ..datasets.folder_names import NO_SPLIT, FolderNames, first_free, name_folders
from ..errors import DataError
from ..failures import Failure
from ..labeling.reconciling import PlainLabel
from ..progress import Progress, silent
from ..vision.decoder import IMAGE_EXTENSIONS
from .wording import counted

_STEP = "copying images"
_SPARE_BYTES = 64 << 20  # what the disk should have left afterwards


@dataclass(frozen=True, slots=True)
class Exported:
    """An image that leaves.

    Attributes:
        id: Sample id.
        path: Absolute path: of the original, or of its copy.
        label: Its label: text, a sorted list where an image may have several, or None.
        split: Its split, "" = none.
    """

    id: str
    path: str
    label: PlainLabel
    split: str


def write_folders(
    images: Sequence[Exported], folder: Path, *, link: bool, progress: Progress = silent
) -> tuple[list[Exported], tuple[Failure, ...], list[str]]:
    """Copy images into a new folder, which appears under its name when it is complete.

    Args:
        images: The images, with one label each at most.
        folder: The folder; it may exist if it is empty.
        link: Make hard links instead.
        progress: Told after each image.

    Returns:
        The images as they lie in the folder, those that could not be copied, and sentences for the user.

    Raises:
        DataError: There is something in the folder, no room, or no way to link.
    """
    _check(images, folder, link=link)
    names, places = _places(images)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    failures: list[Failure] = []
    copied: list[Exported] = []
    try:
        part.mkdir(parents=True)
        for number, (image, place) in enumerate(zip(images, places, strict=True), start=1):
            failure = _put(image, part / place, link=link)
            if failure is None:
                copied.append(replace(image, path=str(folder / place)))
            else:
                failures.append(failure)
            progress(_STEP, number, len(images))
        if not copied:
            raise DataError(f"none of the {len(images)} files could be copied: {failures[0].reason}.")
        names.write(part)
        part.replace(folder)
    except OSError as error:
        raise DataError(_stopped(folder, error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return copied, tuple(failures), _notes(copied, link=link)


def _check(images: Sequence[Exported], folder: Path, *, link: bool) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"'{folder}' exists already, and nothing is overwritten. Name a new folder.")
    above = next(parent for parent in folder.parents if parent.is_dir())
    needed = 0 if link else sum(_size(image.path) for image in images)
    free = shutil.disk_usage(above).free
    if needed and needed + _SPARE_BYTES > free:
        raise DataError(
            f"'{above}' has {free / 1e9:.1f} GB free, but the images take {needed / 1e9:.1f} GB. Choose another disk, "
            "or make hard links instead of copies where the images lie on the same disk (--link)."
        )


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0  # told when it is copied


def _places(images: Sequence[Exported]) -> tuple[FolderNames, list[Path]]:
    """Return what the folders mean, and each image's place in the new folder."""
    splits = sorted({image.split for image in images if image.split})
    split_folders = name_folders(splits, beside_splits=False)
    split_folders[""] = first_free(NO_SPLIT, "", set(map(str.casefold, split_folders.values())))
    classes = {image.label for image in images if isinstance(image.label, str)}
    class_folders = name_folders(classes, beside_splits=not splits)
    taken: dict[Path, set[str]] = {}
    places: dict[str, Path] = {}
    # By path, so that it does not depend on the order in which samples were added who gets a number.
    for image in sorted(images, key=lambda image: (image.path, image.id)):
        where = Path(split_folders[image.split]) if splits else Path()
        if isinstance(image.label, str):
            where /= class_folders[image.label]
        stem, suffix = os.path.splitext(os.path.basename(image.path))
        stem = f"_{stem}" if stem.startswith(".") else stem  # hidden files are not read back
        in_folder = taken.setdefault(
            where, set() if where != Path() else set(map(str.casefold, class_folders.values()))
        )
        places[image.id] = where / first_free(stem, suffix, in_folder)
    meant = {folder: name for name, folder in class_folders.items() if folder != name}
    used = {split_folders[split]: split for split in {image.split for image in images}} if splits else {}
    return FolderNames(meant, used), [places[image.id] for image in images]


def _put(image: Exported, place: Path, *, link: bool) -> Failure | None:
    """Copy or link one file; return why that could not be done, where the others may still go."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        if link:
            os.link(os.path.realpath(image.path), place)
        else:
            shutil.copyfile(image.path, place)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EXDEV, errno.EPERM, errno.EROFS):
            raise
        place.unlink(missing_ok=True)
        return Failure(image.id, image.path, f"can't be copied: {error.strerror or error}")
    return None


def _stopped(folder: Path, error: OSError) -> str:
    if error.errno == errno.EXDEV:
        return f"'{folder}' is on another disk than the images, where no hard links lead. Leave out --link."
    reason = error.strerror or str(error)
    return f"'{folder}' could not be written: {reason}. What was copied has been removed; make room, and export again."


def _notes(copied: Sequence[Exported], *, link: bool) -> list[str]:
    notes = []
    unread = sum(Path(each.path).suffix.lower() not in IMAGE_EXTENSIONS for each in copied)
    if unread:
        notes.append(
            f"{counted(unread, 'file has', 'files have')} no extension of an image, so reading passes them over"
        )
    own = sorted({each.split for each in copied if each.split and standard_split(each.split) is None})
    if own:
        notes.append(f"{', '.join(own)}: splits by the folder's own hidden file alone; other programs see folders")
    if link:
        notes.append("files are hard links: who edits one edits the original")
    return notes
