"""Which version is served: a person's decision, or a rule's that somebody switched on; each is kept with its reason."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from ..plugin.errors import DataError
from ..plugin.training.versions import version_in
from .learning_store import FILE, LearningStore, Promotion, Version
from .registry import MARK
from .store_address import StoreAddress

_PROPOSALS_KEPT = 10


def promoted_folder(state: Path, address: StoreAddress | None = None) -> Path | None:
    """Return the folder of the version that was promoted last; None where none was.

    Args:
        state: The server's state folder.
        address: Of the database that replicas share; None = there is but one server.

    Raises:
        DataError: It can't be served any more.
        StoreError: The store can't be used.
    """
    if address is None and not (state / FILE).exists():
        return None
    with closing(LearningStore(state, address)) as store:
        promotions = store.promotions(limit=1)
        return known_version(store, promotions[0].version).folder if promotions else None


def known_version(store: LearningStore, version: str) -> Version:
    """Return a version of the store that can be served.

    Raises:
        DataError: There is no such version, or its folder holds another one by now.
    """
    found = [known for known in store.versions() if known.version == version]
    if not found:
        names = ", ".join(known.version for known in store.versions()) or "none"
        raise DataError(f"there is no version '{version}' in '{store.state}'; there are: {names}.")
    held = version_in(found[0].folder)
    if held != version:
        raise DataError(
            f"version '{version}' can't be served: '{found[0].folder}' holds {held or 'no classifier'} by now. "
            "Promote another version, or name one with 'winnow serve --version'."
        )
    return found[0]


def promote(state: Path, version: str, who: str, why: str, address: StoreAddress | None = None) -> Promotion:
    """Have a version served from now on: by a running server within seconds, and by later ones.

    Args:
        state: The server's state folder.
        version: A version made by a job, or one that was served before, for rollback.
        who: Who decides.
        why: For what reason.
        address: Of the database that replicas share; None = there is but one server.

    Raises:
        DataError: No such state folder or version, or no reason.
        StoreError: The store can't be used.
    """
    if not why.strip():
        raise DataError("say why the version is promoted; it is kept with the decision.")
    with closing(_existing(state, address)) as store:
        known_version(store, version)
        return store.promote(version, who, why.strip())


def roll_back(state: Path, who: str, why: str, address: StoreAddress | None = None) -> Promotion:
    """Have the version served that was served before the last promotion.

    Raises:
        DataError: Nothing was promoted yet, or no reason.
    """
    with closing(_existing(state, address)) as store:
        decided = [promotion.version for promotion in store.promotions()]
        # what was served before the first promotion is the oldest version that no job made
        given = [known.version for known in reversed(store.versions()) if known.report is None]
        earlier = [version for version in decided[1:] + given if version != decided[0]] if decided else []
    if not earlier:
        raise DataError(f"nothing to go back to: no version was promoted in '{state}' yet.")
    return promote(state, earlier[0], who, why, address)


def is_no_worse(report: Mapping[str, Any], margin: float) -> bool:
    """Tell whether a report shows with confidence that the new version is no worse than the serving one.

    It is where the lower bound of the 95 % interval of the gain lies above -margin, and no class is lost.
    """
    lower = report["comparison"]["interval"][0]
    return bool(lower > -margin and not report["classes"]["lost"])


def remove_old_proposals(store: LearningStore, keep: Collection[str]) -> None:
    """Remove the folders of versions that were never promoted, but for the newest ones and those to keep."""
    promoted = {promotion.version for promotion in store.promotions(limit=None)}
    proposals = [known for known in store.versions() if known.report is not None and known.version not in promoted]
    for known in proposals[_PROPOSALS_KEPT:]:
        if known.version not in keep:
            store.forget_version(known.version)
            shutil.rmtree(known.folder, ignore_errors=True)


def cancel_training(state: Path, address: StoreAddress | None = None) -> int | None:
    """Have the running training job cancelled; return its number, None where none runs.

    Raises:
        DataError: No such state folder.
    """
    with closing(_existing(state, address)) as store:
        return store.ask_to_cancel()


def _existing(state: Path, address: StoreAddress | None) -> LearningStore:
    if not (state / MARK).exists() and (address is not None or not (state / FILE).exists()):
        raise DataError(f"'{state}' is no state folder of `winnow serve`; its log and /status name the right one.")
    return LearningStore(state, address)
