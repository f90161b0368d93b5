"""Keeps the results of the steps of a search for near-duplicates on disk until all of it is done."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import time
import zipfile
from collections.abc import Callable, Sequence

import numpy as np

from ..curation.steps import Arrays
from ..vision.cache_store import pairs_root

_WORTH_SECONDS = 10.0  # a step that took less is done again sooner than it is worth a file
_UNNAMABLE = re.compile(r"[^\w]+")

logger = logging.getLogger(__name__)


class KeptSteps:
    """The steps of one search, in files. What cannot be read or written costs only time.

    Args:
        name: The search's.
        keys: What its result depends on; the steps of another search are not found.
        worth: Seconds that a step has to take to be kept.
    """

    def __init__(self, name: str, keys: Sequence[bytes], *, worth: float = _WORTH_SECONDS) -> None:
        digest = hashlib.sha256(b"\0".join(keys)).hexdigest()[:16]
        self._prefix, self._worth = f"{name}-{digest}", worth

    def __call__(self, name: str, work: Callable[[], Arrays]) -> Arrays:
        """Return what a step gave, or do it now."""
        path = pairs_root() / f"{self._prefix}-{_UNNAMABLE.sub('-', name)}.npz"
        try:
            with np.load(path, allow_pickle=False) as held:
                return tuple(held[f"arr_{number}"] for number in range(len(held.files)))
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            pass
        began = time.monotonic()
        found = work()
        if time.monotonic() - began < self._worth:
            return found
        temporary = path.with_name(f"{path.stem}-{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(file, *found)
            os.replace(temporary, path)
        except OSError as cause:
            logger.warning("a search that is stopped here begins anew, as '%s' cannot be written: %s", path, cause)
            with contextlib.suppress(OSError):
                temporary.unlink()
        return found

    def forget(self) -> None:
        """Remove the files."""
        for path in pairs_root().glob(f"{self._prefix}-*.npz"):
            with contextlib.suppress(OSError):
                path.unlink()
