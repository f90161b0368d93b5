"""Which version is served: a person's decision, or a rule's that somebody switched on; each is kept with its reason."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..plugin.errors import ClassifierError, DataError
from ..plugin.home import winnow_home
from .learning_store import FILE, LearningStore, Promotion, Version

_DESCRIPTION = "classifier.json"


def default_state(directory: Path) -> Path:
    """Return the state folder of a classifier folder: below Winnow's home, told apart by the whole path."""
    path = directory.expanduser().resolve()
    name = re.sub(r"[^\w.-]+", "-", path.name).strip("-.") or "classifier"
    return winnow_home() / "serving" / f"{name}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def version_of(directory: Path) -> str:
    """Return the version that a classifier folder states, without loading it.

    Raises:
        ClassifierError: No classifier there, or a damaged one.
    """
    try:
        return str(json.loads((directory / _DESCRIPTION).read_text(encoding="utf-8"))["version"])
    except FileNotFoundError:
        raise ClassifierError(
            f"no classifier in '{directory}': {_DESCRIPTION} is missing. `winnow train` makes one."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise ClassifierError(f"'{directory / _DESCRIPTION}' is damaged ({type(cause).__name__}).") from None


def folder_to_serve(directory: Path, state: Path, version: str | None = None) -> Path:
    """Return the folder of the version that is asked for, else of the one promoted last, else the given one.

    Raises:
        DataError: There is no such version.
        ClassifierError: No classifier in the given folder.
    """
    if version is not None and version == version_of(directory):
        return directory
    if not (state / FILE).exists():
        if version is not None:
            raise DataError(
                f"there is no version '{version}': '{directory}' holds {version_of(directory)}, and '{state}' none. "
                "Give the right --state."
            )
        return directory
    store = LearningStore(state)
    try:
        promotions = store.promotions(limit=1)
        if version is None and not promotions:
            return directory
        return known_version(store, version or promotions[0].version).folder
    finally:
        store.close()


def known_version(store: LearningStore, version: str) -> Version:
    """Return a version of the store that can be served.

    Raises:
        DataError: There is no such version, or its folder holds another one by now.
    """
    found = [known for known in store.versions() if known.version == version]
    if not found:
        names = ", ".join(known.version for known in store.versions()) or "none"
        raise DataError(f"there is no version '{version}' in '{store.state}'; there are: {names}.")
    try:
        held = version_of(found[0].folder)
    except ClassifierError as error:
        raise DataError(f"version '{version}' can't be served: {error}") from None
    if held != version:
        raise DataError(f"version '{version}' can't be served: its folder '{found[0].folder}' holds {held} by now.")
    return found[0]


def promote(state: Path, version: str, who: str, why: str) -> Promotion:
    """Have a version served from now on: by a running server within seconds, and by later ones.

    Args:
        state: The server's state folder.
        version: A version made by a job, or one that was served before, for rollback.
        who: Who decides.
        why: For what reason.

    Raises:
        DataError: No such state folder or version, or no reason.
    """
    if not why.strip():
        raise DataError("say why the version is promoted; it is kept with the decision.")
    store = _existing(state)
    try:
        known_version(store, version)
        return store.promote(version, who, why.strip())
    finally:
        store.close()


def roll_back(state: Path, who: str, why: str) -> Promotion:
    """Have the version served that was served before the last promotion.

    Raises:
        DataError: Nothing was promoted yet, or no reason.
    """
    store = _existing(state)
    try:
        decided = [promotion.version for promotion in store.promotions()]
        # what was served before the first promotion is the oldest version that no job made
        given = [known.version for known in reversed(store.versions()) if known.report is None]
        earlier = [version for version in decided[1:] + given if version != decided[0]] if decided else []
    finally:
        store.close()
    if not earlier:
        raise DataError(f"nothing to go back to: no version was promoted in '{state}' yet.")
    return promote(state, earlier[0], who, why)


def is_no_worse(report: Mapping[str, Any], margin: float) -> bool:
    """Tell whether a report shows with confidence that the new version is no worse than the serving one.

    It is where the lower bound of the 95 % interval of the gain in accuracy lies above -margin, and no class is lost.
    """
    lower = report["comparison"]["interval"][0]
    return bool(lower > -margin and not report["classes"]["lost"])


def _existing(state: Path) -> LearningStore:
    if not (state / FILE).exists():
        raise DataError(f"'{state}' is no state folder of `winnow serve`; its log and /status name the right one.")
    return LearningStore(state)
