"""Reads a folder of images: SPLIT/CLASS/file, SPLIT/file, CLASS/file or just files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..curation.splits import standard_split
from ..errors import TargetError
from ..failures import Failure
from ..vision.decoder import IMAGE_EXTENSIONS
from .folder_names import FolderNames, read_folder_names
from .records import Record, Source

LAYOUTS = "SPLIT/CLASS/image, SPLIT/image, CLASS/image or just images (SPLIT being train, val, test or the like)"


def read_folder(folder: Path) -> Source:
    """Read the images below a folder, with the labels and splits that its layout gives them.

    When at least one folder on the top level is named like a split, the layout is by split, and other folders on the
    top level are a pool without labels; otherwise they are classes. Deeper folders belong to their class. Hidden files
    and folders are skipped. A folder that Winnow exported says itself what its folders mean (`folder_names`).

    Raises:
        TargetError: Nothing in the folder is an image, or what an exported one says can't be read.
    """
    root = folder.resolve()
    unopened: list[OSError] = []
    files = sorted(_files(root, unopened), key=lambda path: path.parts)
    images = [path for path in files if path.suffix.lower() in IMAGE_EXTENSIONS]
    storable = [path for path in images if _is_storable(path)]
    if not storable:
        raise TargetError(_nothing_found(root, files))

    names = read_folder_names(root)
    tops = {path.relative_to(root).parts[0] for path in storable if path.parent != root}
    by_split = bool(names.splits) or any(map(standard_split, tops))
    records = tuple(_record(path, path.relative_to(root).parts, by_split, names) for path in storable)
    failures = [_unstorable(path) for path in images if not _is_storable(path)]
    failures += [Failure(str(e.filename), str(e.filename), f"can't open the folder: {e.strerror}") for e in unopened]
    return Source(root, records, tuple(failures), tuple(_notes(root, records, files, failures, by_split)))


def _files(root: Path, unopened: list[OSError]) -> Iterator[Path]:
    """Yield every visible file below `root`, and collect what can't be opened.

    Links to folders are followed, but no folder is entered twice.
    """
    entered = set()
    for parent, folders, names in os.walk(root, onerror=unopened.append, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _record(path: Path, parts: tuple[str, ...], by_split: bool, names: FolderNames) -> Record:
    """Read label and split off the folders between the root and the file."""
    folders = parts[:-1]
    split = None
    if by_split:
        if not folders or (folders[0] not in names.splits and standard_split(folders[0]) is None):
            return Record(path)
        split = names.splits.get(folders[0], folders[0]) or None
        folders = folders[1:]
    return Record(path, label=names.classes.get(folders[0], folders[0]) if folders else None, split=split)


def _is_storable(path: Path) -> bool:
    """Whether the name is valid text: Linux allows any bytes in a name, MongoDB only UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _unstorable(path: Path) -> Failure:
    readable = os.fsencode(path).decode(errors="replace")
    return Failure(id=readable, path=readable, reason="the file's name is not valid UTF-8; rename the file")


def _notes(
    root: Path, records: tuple[Record, ...], files: list[Path], failures: list[Failure], by_split: bool
) -> Iterator[str]:
    splits = sorted({record.split for record in records if record.split is not None})
    if by_split:
        yield f"read as SPLIT/CLASS/image: the split folders are {', '.join(splits)}"
        outside = [record.path for record in records if record.label is None and record.split is None]
        pool = Counter(path.relative_to(root).parts[0] for path in outside)
        folders = sorted(name for name in pool if (root / name).is_dir())
        if pool:
            places = ", ".join(f"'{name}'" for name in folders) or "the folder itself"
            yield f"{pool.total()} images outside the split folders ({places}) are a pool without label and split"
    elif any(record.label for record in records):
        yield "read as CLASS/image: no folder on the top level is named like a split"
    else:
        yield "read as images without labels: there are no folders for classes or splits"

    other = Counter(
        path.suffix.lower() or "no extension" for path in files if path.suffix.lower() not in IMAGE_EXTENSIONS
    )
    if other:
        kinds = ", ".join(f"{count} {extension}" for extension, count in sorted(other.items()))
        yield f"{other.total()} files without an image's extension were left out ({kinds})"
    if failures:
        yield f"{len(failures)} files or folders were left out, e.g. '{failures[0].path}': {failures[0].reason}"


def _nothing_found(root: Path, files: list[Path]) -> str:
    found = f"only {len(files)} other files" if files else "it is empty"
    return f"no image in folder '{root}': {found}. Expected is {LAYOUTS}, with files such as .jpg or .png."
