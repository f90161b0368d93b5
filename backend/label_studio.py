"""The Label Studio that the settings name, in the server and in the processes that train."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

import httpx

from ..plugin.errors import WinnowError
from ..plugin.labeling.attachment import announce_version
from ..plugin.labeling.client import TIMEOUT_SECONDS, LabelStudioClient
from ..plugin.labeling.trust import Trust
from .settings import Settings, SettingsError

logger = logging.getLogger(__name__)

_TRIES, _PAUSE_SECONDS = 3, 5.0


def label_studio_client(settings: Settings) -> LabelStudioClient:
    """Return a client of its API; to be closed.

    Raises:
        SettingsError: Its address or the token is not set.
        TrustError: A CA file or a proxy address that cannot be used.
    """
    if settings.label_studio_url is None or settings.label_studio_token is None:
        raise SettingsError(
            "LABEL_STUDIO_URL or LABEL_STUDIO_API_KEY is not set. Set them to Label Studio's address and to a personal "
            "access token, which it makes under Account & Settings."
        )
    trust = Trust(settings.ca_file, settings.label_studio_proxy)
    http = trust.to_label_studio(httpx.Timeout(TIMEOUT_SECONDS))
    return LabelStudioClient(settings.label_studio_url, settings.label_studio_token, http=http)


class Announcer:
    """Makes each newly served version the one that projects go by, without anybody waiting for it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, version: str, projects: Sequence[int]) -> None:
        """Tell Label Studio, in a thread of its own; what goes wrong is logged."""
        threading.Thread(target=self._tell, args=(version, tuple(projects)), name="announce", daemon=True).start()

    def _tell(self, version: str, projects: Sequence[int]) -> None:
        try:
            with label_studio_client(self._settings) as client:
                for project in projects:
                    self._tell_project(client, version, project)
        except WinnowError as error:
            logger.warning("Label Studio was not told of version %s: %s", version, error)

    def _tell_project(self, client: LabelStudioClient, version: str, project: int) -> None:
        for _ in range(_TRIES):
            try:
                if announce_version(client, project, version, self._settings.basic_auth):
                    logger.info("project %d goes by version %s now", project, version)
                    return
            except WinnowError as error:
                logger.warning("project %d was not told of version %s: %s", project, version, error)
                return
            time.sleep(_PAUSE_SECONDS)  # a server that has only begun may not be listening yet
        logger.info(
            "no ML backend of project %d serves version %s; 'winnow labelstudio attach' adds it", project, version
        )
