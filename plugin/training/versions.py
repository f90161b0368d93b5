"""Where versions of a served classifier are kept, and how one of them is found again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..errors import ClassifierError
from ..home import winnow_home

VERSIONS = "versions"


def default_state(directory: Path) -> Path:
    """Return the state folder of a classifier folder: below Winnow's home, one for each place; it need not exist."""
    directory = directory.resolve()
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:12]
    return winnow_home() / "serving" / f"{directory.name}-{digest}"


def stored_versions(state: Path) -> list[str]:
    """Return the versions that a state folder holds, the newest first."""
    folders = [path.parent for path in (state / VERSIONS).glob("*/classifier.json")]
    return [folder.name for folder in sorted(folders, key=lambda path: (-path.stat().st_mtime, path.name))]


def folder_of_version(directory: Path, state: Path, version: str) -> Path:
    """Return the folder of a version: the classifier's own, or one of the state folder's.

    Raises:
        ClassifierError: Neither has it; the message lists those that are there.
    """
    stored = stored_versions(state)
    if version in stored:
        return state / VERSIONS / version
    own = version_in(directory)
    if version == own:
        return directory
    known = ", ".join(filter(None, [own, *stored])) or "none"
    raise ClassifierError(f"there is no version '{version}' in '{directory}' or '{state}'; known are: {known}")


def version_in(directory: Path) -> str | None:
    """Return the version that a classifier folder states, without loading it; None where it states none."""
    try:
        return str(json.loads((directory / "classifier.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # damaged or absent: whoever loads it is told
