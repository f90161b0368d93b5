"""Promotions followed: the version that was promoted last is loaded in the background and served."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from ..plugin.errors import WinnowError
from .hosting import HostedClassifier, ModelHost
from .learning_store import LearningStore
from .promotion import known_version

logger = logging.getLogger(__name__)

# A version whose folder another replica wrote may be seen late over a network; one that can't be loaded may be mended.
_LOOK_AGAIN_SECONDS, _LOAD_AGAIN_SECONDS = 2.0, 60.0


class Following:
    """Has what is promoted served; what can't be served yet is tried again, and the old version stays meanwhile.

    Args:
        store: With the promotions; those in it now are followed already.
        host: Of the serving classifier.
        load: Loads a classifier folder, ready to answer.

    Attributes:
        followed: Number of the last promotion that was followed; 0 = none.
    """

    def __init__(self, store: LearningStore, host: ModelHost, load: Callable[[Path], HostedClassifier]) -> None:
        self._store, self._host, self._load = store, host, load
        promotions = store.promotions(limit=1)
        self.followed = promotions[0].id if promotions else 0
        self._problem: str | None = None
        self._tried, self._try_at = 0, 0.0  # the promotion that is about to be followed, and when to try it again

    def look(self) -> str | None:
        """Follow the last promotion; return why that can't be done.

        Raises:
            StoreError: The store can't be read.
        """
        promotions = self._store.promotions(limit=1)
        if not promotions or promotions[0].id <= self.followed:
            return None
        promotion = promotions[0]
        if promotion.version == self._host.version:
            self.followed = promotion.id
            return None
        if promotion.id == self._tried and time.monotonic() < self._try_at:
            return self._problem
        self._tried, self._try_at, self._problem = promotion.id, time.monotonic() + _LOOK_AGAIN_SECONDS, None
        try:
            folder = known_version(self._store, promotion.version).folder
        except WinnowError as error:
            self._problem = f"promotion of {promotion.version}: {error}"
            return self._problem
        self._try_at += _LOAD_AGAIN_SECONDS
        logger.info("version %s was promoted by %s: %s", promotion.version, promotion.who, promotion.why)
        self._host.swap(lambda: self._load(folder), promotion.version)
        return None
