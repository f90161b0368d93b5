"""Names of folders that stand for classes and splits, also where these can't be the name of a folder.

An exported folder has a hidden file that says which folder means which class or split; `read_folder` follows it. A
folder without it means what it is called.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..curation.splits import standard_split
from ..errors import TargetError

MARKER = ".winnow-folders.json"
NO_SPLIT = "no split"

# What one of the usual file systems does not take in a name; the percent sign is what stands for them.
_UNUSABLE = re.compile(r'[%/\\:*?"<>|\x00-\x1f\x7f]|^[. ]|[. ]$')
_LONGEST = 120  # bytes of 255, as some file systems count differently


@dataclass(frozen=True)
class FolderNames:
    """What the folders of an exported dataset mean.

    Attributes:
        classes: Folder -> class, where that is another text.
        splits: Folder on the top level -> split, "" = no split; empty where there are no splits.
    """

    classes: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the file that says so."""
        content = {"version": 1, "classes": dict(self.classes), "splits": dict(self.splits)}
        (folder / MARKER).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def read_folder_names(folder: Path) -> FolderNames:
    """Return what the folders mean; nothing special where there is no such file.

    Raises:
        TargetError: The file holds something else.
    """
    try:
        content = json.loads((folder / MARKER).read_text("utf-8"))
        found = [content["classes"], content["splits"]]
        if not all(isinstance(text, str) for names in found for pair in names.items() for text in pair):
            raise ValueError("names are no text")
    except FileNotFoundError:
        return FolderNames()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as cause:
        raise TargetError(
            f"'{folder / MARKER}' says which folder means which class, and can't be read ({cause}). Export the dataset "
            "again, or remove that file to have folders mean what they are called."
        ) from cause
    return FolderNames(*found)


def name_folders(names: Iterable[str], *, beside_splits: bool) -> dict[str, str]:
    """Return class -> folder, each folder's name different also where case does not count.

    Args:
        names: The classes.
        beside_splits: Whether the folders lie where one that is called like a split would be taken for it.
    """
    taken: set[str] = set()
    folders: dict[str, str] = {}
    for name in sorted(names):
        usable = _usable(name)
        if beside_splits and standard_split(usable):
            usable = f"%{ord(usable[0]):02X}{usable[1:]}"
        folders[name] = first_free(usable, "", taken)
    return folders


def first_free(stem: str, suffix: str, taken: set[str]) -> str:
    """Return a name that is not taken yet, with a number where need be, and take it."""
    name, number = f"{stem}{suffix}", 1
    while _key(name) in taken:
        number += 1
        name = f"{stem}-{number}{suffix}"
    taken.add(_key(name))
    return name


def _usable(name: str) -> str:
    usable = _UNUSABLE.sub(lambda found: f"%{ord(found[0]):02X}", name)
    if len(usable.encode()) <= _LONGEST:
        return usable
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{usable.encode()[: _LONGEST - 13].decode(errors='ignore')}-{digest}"


def _key(name: str) -> str:
    """Return what two names share that a file system may take for one."""
    return unicodedata.normalize("NFC", name).casefold()
